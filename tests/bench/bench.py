#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library costs: one table that compares each figure with stock libvirt's.

usage: bench.py [--rounds N] [--domains N] [PIECE…]

Pieces: instructions, daemon, process, socket, start, many, first, linear, convertible, calls, memory; all of them
where none is named.

A row has the median of stock libvirt with an ordinary domain, and the ratio of the same with the library loaded; then
the median of stock libvirt with the lowered XML of a private domain (if it is started, of the ordinary domain again),
and the ratio of the private domain with the library. After each ratio, the distance of the quartiles of what it
compares is given in percent. The configurations take turns, so other load on the machine affects all of them. Only the
ratios are meaningful; numbers of instructions are exact to some tenths of a percent, and do not require an idle
machine.
"""

import argparse
import contextlib
import os
import re
import statistics
import sys
import time

import bench_calls
import bench_rig
import callgrind
import test_cost
from bench_rig import CONFIGURATIONS, LOADED, LOWERED, PRIVATE, STOCK, rig

HEAD = ('', 'stock', 'loaded', 'lowered', 'private', 'ours')
FORMAT = '%-38s %11s %15s %11s %15s %9s'


def head():
    print(FORMAT % HEAD, flush=True)


def scaled(value, unit):
    if unit == 'ns':
        return '%.1f us' % (value / 1000) if value < 1e7 else '%.1f ms' % (value / 1e6)
    if unit == 'KiB':
        return '%.1f MiB' % (value / 1024)
    return '%d' % value


def ratio(of, to):
    if len(of) < 4:
        return '%.3f' % (statistics.median(of) / statistics.median(to))
    return '%.3f (%2.0f, %2.0f)' % (statistics.median(of) / statistics.median(to),
                                    100 * bench_rig.spread(to), 100 * bench_rig.spread(of))


def row(name, results, unit, ours=''):
    """@results: {configuration: values}."""
    print(FORMAT % (name, scaled(statistics.median(results[STOCK]), unit),
                    ratio(results[LOADED], results[STOCK]),
                    scaled(statistics.median(results[LOWERED]), unit),
                    ratio(results[PRIVATE], results[LOWERED]), ours), flush=True)


def both_rows(name, results, busy):
    """@results: {configuration: (elapsed, processor time)}; @busy: whose processor time it is."""
    row(name, {key: [run[0] for run in runs] for key, runs in results.items()}, 'ns')
    row('  %s' % busy, {key: [run[1] for run in runs] for key, runs in results.items()}, 'ns')


@contextlib.contextmanager
def homes(kind, **options):
    """{configuration: a rig}; the rigs are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(kind(
            rig.library() if name in (LOADED, PRIVATE) else (), **options))
               for name in CONFIGURATIONS}


def xml_of(configuration, plain, private):
    return bench_rig.of_configuration(configuration, plain, private)[0]


def xml_to_start(configuration, plain, private):
    """The same for starts. QEMU without the library does not accept the lowered XML, so the private domain is compared
    with the ordinary one."""
    return private if configuration == PRIVATE else plain


# ---------------------------------------------------------------------------------------------

DAEMON = "the daemon's processor time"
SANDBOX = 'processor time, QEMU included'
CALLS = ('define', 'dumpxml', 'native')


def count_instructions(cells):
    """{configuration: [(all instructions, ours) of each of CALLS]}."""
    plain, private = (bench_rig.domain('vm', wish, cells) for wish in (False, True))
    counts = {}
    for name in CONFIGURATIONS:
        xml, has_library = bench_rig.of_configuration(name, plain, private)
        counts[name] = bench_rig.count(has_library, [xml] * len(CALLS), CALLS)
    return counts


def clients_of(rigs, embedded):
    return {name: bench_rig.Client(home, preload=home.preload if embedded else ())
            for name, home in rigs.items()}


def timed(client, piece, calls, xml, clock=bench_rig.daemon_time):
    return bench_rig.timed(client.home, clock, lambda: client.run(piece, calls, xml))


def measure_calls(kind, cells, rounds, calls, label):
    plain, private = (bench_rig.domain('vm', wish, cells) for wish in (False, True))
    with homes(kind) as rigs:
        clients = clients_of(rigs, kind is rig.EmbedRig)
        for piece in CALLS:
            runs = {}
            for name, client in clients.items():
                xml = xml_of(name, plain, private)
                client.run('warm-' + piece, 3, xml)
                runs[name] = lambda client=client, xml=xml: timed(client, piece, calls, xml)
            results = bench_rig.alternate(rounds, runs)
            name = '%s: %s, %d cell(s)' % (label, piece, cells)
            if kind is rig.EmbedRig:
                row(name, {key: [run[0] for run in runs] for key, runs in results.items()}, 'ns')
            else:
                both_rows(name, results, DAEMON)
        for client in clients.values():
            client.close()


def instructions(_):
    """Calls of an embedded driver, measured in instructions."""
    for cells in (1, 16):
        counts = count_instructions(cells)
        for i, piece in enumerate(CALLS):
            row('instructions: %s, %d cell(s)' % (piece, cells),
                {name: [counts[name][i][0]] for name in CONFIGURATIONS}, '',
                '%d' % counts[PRIVATE][i][1])


def daemon(_):
    """Calls over the socket of a daemon, measured in instructions of the daemon."""
    counts = {}
    for name in CONFIGURATIONS:
        xml, has_library = bench_rig.of_configuration(
            name, *(bench_rig.domain('vm', wish) for wish in (False, True)))
        counts[name] = bench_calls.dispatched(has_library, xml)
    for method in counts[STOCK]:
        row('daemon, instructions: %s' % method,
            {name: [total for total, _ in counts[name][method]] for name in CONFIGURATIONS}, '',
            '%d' % statistics.mean(ours for _, ours in counts[PRIVATE][method]))


def process(options):
    """Calls of an embedded driver, measured in processor time."""
    for cells in (1, 16):
        measure_calls(rig.EmbedRig, cells, options.rounds, 10, 'process')


def socket(options):
    """Calls over the socket of a daemon, measured in elapsed time."""
    measure_calls(rig.DaemonRig, 1, options.rounds, 10, 'socket')
    with homes(rig.DaemonRig) as rigs:
        clients = clients_of(rigs, False)
        runs = {}
        for name, client in clients.items():
            for i in range(500):
                client.run('warm-define', 1, xml_of(
                    name, *(bench_rig.domain('vm-%d' % i, wish) for wish in (False, True))))
            xml = next(iter(client.files))
            client.run('warm-list', 1, xml)
            runs[name] = lambda client=client, xml=xml: timed(client, 'list', 1, xml)
        both_rows('socket: list + dumpxml, 500 domains', bench_rig.alternate(options.rounds, runs), DAEMON)
        for client in clients.values():
            client.close()


def start(options):
    """Complete starts, and saves, of a guest that checks its RAM."""
    with homes(rig.DaemonRig) as rigs:
        clients, runs = clients_of(rigs, False), {}
        for name, client in clients.items():
            boot = rigs[name].guest_image('vm')
            xml = xml_to_start(name, *(rig.domain('vm', private=wish, boot=boot)
                                       for wish in (False, True)))
            client.run('warm-define', 1, xml)
            client.run('warm-start', 1, xml)
            runs[name] = (client, xml)
        for piece in ('start', 'save'):
            if piece == 'save':
                for client, xml in runs.values():
                    client.run('create', 1, xml)
            both_rows('socket: %s' % {'start': 'start + destroy', 'save': 'managed save + start'}[piece],
                      bench_rig.alternate(max(options.rounds // 2, 5), {
                          name: lambda client=client, xml=xml: timed(client, piece, 1, xml,
                                                                     bench_rig.sandbox_time)
                          for name, (client, xml) in runs.items()}), SANDBOX)
        for client, xml in runs.values():
            client.run('destroy', 1, xml)
            client.close()


def many(options):
    """A daemon with many domains: its start, its memory, and the calls that list them."""
    results = {piece: {name: [] for name in CONFIGURATIONS}
               for piece in ('daemon starts', 'memory', 'list', 'list + dumpxml')}
    with homes(rig.DaemonRig) as rigs:
        for name, home in rigs.items():
            client = bench_rig.Client(home)
            home.last = xml_of(name, *(bench_rig.domain('vm-0', wish) for wish in (False, True)))
            client.run('warm-define', 1, home.last)
            client.close()
            stored = home.read('/etc/libvirt/qemu/vm-0.xml')
            for i in range(1, options.domains):
                other = 'vm-%d' % i
                home.write('/etc/libvirt/qemu/%s.xml' % other, stored.replace('vm-0', other).replace(
                    rig.domain_uuid('vm-0'), rig.domain_uuid(other)))
        for number in range(3):
            for name in CONFIGURATIONS[number % 4:] + CONFIGURATIONS[:number % 4]:
                home = rigs[name]
                home.stop_daemon()
                begin = time.monotonic_ns()
                home.start_daemon()
                results['daemon starts'][name].append(time.monotonic_ns() - begin)
                client = bench_rig.Client(home)
                client.run('warm-list', 1, home.last)
                results['list + dumpxml'][name] += client.run('list', 2, home.last)
                results['list'][name] += client.run('names', 5, home.last)
                client.close()
                process_of = [p for p in home.processes() if p.exe.endswith('libvirtd')]
                results['memory'][name].append(process_of[0].rss / 1024)
    for piece, values in results.items():
        row('%d domains: %s' % (options.domains, piece), values,
            'KiB' if piece == 'memory' else 'ns')


def first(options):
    """An emulator that has not been asked before: the first definition and the first start."""
    results = {piece: {name: [] for name in CONFIGURATIONS} for piece in ('define', 'define + start')}
    for number in range(max(options.rounds // 4, 4)):
        for name in CONFIGURATIONS[number % 4:] + CONFIGURATIONS[:number % 4]:
            has_library = name in (LOADED, PRIVATE)
            with rig.DaemonRig(rig.library() if has_library else ()) as home:
                boot = home.guest_image('vm')
                xml = xml_to_start(name, *(rig.domain('vm', private=wish, boot=boot)
                                           for wish in (False, True)))
                client = bench_rig.Client(home)
                define, create = (timed(client, piece, 1, xml, bench_rig.sandbox_time)
                                  for piece in ('define', 'create'))
                results['define'][name] += define
                results['define + start'][name] += [tuple(map(sum, zip(*define, *create)))]
                client.run('destroy', 1, xml)
                client.close()
    for piece, runs in results.items():
        both_rows('unasked emulator: %s' % piece, runs, SANDBOX)


def linear(_):
    """The instructions of our own code for each thing that a domain has many of, without libvirt: to lower the XML (the
    cost of a definition), to raise it (the cost of the first dump, and of each further dump), and to build the command
    line."""
    table = (
        ('cells', (16, 64, 256, 1024, 4096), lambda n: {'cells': n}),
        ('disks', (10, 100, 1000, 10000), lambda n: {'devices': n}),
        ('bytes of metadata', (1024, 65536, 1 << 20, 4 * 1000 * 1000), lambda n: {'metadata': n}))
    print('\nour own instructions for each more: from one size to the next')
    for what, sizes, arguments in table:
        xmls = [bench_rig.domain('vm', True, **arguments(n)) for n in sizes]
        print_steps('lower', what, sizes, xmls)
        xmls = [bench_rig.lowered(xml) for xml in xmls]
        print_steps('raise', what, sizes, xmls)
        print_steps('again', what, sizes, xmls)
    sizes = (1, 2, 4, 8, 16, 32, 64, 128)
    print_steps('native', 'cells', sizes, [test_cost.native(n, True) for n in sizes])


def print_steps(piece, what, sizes, texts):
    counts = callgrind.count(bench_rig.PIECES, [(piece, text) for text in texts])
    steps = ((sizes[i], (counts[i] - counts[i - 1]) / (sizes[i] - sizes[i - 1]))
             for i in range(1, len(sizes)))
    print('%-8s %-18s %s' % (piece, what, '  '.join('%d: %.2f' % step for step in steps)), flush=True)


def convertible(_):
    """The shim's own instructions for an exit of KVM_RUN that is not a conversion, and for conversions."""
    print('\nour own instructions in the QEMU of a convertible guest')
    for name, count in test_cost.measure_shim(bench_rig.SHIM).items():
        print('%-50s %d' % (name, count), flush=True)


def calls(_):
    """The daemon's instructions for each call that the library is in front of, on an ordinary domain."""
    print('\n%-28s %11s %7s %8s %6s  %s' % ('call on an ordinary domain', "libvirt's", 'ours', 'all',
                                            'ratio', 'what it makes libvirt do'))
    for name, real, ours, added, also in bench_calls.measure():
        print('%-28s %11d %7d %8d %6.3f  %s' % (name, real, ours, added, 1 + added / real, also), flush=True)
    print('\n%-28s %11s %7s %8s %6s' % ('program that it executes in', "the child's", 'ours', 'all', 'ratio'))
    for name, child, ours, added in bench_calls.executed():
        print('%-28s %11d %7d %8d %6.3f' % (name, child, ours, added, 1 + added / child), flush=True)


def memory(options):
    """Guest RAM: processor time until it is allocated, and for the first write to each page after that."""
    form = '%-32s %11s %19s %11s %19s %19s'
    print('\n' + form % ('processor time of guest RAM', 'memfd', 'guest_memfd', 'then written',
                         'guest_memfd', 'both'), flush=True)
    for mib in (1024, 4096):
        for how, threads in (('none', 1), ('populate', 1), ('populate', 2), ('fallocate', 1)):
            results = bench_rig.alternate(max(options.rounds // 5, 2), {
                kind: lambda kind=kind, mib=mib, how=how, threads=threads: [
                    bench_rig.fill(kind, mib, how, threads)] for kind in ('memfd', 'guest')})
            columns = []
            for step in (lambda run: run[0], lambda run: run[1], sum):
                memfd, guest = (list(map(step, results[kind])) for kind in ('memfd', 'guest'))
                columns += [scaled(statistics.median(memfd), 'ns'), ratio(guest, memfd)]
            del columns[4]
            print(form % ('%d MiB: %s, %d thread(s)' % (mib, how, threads), *columns), flush=True)


PIECES = {'instructions': instructions, 'daemon': daemon, 'process': process, 'socket': socket, 'start': start,
          'many': many, 'first': first, 'linear': linear, 'convertible': convertible, 'calls': calls,
          'memory': memory}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--domains', type=int, default=10000)
    parser.add_argument('pieces', nargs='*', metavar='PIECE', choices=[*PIECES, []])
    options = parser.parse_args()
    reason = rig.need_root()
    if reason:
        sys.exit('bench.py: ' + reason)
    print('%s, %d processors, load %s; libvirt %s; Linux %s' % (
        re.search(r'model name\s*: (.*)', open('/proc/cpuinfo', encoding='utf-8').read()).group(1),
        os.cpu_count(), open('/proc/loadavg', encoding='utf-8').read().split()[0],
        '.'.join(map(str, rig.libvirt_version())), os.uname().release))
    head()
    with contextlib.ExitStack() as leftovers:
        leftovers.callback(rig.close_all)
        for name in options.pieces or PIECES:
            PIECES[name](options)


if __name__ == '__main__':
    main()
