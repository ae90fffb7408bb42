#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the tests that require a kernel other than the machine's, each set in a machine of its own.

usage: run-nested.py [--cache DIR] [--linux X.Y]… [--renew] [--root DIR --source DIR] [--logs DIR] [--quick]
                     [--guest VMLINUZ] [--counts] BUILD [MACHINE…]

Builds the kernel (see build-kernel), fetches one for guests (see fetch-linux) and builds the module of
examples/private-memory for that (see build-module), unless these exist. Boots a machine (see gmem_nested.py)
for each set of tests, or for those named, and counts what the test programs report as TAP. Output and console of
each machine stay in BUILD/nested-logs, or in the directory given as --logs; so does what came of each test on a
kernel, as LINUX/results.json for matrix/table.py, in which a run replaces what it ran. --quick runs what takes a
few minutes: KVM by itself, convertible guests and one Linux; it leaves no results. --guest names another kernel for
guests, which fetch-linux and build-module have left, for example in a chroot of another release; that leaves no
results either. With --root, the machines' root is that directory, in which --source is this tree and BUILD is a build
of it; the kernel for guests is copied there. With --counts, BUILD counts lines (`make coverage`), and the machines
write there; nothing is built or fetched, and without a kernel nothing is run. The last line is `N passed, N failed, N
skipped`; exits with 0 only if something passed and nothing failed, or if there was no kernel for --counts.
"""

import argparse
import collections
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
import gmem_results  # noqa: E402
from gmem_nested import HERE, SOURCE, Machine, MachineError, missing

PYTHON = '/usr/bin/python3'

# A test program in the machine: the command, in which {build} and {source} stand for the trees.
Program = collections.namedtuple('Program', 'name argv minutes')

# The machines by name: the properties of each, and what runs on it. None: the programs run here, and start their
# own machines.
MACHINES = {
    'contract': (
        {'nodes': 2},
        [
            Program('selftests', [PYTHON, '{source}/tests/nested/test_selftests.py'], 20),
            Program('contract', [PYTHON, '{source}/tests/nested/test_contract.py'], 10),
        ]),
    'plain': (
        {},
        [
            Program('kvm', [PYTHON, '{source}/tests/nested/test_kvm.py'], 5),
            Program('unit-kvm', ['{build}/tests/unit/util/test_kvm', '--tap'], 5),
            Program('domain', [PYTHON, '{source}/tests/nested/test_domain.py'], 20),
        ]),
    'lab-there': (
        {},
        [
            Program('lab-there', [PYTHON, '{source}/tests/nested/test_lab.py'], 30),
        ]),
    'lab': (
        None,
        [
            Program('lab', [PYTHON, '{source}/tests/nested/test_lab.py'], 60),
        ]),
    'numa': (
        {'nodes': 2},
        [
            Program('numa', [PYTHON, '{source}/tests/nested/test_numa.py'], 40),
        ]),
    'convertible': (
        {'hugepages': 32},
        [
            Program('convertible', [PYTHON, '{source}/tests/nested/test_convertible.py'], 20),
            Program('start', [PYTHON, '{source}/tests/nested/test_start.py'], 10),
        ]),
    'conversions': (
        {},
        [
            Program('conversions', [PYTHON, '{source}/tests/nested/test_conversions.py'], 20),
        ]),
    'linux': (
        {},
        [
            Program('linux', [PYTHON, '{source}/tests/nested/test_linux.py'], 30),
        ]),
    'secrets': (
        {},
        [
            Program('secrets', [PYTHON, '{source}/tests/nested/test_secrets.py'], 40),
        ]),
}

# What --quick runs of them, and the tests of Linux that it is limited to.
QUICK = ('contract', 'convertible', 'linux')
QUICK_LINUX = 'convertible, q35, seabios'

# What --counts runs: the others test KVM, require a guest's kernel, or start machines that cannot write to BUILD.
COUNTED = ('plain', 'numa', 'convertible', 'conversions')

# For boot and shutdown, in addition to the time that the programs may take.
BOOT_MINUTES = 5
# What is fast elsewhere is slow if each instruction is emulated, some of them twice.
PATIENCE = 300

BEGIN, END = '### begin ', '### end '


def script(where, linux, selftests, programs):
    """Text for sh that runs all programs, with lines before and after each for split(). @where: from main()'s
    command line; @linux: a kernel for guests; @selftests: the directory of KVM's selftests."""
    source, build = where.source, where.build
    lines = ['cd ' + shlex.quote(source),
             'export PYTHONDONTWRITEBYTECODE=1 GMEM_PATIENCE=%d' % PATIENCE,
             'export GMEM_SOURCE=%s GMEM_BUILD=%s' % (shlex.quote(source), shlex.quote(build)),
             'export GMEM_LINUX=%s GMEM_SELFTESTS=%s' % (shlex.quote(linux), shlex.quote(selftests)),
             # QEMU's first start is by far the slowest, with all its libraries over 9p, so it does not happen in a
             # test.
             'qemu-system-x86_64 -version >/dev/null']
    for program in programs:
        argv = [a.format(build=build, source=source) for a in program.argv]
        lines += ['echo "%s%s"' % (BEGIN, program.name),
                  'timeout --kill-after=20 %dm %s 2>&1' % (program.minutes, shlex.join(argv)),
                  'status=$?; echo; echo "%s$status"' % END]
    if where.counts:
        lines.append('sync')  # the machine ends without it
    return '\n'.join(lines)


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []
        # Of the machine that has just run: {'PROGRAM: TEST': 'passed', 'failed' or 'skipped: REASON'}.
        self.tests = {}

    def fail(self, machine, program, text):
        self.failed.append('%s/%s: %s' % (machine, program, text))
        self.tests['%s: %s' % (program, text)] = 'failed'

    def count(self, machine, program, lines, status):
        """Counts a program's TAP. @status: its exit status, or None if it did not come to its end."""
        plan, seen, bad = None, 0, 0
        for line in lines:
            if match := re.match(r'1\.\.(\d+)', line):
                plan = int(match.group(1))
                continue
            match = re.match(r'(not )?ok\b\s*\d*\s*(?:- )?(.*?)\s*(?:# (SKIP)\S*\s*(.*))?$', line)
            if not match:
                continue
            seen += 1
            name = '%s: %s' % (program, match.group(2))
            if match.group(1):
                bad += 1
                self.fail(machine, program, match.group(2))
            elif match.group(3):
                reason = match.group(4) or 'no reason given'
                self.skipped.append(('%s/%s' % (machine, name), reason))
                self.tests[name] = 'skipped: ' + reason
            else:
                self.passed += 1
                self.tests[name] = 'passed'
        if status is None:
            self.fail(machine, program, 'did not come to its end')
        elif status == 124:
            self.fail(machine, program, 'took too long')
        elif not seen or seen != plan:
            self.fail(machine, program, 'ran %d tests of %s planned' % (seen, plan))
        elif status and not bad:
            self.fail(machine, program, 'exited with status %d' % status)


def split(output):
    """{program: (its lines, its exit status or None)} from the output of a script()."""
    found, lines = {}, None
    for line in output.splitlines():
        if line.startswith(BEGIN):
            name, lines = line[len(BEGIN):], []
            found[name] = lines, None
        elif line.startswith(END) and lines is not None:
            found[name] = lines, int(line[len(END):])
            lines = None
        elif lines is not None:
            lines.append(line)
    return found


def run_here(text, kernel, files, follow):
    """Runs a script() on this machine, and returns its output."""
    os.makedirs(files, exist_ok=True)
    said = []
    with open(os.path.join(files, 'output'), 'w', encoding='utf-8') as log, \
            subprocess.Popen(['sh', '-c', text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors='replace',
                             env=dict(os.environ, GMEM_KERNEL=kernel)) as process:
        for line in process.stdout:
            log.write(line)
            said.append(line)
            follow(line)
    return ''.join(said)


def test_machine(name, kernel, linux, where, results):
    """@where: from main()'s command line."""
    options, programs = MACHINES[name]
    if where.quick:
        programs = [p._replace(argv=[*p.argv, QUICK_LINUX]) if p.name == 'linux' else p for p in programs]
    # If they are missing, the tests skip with that as the reason.
    selftests = get('build-kernel', where, '--selftests', *version_of(kernel)) if name == 'contract' else ''
    text = script(where, linux, selftests, programs)
    # From LINUX-HASH/bzImage.
    version = os.path.basename(os.path.dirname(kernel)).rpartition('-')[0]
    name = '%s/%s' % (version, name)
    files = os.path.join(where.logs, name)
    minutes = BOOT_MINUTES + sum(p.minutes for p in programs)
    print('machine %s: %s' % (name, ', '.join(p.name for p in programs)), flush=True)
    results.tests = {}

    def follow(text):
        sys.stdout.write(text)
        sys.stdout.flush()

    if options is None:
        output = run_here(text, kernel, files, follow)
    else:
        try:
            machine = Machine(kernel, root=where.root, source=where.source,
                              shared=where.build if where.counts else None, **options)
            result = machine.run(text, files=files, minutes=minutes, follow=follow)
        except MachineError as error:
            print('machine %s: %s' % (name, error))
            results.fail('machine ' + name, programs[0].name, str(error).split(';', maxsplit=1)[0])
            output = error.output
        else:
            print('machine %s: booted in %.1f s, done after %.0f s'
                  % (name, result.booted, result.seconds))
            for complaint in result.complaints:
                results.fail('machine ' + name, programs[0].name, 'the kernel said: ' + complaint)
            output = result.output
    found = split(output)
    for program in programs:
        results.count(name, program.name, *found.get(program.name, ([], None)))
    if not where.quick and not where.guest and not where.counts:
        record(version, where, [program.name for program in programs], results.tests)


def record(version, where, programs, tests):
    """Writes what came of the @tests of @programs beside the logs of that kernel, where results of other programs on
    the same releases stay."""
    found = gmem_results.userland(where.root)
    if not found:
        return
    # From linux-7.3.4-1~bpo13+1.
    found['linux'] = version.split('-')[1]
    path = os.path.join(where.logs, version, 'results.json')
    kept = {}
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            kept = json.load(file)
        kept = kept['tests'] if {**kept, 'tests': None} == {**found, 'tests': None} else {}
    kept = {name: what for name, what in kept.items() if name.partition(':')[0] not in programs}
    with open(path + '.new', 'w', encoding='utf-8') as file:
        json.dump({**found, 'tests': {**kept, **tests}}, file, indent=1)
    os.rename(path + '.new', path)


def version_of(kernel):
    """The words that name the kernel for build-kernel, from …/linux-X.Y.Z-HASH/bzImage."""
    return ['--linux', re.search(r'/linux-(\d+\.\d+)[^/]*/bzImage$', kernel)[1]]


def get(script_name, options, *more):
    """The path that one of the scripts here prints, or '' after it has printed the reason."""
    command = [os.path.join(HERE, script_name), *more]
    command += ['--cache', options.cache] if options.cache else []
    command += ['--renew'] if options.renew and '--selftests' not in more else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return '' if done.returncode else os.path.abspath(done.stdout.strip())


def copy_linux(linux, root):
    """Copies the kernel and what is beside it below @root; returns its path in there."""
    directory = os.path.dirname(linux)
    inner = os.path.join('/root', os.path.basename(directory))
    shutil.copytree(directory, root + inner, dirs_exist_ok=True)
    return os.path.join(inner, os.path.basename(linux))


def get_kernels(options):
    """([kernel of a machine], the kernel for guests); a kernel that could not be built is ''."""
    kernels = []
    for version in options.linux or ['']:
        kernels.append(get('build-kernel', options, *(['--linux', version] if version else []),
                           *(['--kept'] if options.counts else [])))
        if not kernels[-1] or options.counts:
            return kernels, ''
    # If it is missing, the tests skip with that as the reason.
    linux = os.path.abspath(options.guest) if options.guest else get('fetch-linux', options)
    if linux and not options.guest and 'secrets' in options.machines:
        subprocess.run([os.path.join(HERE, 'build-module'), linux], stdout=subprocess.DEVNULL, check=False)
    if linux and options.root != '/':
        linux = copy_linux(linux, options.root)
    return kernels, linux


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cache')
    parser.add_argument('--linux', action='append')
    parser.add_argument('--renew', action='store_true')
    parser.add_argument('--root', default='/')
    parser.add_argument('--source', default=SOURCE)
    parser.add_argument('--logs')
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--guest')
    parser.add_argument('--counts', action='store_true')
    parser.add_argument('build')
    parser.add_argument('machines', nargs='*', metavar='MACHINE')
    options = parser.parse_args()
    for name in options.machines:
        if name not in MACHINES:
            parser.error('no such machine: %s (but %s)' % (name, ', '.join(MACHINES)))
    options.machines = options.machines or (COUNTED if options.counts else QUICK if options.quick else MACHINES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = missing()
    if reason and not options.counts:
        sys.exit('run-nested.py: ' + reason)

    kernels, linux = ([], '') if reason else get_kernels(options)
    if options.counts and not any(kernels):
        print('nested runs are not counted: ' + (reason or 'no kernel was built for them (make check-nested)'))
        return 0
    if not all(kernels):
        return 1
    options.build = os.path.abspath(options.build)
    options.logs = options.logs or os.path.join(options.build, 'nested-logs')

    results = Results()
    for kernel, name in itertools.product(kernels, options.machines):
        test_machine(name, kernel, linux, options, results)
    for name, reason in results.skipped:
        print('SKIPPED %s (%s)' % (name, reason))
    for name in results.failed:
        print('FAILED  %s' % name)
    print('%d passed, %d failed, %d skipped'
          % (results.passed, len(results.failed), len(results.skipped)))
    return 1 if results.failed or not results.passed else 0


if __name__ == '__main__':
    sys.exit(main())
