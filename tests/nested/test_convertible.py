#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Software-protected VMs on a real KVM: stock libvirt, stock QEMU, and a guest that makes pages
private."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_checks import shows_private
from gmem_private import BLOCKS, EINVAL, PAGE, Running, daemon, middle, pattern, seeds, status
from gmem_rig import MIB, DaemonRig, EmbedRig, Suite, library, need_root, wait_for

suite = Suite()


def keeps_secrets(t, vm, machine):
    """What must work on every machine and with every way to boot: the guest's side, then the host's."""
    guest, pages = vm.guest, 8
    secret, known = seeds(2)
    t.equal((vm.said['cpus'], vm.said['hypercall'].split()[1]), ('2', 'yes'), 'what the guest found')
    t.equal([end - start for start, end in vm.cells], vm.sizes, 'sizes of cells')
    for cell in vm.cells:
        at = middle(cell, 4 * pages)
        t.equal(guest.private(at, pages), 0, 'answer to the hypercall')
        t.equal(guest.zeros(at, pages), pages, 'pages of zeros after it')
        t.equal(guest.write(at, pages, secret), pages, 'pages written')
        t.equal(guest.write(at + pages * PAGE, pages, known), pages, 'shared pages written')
    for cell in vm.cells:
        at = middle(cell, 4 * pages)
        t.equal(guest.verify(at, pages, secret), pages, 'private pages that kept their content')
        t.equal(guest.verify(at + pages * PAGE, pages, known), pages, 'shared pages that did')
    wanted = (pattern(secret), pattern(known))
    copies = len(vm.cells) * pages * BLOCKS
    if vm.client.kind == 'virsh':
        hidden, seen = vm.in_pmemsave(*wanted)
        t.equal((hidden, seen), (0, copies), 'private and shared pattern in pmemsave on ' + machine)
    hidden, seen = vm.in_address_space(*wanted)
    t.equal(hidden, 0, 'copies of the private pattern in QEMU')
    t.true(seen >= copies, 'the shared pattern is in QEMU %d times only' % seen)
    for backend, cell in zip(vm.status()['backends'], vm.cells):
        t.equal((backend['private'], backend['shared']),
                (pages * PAGE, cell[1] - cell[0] - pages * PAGE), 'bytes of ' + backend['id'])
        t.equal(backend['size'], cell[1] - cell[0], 'size of ' + backend['id'])
        # A kernel without cachestat(2) does not report it.
        t.true(backend['resident-guest-memfd'] in (None, pages * PAGE), 'private pages in memory: %r'
               % backend['resident-guest-memfd'])
        # Reading all of guest memory from the host, as pmemsave does, allocates pages of the shared half
        # where the guest's are private.
        t.true(pages * PAGE <= backend['resident-ordinary'] <= backend['size'],
               'shared pages in memory: %d' % backend['resident-ordinary'])
    t.equal([holder['process'] for holder in vm.status()['holders']], [vm.pid], 'who has it')
    for cell in vm.cells:
        at = middle(cell, 4 * pages)
        t.equal(guest.shared(at, pages // 2), 0, 'answer to the hypercall back')
        t.equal(guest.zeros(at, pages), pages // 2, 'pages of zeros after it')
        t.equal(guest.verify(at, pages, secret), pages // 2, 'pages that stayed private')
        t.equal(guest.verify(at + pages * PAGE, pages, known), pages, 'their shared neighbours')
    t.equal(vm.in_address_space(wanted[0]), [0], 'copies of the private pattern after that')


SHAPES = [
    (DaemonRig, 'pc', 'rom'),
    (DaemonRig, 'pc', 'disk'),
    (EmbedRig, 'q35', 'disk'),
]


def shape(kind, machine, boot):
    @suite.test('%s, %s, boots from %s: secrets in private pages' % (kind.name, machine, boot))
    def _(t):
        with kind(library()) as rig:
            # What an embedded driver has started ends with its process, and virsh is one process for each
            # call.
            client = rig.virsh() if kind is DaemonRig else rig.python()
            with Running(rig, client, machine=machine, boot=boot) as vm:
                shows_private(t, vm.client.dumpxml('vm'))
                t.equal(vm.said['start'], boot, 'how it booted')
                keeps_secrets(t, vm, machine)


for each in SHAPES:
    if each[0] is DaemonRig:
        shape(*each)


@suite.test('libvirtd, q35, boots from rom: secrets, errors, reset and a core dump')
def _(t):
    with daemon() as (rig, client), Running(rig, client) as vm:
        keeps_secrets(t, vm, 'q35')
        errors(t, vm)
        resets(t, vm)
        core(t, vm)


def errors(t, vm):
    """A range that is not RAM, not completely RAM, or does not consist of whole pages, changes nothing."""
    guest, (secret,) = vm.guest, seeds(1)
    end = vm.cells[-1][1]
    t.equal(guest.private(end - PAGE, 1), 0, 'answer for the last page')
    guest.write(end - PAGE, 1, secret)
    before = vm.status()
    for what, arguments in (('one page after RAM', (end, 1, 0x10)),
                            ('the last page and one after it', (end - PAGE, 2, 0)),
                            ('a lot more than RAM', (0x100000, 0xfff00, 0x10)),
                            ('the firmware', (0xfffff000, 1, 0x10)),
                            ('half a page', (0x100800, 1, 0x10)),
                            ('no page', (0x100000, 0, 0x10))):
        t.equal(guest.ask('c', *arguments), EINVAL, 'answer for ' + what)
    after = vm.status()
    counts = ('private', 'shared', 'to-private', 'to-shared')
    t.equal([[backend[count] for count in counts] for backend in after['backends']],
            [[backend[count] for count in counts] for backend in before['backends']],
            'numbers of backends')
    t.true(after['refused'] > before['refused'], 'refused ones are not counted')
    t.equal(guest.verify(end - PAGE, 1, secret), 1, 'the last page')
    # A range that is already private, in part or completely, keeps its contents.
    t.equal(guest.private(end - 2 * PAGE, 2), 0, 'answer for a page more')
    t.equal((guest.zeros(end - 2 * PAGE, 2), guest.verify(end - PAGE, 1, secret)), (1, 1),
            'the page more, and the former')
    # Both cells in one call.
    border = vm.cells[0][1]
    t.equal(guest.private(border - PAGE, 2), 0, 'answer for a range over two cells')
    guest.write(border - PAGE, 2, secret)
    t.equal(vm.in_address_space(pattern(secret)), [0], 'copies of it in QEMU')
    t.equal(guest.shared(border - PAGE, 2), 0, 'answer for the way back')
    t.equal(guest.zeros(border - PAGE, 2), 2, 'pages of zeros after it')


def resets(t, vm):
    """However the guest is reset, its memory is shared afterwards, and what was private is gone."""
    guest, pages = vm.guest, 16
    for way in ('by itself', 'by virsh reset'):
        secret, known = seeds(2)
        count = vm.status()['resets']
        for cell in vm.cells:
            at = middle(cell, 2 * pages)
            guest.private(at, pages)
            guest.write(at, pages, secret)
            guest.write(at + pages * PAGE, pages, known)
        if way == 'by itself':
            guest.tell('r')
        else:
            vm.client.reset(vm.name)
        guest.wait_ready()
        now = vm.status()
        t.equal(now['resets'], count + 1, 'resets counted, ' + way)
        t.equal([b['private'] for b in now['backends']], [0] * len(vm.cells), 'private bytes, ' + way)
        for cell in vm.cells:
            at = middle(cell, 2 * pages)
            t.equal(guest.zeros(at, pages), pages, 'pages of zeros where it was private')
            t.equal(guest.private(at, pages), 0, 'answer to the hypercall')
            t.equal(guest.zeros(at, pages), pages, 'pages of zeros when private again')
            t.equal(guest.shared(at, pages), 0, 'answer to the hypercall back')
        t.equal(vm.in_address_space(pattern(secret)), [0], 'copies of the secret in QEMU')


def core(t, vm):
    guest, pages = vm.guest, 4
    secret, known = seeds(2)
    for cell in vm.cells:
        at = middle(cell, 2 * pages)
        guest.private(at, pages)
        guest.write(at, pages, secret)
        guest.write(at + pages * PAGE, pages, known)
    hidden, seen = vm.in_core(pattern(secret), pattern(known))
    t.equal(hidden, 0, 'copies of the private pattern in a core dump')
    t.true(seen >= len(vm.cells) * pages * BLOCKS, 'the shared one is there %d times only' % seen)


@suite.test('two domains at once have nothing to do with each other')
def _(t):
    with daemon() as (rig, client), Running(rig, client, 'one') as one, \
            Running(rig, client, 'two', machine='pc', cells=(18, 22)) as two:
        secrets = seeds(2)
        ats = [middle(vm.cells[1], 8) for vm in (one, two)]
        for vm, secret, at in zip((one, two), secrets, ats):
            vm.guest.private(at, 8)
            vm.guest.write(at, 8, secret)
        found = {domain['name']: domain for domain in status()}
        t.equal({name: found[name]['process'] for name in ('one', 'two')},
                {'one': one.pid, 'two': two.pid}, 'what virt-gmem lists')
        wanted = [pattern(secret) for secret in secrets]
        for vm in (one, two):
            t.equal(vm.in_address_space(*wanted), [0, 0], 'secrets in the QEMU of ' + vm.name)
        one.client.reset('one')
        one.guest.wait_ready()
        t.equal(one.status()['backends'][1]['private'], 0, 'private bytes after a reset')
        t.equal(two.status()['backends'][1]['private'], 8 * PAGE, 'those of the other')
        t.equal(two.guest.verify(ats[1], 8, secrets[1]), 8, 'pages of the other')
        one.client.destroy('one')
        wait_for(lambda: not one.emulator.alive, 'the one to end')
        t.equal(two.guest.verify(ats[1], 8, secrets[1]), 8, 'pages of the other after its end')


def free_huge_pages():
    with open('/proc/meminfo', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('HugePages_Free:'))


@suite.test('huge pages of the shared half go when all of them is private, and not before')
def _(t):
    with daemon() as (rig, client), Running(rig, client, backing='<hugepages/>') as vm:
        huge = 2 * MIB // PAGE
        at = (middle(vm.cells[1], 2 * huge) + 2 * MIB - 1) // (2 * MIB) * 2 * MIB
        secret, known = seeds(2)
        t.equal(vm.guest.write(at, 2 * huge, known), 2 * huge, 'pages written')
        free = free_huge_pages()
        t.equal(vm.guest.private(at, 1), 0, 'answer to the hypercall')
        t.equal((vm.guest.zeros(at, 1), vm.guest.verify(at + PAGE, 2 * huge - 1, known)),
                (1, 2 * huge - 1), 'the page of zeros, and the shared ones beside it')
        t.equal(free_huge_pages(), free, 'free huge pages after one small page')
        t.equal(vm.guest.private(at, huge), 0, 'answer to the hypercall')
        t.equal(free_huge_pages(), free + 1, 'free huge pages after a whole one')
        t.equal(vm.guest.write(at, huge, secret), huge, 'pages written')
        t.equal((vm.guest.verify(at, huge, secret), vm.guest.verify(at + 2 * MIB, huge, known)),
                (huge, huge), 'what is private, and the shared neighbour')
        t.equal(vm.guest.shared(at, huge), 0, 'answer to the hypercall back')
        t.equal(vm.guest.zeros(at, huge), huge, 'pages of zeros')
        t.equal(free_huge_pages(), free, 'free huge pages in the end')
        # This comes last, because looking at memory makes the kernel create huge pages where there are
        # none yet.
        t.equal(vm.in_address_space(pattern(secret)), [0], 'copies of the private pattern in QEMU')


for each in SHAPES:
    if each[0] is EmbedRig:
        shape(*each)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
