#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs `meson test` on build trees and counts every test in them, not every test program.

usage: run-tests.py BUILD[:SUITE] … [--matrix CACHE RELEASE …]

--matrix: then does the same in chroots of Debian releases, with matrix/run-matrix, and adds its counts.

A further test is that the machine has not changed afterwards; host_state.py says what is compared.

The last line is `N passed, N failed, N skipped`. Skipped tests are listed with their reasons, failed
tests with their output. Exits with 0 only if something passed and nothing failed. BUILD/results.json of
the first tree says what ran on what, for matrix/table.py.
"""

import json
import os
import platform
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import gmem_results
import host_state

HERE = os.path.dirname(os.path.abspath(__file__))

# Wraps each test: nohup(1) and shells (for what runs in the background) make signals ignored, but whoever
# starts a test program has to be able to end it. It becomes part of the names of logs.
WRAPPER = "env --default-signal"
LOG = "testlog-env"


def short_name(name):
    """e2e-rig from `libvirt-gmem:e2e / e2e-rig` or, with newer meson, from `e2e -
    libvirt-gmem:e2e-rig`."""
    return re.split(" / |:", name)[-1]


def reason_of(element):
    return (element.get("message") or (element.text or "")).strip()


def skip_reasons(text):
    """TAP's reasons, which meson's report leaves out: `ok 3 name # SKIP reason`."""
    reasons = {}
    for match in re.finditer(r"^(?:not )?ok\s+\d+\s*(?:-\s*)?(.*?)\s*# SKIP\b\s*(.*)$", text or "",
                             re.MULTILINE | re.IGNORECASE):
        reasons[match.group(1).strip()] = match.group(2).strip()
    return reasons


def said_before(text, number):
    """What a test program printed in comments before `not ok NUMBER`: its last lines."""
    comments = []
    for line in text.splitlines():
        if match := re.match(r"(not )?ok\s+(\d+)", line):
            if match.group(1) and match.group(2) == number:
                break
            comments = []
        elif line.startswith("#"):
            comments.append(line[:300])
    return comments[-25:]


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []
        # The output of some of those, as lines.
        self.said = {}
        self.skipped = []
        # The result of each program of the first tree.
        self.programs = {}
        # Tests that are counted and reported elsewhere: passed, failed, skipped.
        self.matrix = [0, 0, 0]

    def add_host(self, before):
        """Counts whether the machine is unchanged; @before: host_state.read()."""
        changes = host_state.difference_since(before)
        if not changes:
            self.passed += 1
            return
        name = "host: /dev, mounts, settings of the kernel, users and groups are as before"
        self.failed.append(name)
        self.said[name] = changes[:100]

    def print_failed(self, begin=0):
        for name in self.failed[begin:]:
            print("FAILED  %s" % name)
            for line in self.said.get(name, ()):
                print("      | %s" % line)

    def add_program(self, label, suite, output):
        """Counts what one test program reported; returns the number of failures."""
        out = suite.findtext("system-out") or ""
        bad = 0
        for case in suite.iter("testcase"):
            name = "%s%s: %s" % (label, suite.get("name"), case.get("name"))
            skip = case.find("skipped")
            if skip is not None:
                said = skip_reasons(out + (case.findtext("system-out") or ""))
                # meson puts the number in front of the name
                title = re.sub(r"^\d+\s*(?:-\s*)?", "", case.get("name"))
                reason = reason_of(skip) or said.get(case.get("name")) or said.get(title)
                self.skipped.append((name, reason or "no reason given"))
            elif case.find("failure") is not None or case.find("error") is not None:
                bad += 1
                self.failed.append(name)
                number = re.match(r"\d*", case.get("name")).group()
                self.said[name] = said_before(output, number)
            else:
                self.passed += 1
        return bad


def read_log(build):
    """The programs that ran: {name: (result, what it printed)}."""
    with open(os.path.join(build, "meson-logs", LOG + ".json"), encoding="utf-8") as log:
        return {short_name(program["name"]): (program["result"], program.get("stdout", ""))
                for program in map(json.loads, log)}


def read_report(path):
    """The suites in a report of meson's. The report contains what the tests printed, including control
    characters, which XML does not allow."""
    with open(path, "rb") as report:
        return ET.fromstring(re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", report.read()))


def run_tree(tree, results):
    build, _, suite = tree.partition(":")
    label = "" if not suite else os.path.basename(build) + ": "
    report = os.path.join(build, "meson-logs", LOG + ".junit.xml")
    if os.path.exists(report):
        os.unlink(report)
    command = ["meson", "test", "-C", build, "--print-errorlogs",
               # The programs spend much of their time waiting.
               "--num-processes", str((os.cpu_count() or 1) + 1),
               "--wrapper", WRAPPER,
               # A busy machine or a sanitizer must not cause a failure.
               "--timeout-multiplier", "5"]
    # If only one suite of a tree is wanted, only that has to be built.
    status = subprocess.run(command + (["--no-rebuild", "--suite", suite] if suite else []),
                            stdin=subprocess.DEVNULL, check=False).returncode
    if not os.path.exists(report):
        results.failed.append("%s: meson test left no report" % tree)
        return
    log = read_log(build)
    bad = {}
    for program in read_report(report).iter("testsuite"):
        name = short_name(program.get("name"))
        passed, skipped = results.passed, len(results.skipped)
        bad[name] = results.add_program(label, program, log.get(name, ("", ""))[1])
        if not label:
            results.programs[name] = {"passed": results.passed - passed, "failed": bad[name],
                                      "skipped": [reason for _, reason in results.skipped[skipped:]]}
        # Programs with only one test are cases of one suite.
        bad.update((short_name(case.get("name")), 1) for case in program.iter("testcase")
                   if case.find("failure") is not None or case.find("error") is not None)
    # A program that printed only good results, and then crashed, hung, or did not follow its plan.
    for name, (result, _) in log.items():
        if result not in ("OK", "SKIP", "EXPECTEDFAIL") and not bad.get(name):
            results.failed.append("%s%s: %s" % (label, name, result))
    if status != 0 and not results.failed:
        results.failed.append("%s: meson test exited with status %d" % (tree, status))


def write_results(build, results):
    found = gmem_results.userland()
    if not found or not os.path.isdir(build):
        return
    with open(os.path.join(build, "results.json"), "w", encoding="utf-8") as file:
        json.dump({**found, "linux": platform.release(), "programs": results.programs}, file, indent=1)


def run_matrix(arguments, results):
    command = [os.path.join(HERE, 'matrix', 'run-matrix'), '--cache', *arguments]
    counted = None
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors='replace') as matrix:
        for line in matrix.stdout:
            found = re.fullmatch(r'(\d+) passed, (\d+) failed, (\d+) skipped\n', line)
            if found:
                counted = [int(number) for number in found.groups()]
            else:
                print(line, end='', flush=True)
    if counted:
        results.matrix = counted
    if not counted or (matrix.returncode != 0 and not counted[1]):
        results.failed.append('matrix: run-matrix exited with status %d' % matrix.returncode)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    trees, matrix = sys.argv[1:], []
    if '--matrix' in trees:
        at = trees.index('--matrix')
        trees, matrix = trees[:at], trees[at + 1:]
    before = host_state.read()
    results = Results()
    for tree in trees:
        run_tree(tree, results)
    write_results(trees[0].partition(":")[0], results)
    for name, reason in results.skipped:
        print("SKIPPED %s (%s)" % (name, reason))
    results.print_failed()
    here = len(results.failed)
    if matrix[1:]:
        print("Here: %d passed, %d failed, %d skipped"
              % (results.passed, here, len(results.skipped)), flush=True)
        run_matrix(matrix, results)
    ran = results.passed + results.matrix[0]
    results.add_host(before)
    results.print_failed(here)
    passed, failed, skipped = results.matrix
    passed, failed, skipped = (passed + results.passed, failed + len(results.failed),
                               skipped + len(results.skipped))
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
