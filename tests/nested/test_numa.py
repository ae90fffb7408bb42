#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the pages of a private domain's cells really are, on a host with two NUMA nodes.

The kernel is asked for each page that the guest has written, by move_pages(2), twice: for QEMU's own mapping, and
for a mapping of the same guest_memfd in the test."""

import collections
import contextlib
import ctypes
import mmap
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
import gmem_evidence
from gmem_checks import Guest, evidence, shows_private
from gmem_private import WHY_OLD, Running, daemon, middle
from gmem_rig import KIB, MIB, DaemonRig, Skip, Suite, domain, library, need_root

SYS_MOVE_PAGES = 279
MPOL_MF_MOVE_ALL = 4
PAGE = gmem_evidence.PAGE

NO_POLICY = ('cells bound to different host nodes require a kernel that keeps a NUMA policy on '
             'guest_memfd, and Linux ')

suite = Suite()
_libc = ctypes.CDLL(None, use_errno=True)


def nodes_of(pid, addresses, move=None):
    """The node of each page of process @pid (0: this one), or a negative errno. @move: a node to which the pages
    are moved before."""
    count = len(addresses)
    pages = (ctypes.c_void_p * count)(*addresses)
    nodes = None if move is None else (ctypes.c_int * count)(*[move] * count)
    status = (ctypes.c_int * count)(*[-1000] * count)
    if _libc.syscall(SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, nodes, status,
                     MPOL_MF_MOVE_ALL if nodes else 0) < 0:
        error = ctypes.get_errno()
        raise OSError(error, 'move_pages: ' + os.strerror(error))
    return list(status)


def placement(check, pid, backend):
    """{offset: node} of all resident pages of a backend."""
    offsets = [i * PAGE for i, byte in enumerate(backend._residency(0, backend.size)) if byte & 1]
    base = backend._map()
    for offset in offsets:
        ctypes.string_at(base + offset, 1)  # creates entries in our own page table, where move_pages looks
    ours = nodes_of(0, [base + offset for offset in offsets])
    strays = [n for n in ours if n < 0]
    check.equal(strays, [], 'pages of %s that the kernel cannot place' % backend.id)
    theirs = nodes_of(pid, [backend.mapping.start + offset for offset in offsets])
    # QEMU has not touched all of them itself, but KVM gave them to the guest through its mapping.
    both = [(a, b) for a, b in zip(ours, theirs) if b >= 0]
    check.true(len(both) * 10 >= len(ours) * 9,
               'only %d of %d pages are in the page table of QEMU' % (len(both), len(ours)))
    check.equal([pair for pair in both if pair[0] != pair[1]], [], 'pages with two answers')
    return dict(zip(offsets, ours))


def tune(memory='', **cells):
    return '<numatune>%s%s</numatune>' % (memory, ''.join(
        "<memnode cellid='%s' mode='%s' nodeset='%s'/>" % (cell[1:], mode, nodes)
        for cell, (mode, nodes) in sorted(cells.items())))


@contextlib.contextmanager
def running(check, sizes, numatune, **options):
    """A private domain, @sizes in MiB, whose guest has written all its pages; yields its backends."""
    if WHY_OLD:
        raise Skip(WHY_OLD)
    with DaemonRig(library()) as rig:
        client = rig.virsh()
        rig.write('/run/serial', '')
        if len(sizes) > 1:
            options['cells'] = [size * KIB for size in sizes]
        else:
            options['memory'] = sizes[0] * KIB
        client.define(domain('vm', boot=rig.guest_image('vm'), serial='/run/serial', body=numatune,
                             **options))
        shows_private(check, client.dumpxml('vm'))
        client.start('vm')
        guest = Guest(rig, '/run/serial')
        guest.wait_pass()
        emulator = rig.emulator('vm')
        evidence(check, emulator, [size * MIB for size in sizes], guest.text)
        with gmem_evidence.backends(emulator.pid) as found:
            yield emulator.pid, found
        client.destroy('vm')


def bound(name, sizes, numatune, wanted, **options):
    """@wanted: for each cell the node where all its pages must be, None if any node is allowed."""
    @suite.test(name)
    def _(check):
        with running(check, sizes, numatune, **options) as (pid, found):
            for backend, node in zip(found, wanted):
                count = collections.Counter(placement(check, pid, backend).values())
                print('# %s: %s' % (backend.id, ', '.join(
                    '%d pages on node %d' % (pages, at) for at, pages in sorted(count.items()))))
                if node is not None:
                    check.equal(set(count), {node}, 'nodes with pages of ' + backend.id)


@suite.test('the machine has two NUMA nodes')
def _(check):
    with open('/sys/devices/system/node/has_memory', encoding='ascii') as file:
        check.equal(file.read().strip(), '0-1', 'nodes with memory')


# Both orders, because one of them the kernel would have chosen by itself.
bound('cells bound straight', [20, 30], tune(_0=('strict', '0'), _1=('strict', '1')), [0, 1])
bound('cells bound crosswise', [20, 30], tune(_0=('strict', '1'), _1=('strict', '0')), [1, 0])
bound('one cell bound, q35', [20, 30], tune(_1=('strict', '1')), [None, 1], machine='q35')
bound('all bound, no cells', [24], tune("<memory mode='strict' nodeset='1'/>"), [1])
bound('a preferred node', [24], tune("<memory mode='preferred' nodeset='1'/>"), [1])


@suite.test('interleaved')
def _(check):
    # This does not depend on the offset: KVM assigns nodes in turn to each thread that allocates pages.
    memory = "<memory mode='interleave' nodeset='0-1'/>"
    with running(check, [24], tune(memory)) as (pid, found):
        placed = placement(check, pid, found[0])
        pairs = [(placed[o], placed[o + PAGE]) for o in placed if o + PAGE in placed]
        check.true(len(pairs) > 4096, 'hardly two pages side by side')
        same = sum(a == b for a, b in pairs)
        check.true(same * 50 < len(pairs),
                   '%d of %d neighbours are on one node' % (same, len(pairs)))
        count = collections.Counter(placed.values())
        check.true(abs(count[0] - count[1]) * 50 < len(placed), 'pages by node: %r' % count)


@suite.test('pages of guest_memfd go to no other node, those of a memfd do')
def _(check):
    with running(check, [24], tune("<memory mode='strict' nodeset='0'/>")) as (pid, found), \
            mmap.mmap(-1, 64 * PAGE) as own:
        own[:] = b'x' * len(own)
        pages = range(0, len(own), PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(own))
        for node in (0, 1):
            check.equal(set(nodes_of(0, [address + o for o in pages], move=node)), {node},
                        'nodes of ordinary pages that were bound to %d' % node)
        start = found[0].mapping.start + 8 * MIB
        before = nodes_of(pid, [start + o for o in pages])
        check.equal(set(before), {0}, 'nodes of guest RAM')
        said = nodes_of(pid, [start + o for o in pages], move=1)
        check.true(1 not in said, 'move_pages says %r' % said)
        check.equal(nodes_of(pid, [start + o for o in pages]), before, 'nodes of guest RAM after it')


def convertible(name, numatune, wanted):
    """@wanted: for each cell the node of its private pages. These cannot be mapped, but the memory cgroup counts
    them by node."""
    @suite.test(name)
    def _(check):
        pages = 1024
        if WHY_OLD and len(set(wanted)) > 1:
            with daemon() as (rig, client):
                check.refused(lambda: Running(rig, client, body=numatune), part=NO_POLICY)
            return
        with daemon() as (rig, client), Running(rig, client, body=numatune) as vm:
            for number, (cell, node) in enumerate(zip(vm.cells, wanted)):
                at = middle(cell, pages)
                before = vm.nodes()
                check.equal(vm.guest.private(at, pages), 0, 'answer to the hypercall')
                check.equal(vm.guest.write(at, pages, 1), pages, 'pages written')
                grown = {n: size - before.get(n, 0) for n, size in vm.nodes().items()}
                print('# private pages of cell %d: %r bytes more by node' % (number, grown))
                check.true(grown[node] >= pages * PAGE * 9 // 10, 'not on node %d' % node)
                check.true(grown[1 - node] <= pages * PAGE // 10, 'on the other node')


convertible('convertible: private pages of cells bound straight',
            tune(_0=('strict', '0'), _1=('strict', '1')), [0, 1])
convertible('convertible: private pages of cells bound crosswise',
            tune(_0=('strict', '1'), _1=('strict', '0')), [1, 0])
convertible('convertible: private pages of a domain that is bound to one node',
            tune("<memory mode='strict' nodeset='1'/>"), [1, 1])


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
