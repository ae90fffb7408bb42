#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the tables of docs/compatibility.rst from the results of runs.

usage: table.py [--write] RESULTS…

RESULTS are the files that run-tests.py has written, one per release: build/results.json for this machine, and
build/matrix/RELEASE.json for chroots. --write puts the tables into the document; otherwise they are only
printed.
"""

import json
import os
import re
import sys

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'docs', 'compatibility.rst')
BEGIN = '.. made by tests/matrix/table.py from here\n'
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


def put(text, tables):
    """@text with the tables between its marks."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + '\n' + tables + '\n' + text[end:]


def main():
    files = [argument for argument in sys.argv[1:] if argument != '--write']
    if not files or any(file.startswith('-') for file in files):
        sys.exit(__doc__)
    runs = []
    for path in files:
        with open(path, encoding='utf-8') as file:
            runs.append(json.load(file))
    tables = make(sorted(runs, key=release_of))
    if '--write' not in sys.argv:
        print(tables, end='')
        return
    with open(DOCUMENT, encoding='utf-8') as file:
        text = file.read()
    with open(DOCUMENT, 'w', encoding='utf-8') as file:
        file.write(put(text, tables))


if __name__ == '__main__':
    main()
