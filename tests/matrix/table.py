#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the tables of docs/compatibility.rst from the results of runs.

usage: table.py [--write] RESULTS…

RESULTS are the files that run-tests.py has written, one per release: build/results.json for this machine, and
build/matrix/RELEASE.json for chroots; or those that nested/run-nested.py has written, one per kernel:
build/nested-logs/LINUX/results.json, and build/matrix/RELEASE.nested/LINUX/results.json for chroots. --write puts
the tables into the document; otherwise they are only printed. The table of kernels is made of all the files in
nested/results, to which --write adds, or in which it replaces, those named.
"""

import glob
import json
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
DOCUMENT = os.path.join(TOP, 'docs', 'compatibility.rst')
RECORDED = os.path.join(TOP, 'tests', 'nested', 'results')
BEGIN = '.. made by tests/matrix/table.py from here\n'
BEGIN_KERNELS = '.. made by tests/matrix/table.py of tests/nested/results from here\n'
END = '.. to here\n'

# The modes and features that a user asks for, and the programs that try each on a real QEMU with the
# release's libvirt.
AREAS = (
    ('Definition, start, edit, the whole life', ('lifecycle', 'calls', 'shapes', 'arguments', 'argv_starts')),
    ('No start without private memory', ('failclosed', 'files', 'faults')),
    ('Save, restore, managed save', ('calls_save',)),
    ('Snapshots and checkpoints', ('calls_snapshot',)),
    ('Migration between hosts', ('migrate',)),
    ('Memory statistics, balloon, dump, NUMA, huge pages', ('calls_memory', 'numa_hugepages', 'core_dump')),
    ('Devices, attached and detached', ('devices_table', 'witness')),
    ('virtiofs', ('virtiofs',)),
    ('UEFI firmware', ('firmware',)),
    ('Domains as users and their tools write them', ('userdomains', 'large')),
    ("Rules of ``gmem.conf``", ('rules',)),
    ('``domcapabilities``', ('domcaps',)),
    ('Sessions', ('session',)),
    ('Domains without the elements are as ever', ('stock', 'calls_stock', 'door', 'stress')),
    ('Convertible guests, without a kernel that has them', ('convertible_running', 'ways_around')),
    ('A QEMU with guest_memfd backends, by a stand-in', ('offers',)),
    ('OpenStack Nova', ('nova',)),
    ('virt-install, virt-xml and virt-clone', ('virtinst',)),
)

# Where the tests of run-nested.py belong, by the beginnings of their names.
MODES = (
    ('KVM by itself', r'(selftests|contract|kvm|unit-kvm): '),
    ('Fully shared', r'(domain|numa|linux): (?!convertible)'),
    ('Convertible', r'(convertible|start|conversions): |(numa|linux): convertible'),
    ('Linux with secrets', r'secrets: '),
    ('The lab', r'lab(-there)?: '),
)


def release_of(results):
    """`Debian 13` from 13.8, `Debian unstable` from forky/sid."""
    version = re.match(r'\d+', results['debian'])
    return 'Debian ' + (version.group() if version else 'unstable')


def short(version):
    """10.0 from 10.0.13."""
    return '.'.join(version.split('.')[:2])


def table(rows):
    """A table in reStructuredText, with its first row as the header."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = ' '.join('=' * width for width in widths)
    lines = [' '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return '\n'.join([rule, lines[0], rule, *lines[1:], rule]) + '\n'


def outcome(results, programs):
    """The result of those programs: all of their tests, some, or none."""
    ran = [results['programs'][name] for name in ('e2e-' + program for program in programs)
           if name in results['programs']]
    passed, failed = (sum(program[what] for program in ran) for what in ('passed', 'failed'))
    skipped = sum(len(program['skipped']) for program in ran)
    if failed:
        return '%d FAILED' % failed
    if not passed:
        return 'not run'
    return 'all %d' % passed if not skipped else '%d of %d' % (passed, passed + skipped)


def make(runs):
    """Both tables for @runs, with the oldest release first."""
    heads = [('Release', 'libvirt', 'QEMU', 'Linux', 'Tests passed', 'Tests skipped')]
    for run in runs:
        counts = run['programs'].values()
        heads.append((release_of(run), short(run['libvirt']), short(run['qemu']), short(run['linux']),
                      str(sum(count['passed'] for count in counts)),
                      str(sum(len(count['skipped']) for count in counts))))
    areas = [('On real KVM', *(release_of(run) for run in runs))]
    areas += [(text, *(outcome(run, programs) for run in runs)) for text, programs in AREAS]
    return table(heads) + '\n' + table(areas)


def mode_outcome(tests, pattern):
    """The result of the tests that belong to that mode."""
    ran = [what for name, what in tests.items() if re.match(pattern, name)]
    passed, failed = ran.count('passed'), ran.count('failed')
    if failed:
        return '%d FAILED' % failed
    if not ran:
        return 'not run'
    return 'all %d' % passed if passed == len(ran) else '%d of %d' % (passed, len(ran))


def order(run):
    """Sorts by kernel, and by release."""
    return [int(number) for number in re.findall(r'\d+', run['linux'])], release_of(run)


def make_kernels(runs):
    """The table of what run-nested.py has left: kernel, libvirt and QEMU by mode."""
    rows = [('Linux', 'Release', 'libvirt', 'QEMU', *(text for text, _ in MODES))]
    for run in sorted(runs, key=order):
        rows.append((run['linux'], release_of(run), short(run['libvirt']), short(run['qemu']),
                     *(mode_outcome(run['tests'], pattern) for _, pattern in MODES)))
    return table(rows)


def recorded(directory=RECORDED):
    return [load(path) for path in sorted(glob.glob(os.path.join(directory, '*.json')))]


def save(runs, directory=RECORDED):
    """Adds them to what is recorded, or replaces what is about the same kernel and release."""
    for run in runs:
        name = '%s-linux-%s.json' % (release_of(run).lower().replace(' ', '-'), run['linux'])
        with open(os.path.join(directory, name), 'w', encoding='utf-8') as file:
            json.dump(run, file, indent=1)
            file.write('\n')


def part(text, begin=BEGIN):
    """Where the tables after that mark begin and end in @text."""
    at = text.index(begin) + len(begin)
    return at, text.index(END, at)


def put(text, tables, begin=BEGIN):
    """@text with the tables between its marks."""
    start, end = part(text, begin)
    return text[:start] + '\n' + tables + '\n' + text[end:]


def load(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def main():
    files = [argument for argument in sys.argv[1:] if argument != '--write']
    if not files or any(file.startswith('-') for file in files):
        sys.exit(__doc__)
    runs = [load(path) for path in files]
    releases, kernels = ([run for run in runs if kind in run] for kind in ('programs', 'tests'))
    write = '--write' in sys.argv
    if write:
        save(kernels)
        kernels = kernels and recorded()
    made = {BEGIN: releases and make(sorted(releases, key=release_of)),
            BEGIN_KERNELS: kernels and make_kernels(kernels)}
    with open(DOCUMENT, encoding='utf-8') as file:
        text = file.read()
    for begin, tables in made.items():
        if tables and write:
            text = put(text, tables, begin)
        elif tables:
            print(tables, end='')
    if write:
        with open(DOCUMENT, 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    main()
