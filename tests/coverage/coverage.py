#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""coverage.py prepare|report BUILD: which lines of src ran, in a tree with -Db_coverage=true.

prepare deletes earlier counts, and creates the files to which processes of any user add theirs, including
those that libvirtd runs as another user. They find these files by absolute path, so every user has to be able
to enter BUILD. report prints for each source how many of its lines ran in any object that it was compiled
into, and the functions and lines that never ran; the last line is the figure for all sources. With
--minimum=PERCENT it fails if that figure is lower.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A process counts only if it can write this file (coverage.c).
MARK = 'coverage-counts'


def notes(build):
    """The compiler's notes about each object; the names of some begin with a dot."""
    return sorted(os.path.join(directory, name) for directory, _, names in os.walk(build)
                  for name in names if name.endswith('.gcno'))


def counts_of(note):
    return note[:-len('.gcno')] + '.gcda'


def writable(path):
    with open(path, 'wb'):
        pass
    os.chmod(path, 0o666)


def prepare(build):
    found = notes(build)
    if not found:
        sys.exit('%s was not built with -Db_coverage=true' % build)
    for note in found:
        # libgcov treats an empty file like one that it has just created.
        writable(counts_of(note))
    writable(os.path.join(build, MARK))
    path = os.path.abspath(build)
    while path != '/':
        if not os.stat(path).st_mode & 1:
            print('Not every user can enter %s: what runs as another than root is not counted' % path)
        path = os.path.dirname(path)


class Source:
    """One source file: its lines and how often each ran, its functions and how often each was called."""

    def __init__(self):
        self.lines = collections.Counter()
        self.functions = collections.Counter()

    def add(self, told):
        for line in told['lines']:
            self.lines[line['line_number']] += line['count']
        for function in told['functions']:
            self.functions[function['start_line'], function['end_line'],
                           function['name']] += function['execution_count']

    def ran(self):
        return sum(1 for count in self.lines.values() if count)

    def missing(self):
        """The lines that never ran, outside functions that were never called, in the form '3-5'."""
        silent = [(first, last) for (first, last, _), count in self.functions.items() if not count]
        code = sorted(self.lines)
        runs = []
        before = None
        for line in code:
            if not self.lines[line] and not any(first <= line <= last for first, last in silent):
                if runs and runs[-1][1] == before:
                    runs[-1][1] = line
                else:
                    runs.append([line, line])
            before = line
        return ['%d' % first if first == last else '%d-%d' % (first, last) for first, last in runs]


def read(build):
    """{path in src: Source}"""
    sources = collections.defaultdict(Source)
    found = []
    with tempfile.TemporaryDirectory() as silent:
        for number, note in enumerate(notes(build)):
            # For an object that never ran gcov must not find a file of counts; it then takes them as 0.
            if not os.path.exists(counts_of(note)) or not os.path.getsize(counts_of(note)):
                os.symlink(note, os.path.join(silent, '%d.gcno' % number))
                note = os.path.join(silent, '%d.gcno' % number)
            found.append(note)
        told = [subprocess.run(['gcov', '--json-format', '--stdout', *found[begin:begin + 50]],
                               cwd=build, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               check=True, text=True).stdout for begin in range(0, len(found), 50)]
    for part in told:
        for line in part.splitlines():
            if not line.startswith('{'):
                continue
            for file in json.loads(line)['files']:
                path = os.path.relpath(os.path.join(build, file['file']), SOURCE)
                if path.startswith('src/'):
                    sources[path].add(file)
    return sources


def report(build, minimum):
    sources = read(build)
    for path, source in sorted(sources.items()):
        print('%6.1f %%  %s  %d of %d lines' % (100 * source.ran() / max(1, len(source.lines)), path,
                                             source.ran(), len(source.lines)))
        for (first, last, name), count in sorted(source.functions.items()):
            if not count:
                print('            never called: %s() %d-%d' % (name, first, last))
        missing = source.missing()
        if missing:
            print('            never ran: %s' % ' '.join(missing))
    ran = sum(source.ran() for source in sources.values())
    lines = sum(len(source.lines) for source in sources.values())
    percent = 100 * ran / max(1, lines)
    print('src: %d of %d lines ran, %.1f %%' % (ran, lines, percent))
    return 0 if percent >= minimum else 1


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('what', choices=('prepare', 'report'))
    arguments.add_argument('build')
    arguments.add_argument('--minimum', type=float, default=0)
    arguments = arguments.parse_args()
    if arguments.what == 'prepare':
        return prepare(arguments.build)
    return report(os.path.abspath(arguments.build), arguments.minimum)


if __name__ == '__main__':
    sys.exit(main())
