#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many conversions: only what is converted changes, and each page of RAM is in memory only once at
any time."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_private import PAGE, Running, daemon, middle, seeds
from gmem_rig import MIB, PATIENCE, Suite, need_root

suite = Suite()

# The number of conversions, which are hypercalls, while RAM is being counted.
CONVERSIONS = 100000
# By how much RAM in use may exceed the domain's size, for each of its two vCPUs.
SLACK = 2 * MIB


class Peaks(threading.Thread):
    """The charge, read as often as possible."""

    def __init__(self, vm):
        super().__init__(daemon=True)
        self.vm, self.most, self.samples, self.ended = vm, 0, 0, False

    def run(self):
        while not self.ended:
            self.most = max(self.most, self.vm.charged())
            self.samples += 1
            time.sleep(0.05)

    def end(self):
        self.ended = True
        self.join()


def fill(t, vm):
    """The guest has touched all its RAM except the first MiB, which contains its code."""
    for start, end in vm.cells:
        first = max(start, MIB)
        pages = (end - first) // PAGE
        t.equal(vm.guest.write(first, pages, 1), pages, 'pages filled')


@suite.test('a hundred thousand conversions: no more RAM than the domain has, nothing else touched')
def _(t):
    with daemon() as (rig, client), Running(rig, client) as vm:
        # The firmware and some pages of QEMU's; the guest's RAM is not allocated yet.
        own = vm.charged()
        fill(t, vm)
        size = sum(vm.sizes)
        t.true(vm.charged() > size * 9 // 10, 'only %d bytes are charged' % vm.charged())
        vm.peak_from_now()
        before = vm.status()
        made = 0
        peaks = Peaks(vm)
        peaks.start()
        began = time.monotonic()
        try:
            # Single pages, and 64 pages at once, in both cells.
            for units, step, cell, share in ((64, 1, 0, 45), (64, 1, 1, 45), (16, 64, 1, 10)):
                rounds = CONVERSIONS * share // 100 // units + 1
                at = middle(vm.cells[cell], units * step)
                count, mistakes = vm.guest.ask('t', at, units, step, rounds, seeds(1)[0],
                                               patience=10 * PATIENCE)
                t.equal(mistakes, 0, 'mistakes that the guest found')
                made += count
                print('# %d conversions after %.0f s' % (made, time.monotonic() - began), flush=True)
        finally:
            peaks.end()
        print('# %d samples' % peaks.samples)
        print('# RAM %d KiB; charged before it %d KiB; most charged: %d KiB sampled, %d KiB by the '
              'kernel' % (size >> 10, own >> 10, peaks.most >> 10, vm.peak() >> 10))
        t.true(made >= CONVERSIONS, '%d conversions only' % made)
        t.true(peaks.samples > 100, 'only %d samples' % peaks.samples)
        limit = size + 2 * SLACK + own
        t.true(max(peaks.most, vm.peak()) <= limit, 'RAM in use was %d KiB, of %d KiB at most'
               % (max(peaks.most, vm.peak()) >> 10, limit >> 10))
        after = vm.status()
        t.equal(after['hypercalls'] - before['hypercalls'], made, 'hypercalls as virt-gmem has them')
        t.equal(after['refused'], before['refused'], 'refused ones')
        t.equal([b['private'] for b in after['backends']], [0, 0], 'private bytes in the end')
        for one, two in zip(before['backends'], after['backends']):
            t.true(two['to-private'] > one['to-private'] and two['to-shared'] > one['to-shared'],
                   'conversions of %s are not counted' % two['id'])


@suite.test('all of a cell private and back, with all RAM in use: RAM is held once')
def _(t):
    with daemon() as (rig, client), Running(rig, client) as vm:
        own = vm.charged()
        fill(t, vm)
        vm.peak_from_now()
        start, end = vm.cells[1]
        pages, (secret,) = (end - start) // PAGE, seeds(1)
        full = vm.charged()
        for _ in range(2):
            t.equal(vm.guest.private(start, pages), 0, 'answer to the hypercall')
            t.true(vm.charged() <= full - (end - start) * 9 // 10,
                   'the shared half is still there: %d of %d bytes' % (vm.charged(), full))
            t.equal(vm.guest.write(start, pages, secret), pages, 'pages written')
            t.equal(vm.guest.verify(start, pages, secret), pages, 'pages that kept it')
            t.equal(vm.guest.shared(start, pages), 0, 'answer to the hypercall back')
            t.true(vm.charged() <= full - (end - start) * 9 // 10,
                   'the private half is still there: %d of %d bytes' % (vm.charged(), full))
            t.equal(vm.guest.zeros(start, pages), pages, 'pages of zeros')
        limit = sum(vm.sizes) + 2 * SLACK + own
        t.true(vm.peak() <= limit, 'RAM in use was %d of %d bytes' % (vm.peak(), limit))


@suite.test('both vCPUs convert the same pages at once, and to different kinds')
def _(t):
    with daemon() as (rig, client), Running(rig, client, machine='pc') as vm:
        at = middle(vm.cells[0], 32)
        (secret,) = seeds(1)
        vm.guest.private(at - PAGE, 1)
        vm.guest.write(at - PAGE, 1, secret)
        vm.guest.write(at + 32 * PAGE, 1, secret)
        t.equal(vm.guest.ask('x', at, 32, 200), 0, 'hypercalls that failed')
        t.equal(vm.guest.zeros(at, 32), 32, 'pages of zeros in the end')
        t.equal((vm.guest.verify(at - PAGE, 1, secret), vm.guest.verify(at + 32 * PAGE, 1, secret)),
                (1, 1), 'the pages beside them')
        t.equal([b['private'] for b in vm.status()['backends']], [PAGE, 0], 'private bytes')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
