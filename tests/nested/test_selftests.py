#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""KVM's own selftests of private memory, as build-kernel builds them from the kernel's source.

GMEM_SELFTESTS is their directory. A selftest passes with status 0, and skips itself with status 4."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_rig import PATIENCE, Skip, Suite

DIRECTORY = os.environ.get('GMEM_SELFTESTS', '')
SKIPPED = 4
RUNS = ['guest_memfd_test', 'private_mem_kvm_exits_test', 'private_mem_conversions_test',
        'private_mem_conversions_test -n 2', 'private_mem_conversions_test -n 2 -m 2',
        'private_mem_conversions_test -s shmem', 'pre_fault_memory_test', 'set_memory_region_test']

suite = Suite()


def selftest(command):
    @suite.test('KVM\'s ' + command)
    def _(t):
        name, *options = command.split()
        if not DIRECTORY:
            raise Skip('KVM\'s selftests were not built')
        path = os.path.join(DIRECTORY, name)
        if not os.path.exists(path):
            raise Skip('this kernel\'s source has no ' + name)
        done = subprocess.run([path, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', check=False,
                              timeout=2 * PATIENCE)
        if done.returncode == SKIPPED:
            raise Skip((done.stdout.strip().splitlines() or ['it says no reason'])[-1])
        t.equal(done.returncode, 0, 'exit status\n' + done.stdout[-4000:])


for each in RUNS:
    selftest(each)

if __name__ == '__main__':
    raise SystemExit(suite.run())
