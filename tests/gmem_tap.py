# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_tap.py: prints results of tests as TAP, which meson and run-tests.py count: https://testanything.org."""

import contextlib
import difflib
import re
import signal
import sys
import time
import traceback

# No test requires more output than this to be understood.
MOST_LINES = 200
LONGEST_LINE = 500


class Skip(Exception):
    """The test cannot be run here; the text says why."""


class Failure(Exception):
    """A check has failed."""


def difference(wanted, got):
    """The places where the two differ: lines of text, words of one line, members of a list."""
    def parts(value):
        if isinstance(value, str):
            return value.splitlines() if '\n' in value else value.split(' ')
        if isinstance(value, dict):
            return ['%s: %r' % item for item in sorted(value.items())]
        return [str(v) for v in value] if isinstance(value, (list, tuple)) else [repr(value)]
    return '\n'.join(difflib.unified_diff(parts(wanted), parts(got), 'wanted', 'got', '', '', 1, ''))


def outcome(number, name, call):
    """(whether call() failed, its line of TAP, what else there is to print)"""
    try:
        call()
        return False, 'ok %d - %s' % (number, name), ''
    except Skip as reason:
        return False, 'ok %d - %s # SKIP %s' % (number, name, reason), ''
    except Exception as error:  # pylint: disable=broad-except
        said = str(error) if isinstance(error, (Failure, AssertionError)) else repr(error)
        where = ''.join(traceback.format_tb(error.__traceback__)[1:])
        return True, 'not ok %d - %s' % (number, name), said + '\n' + where


def run(tests, at_end=lambda: None):
    """Calls each of (name, function) in order, and then @at_end. Returns the exit status."""
    # If it is stopped, it first restores what it has changed: this is how meson ends what takes too long.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = 0
    with contextlib.ExitStack() as leftovers:
        leftovers.callback(at_end)
        print('1..%d' % len(tests), flush=True)
        for number, (name, function) in enumerate(tests, 1):
            begin = time.monotonic()
            bad, line, diagnostics = outcome(number, name, function)
            failed += bad
            for text in diagnostics.strip().splitlines()[:MOST_LINES]:
                print('# ' + text[:LONGEST_LINE])
            print(line)
            print('# %.1f s' % (time.monotonic() - begin), flush=True)
    return 1 if failed else 0


class Checks:
    """What a test uses to check conditions. It counts them, so that a test that has not checked anything does
    not pass."""

    def __init__(self):
        self.count = 0

    def true(self, condition, message):
        self.count += 1
        if not condition:
            raise Failure(message)

    def equal(self, got, wanted, what):
        self.count += 1
        if got != wanted:
            raise Failure('%s differs\n%s' % (what, difference(wanted, got)))

    def has(self, text, part, what):
        self.count += 1
        if part not in text:
            raise Failure('%s lacks %r:\n%s' % (what, part, text))

    def lacks(self, text, part, what):
        self.count += 1
        if part in text:
            raise Failure('%s has %r:\n%s' % (what, part, text))

    def matches(self, text, pattern, what):
        self.count += 1
        if not re.search(pattern, text):
            raise Failure('%s does not match %r:\n%s' % (what, pattern, text))


class Suite:
    """Collects tests that are given Checks, and runs those whose name has a word of the command line."""

    checks = Checks

    def __init__(self):
        self.tests = []

    def test(self, name):
        def register(function):
            self.tests.append((name, function))
            return function
        return register

    def at_end(self):
        """Called after the last test, however it ended."""

    def run(self, skip=None):
        """Runs all tests; @skip: a reason to skip every one of them. Returns the exit status."""
        def call(function):
            if skip:
                raise Skip(skip)
            checks = self.checks()
            function(checks)
            if not checks.count:
                raise Failure('the test checked nothing')

        wanted = sys.argv[1:]
        return run([(name, lambda function=function: call(function)) for name, function in self.tests
                    if not wanted or any(word in name for word in wanted)], self.at_end)
