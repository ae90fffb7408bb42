#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guest RAM in a core dump of QEMU: present with <memory dumpCore='on'>, absent with 'off'.

The kernel writes a real core dump, if the host's pattern for their names is a file in the process's own
directory."""

import functools
import glob
import os
import signal

from gmem_checks import Guest
from gmem_rig import (QEMU, DaemonRig, Skip, Suite, domain, need_guest_memfd, need_root, wait_for)

suite = Suite()

MAGIC = b'GMEMPAGE'
PAGES = 16384 - 256     # all of 64 MiB except the first MiB, which the guest uses itself
CORES = '/run/cores'
WRAPPER = '#!/bin/sh\ncd %s && exec %s "$@"\n' % (CORES, QEMU)


def prepare(rig):
    rig.write('/run/qemu-for-cores', WRAPPER, 0o755)
    os.mkdir(rig.outer(CORES))
    os.chmod(rig.outer(CORES), 0o777)


@functools.lru_cache(maxsize=None)
def shared_rig():
    need_guest_memfd()
    with open('/proc/sys/kernel/core_pattern') as f:
        pattern = f.read().strip()
    if not pattern or pattern[0] == '|' or '/' in pattern:
        raise Skip("core dumps of this host go to '%s'" % pattern)
    return DaemonRig(lambda rig: (rig.tree(),), user='libvirt-qemu', group='kvm', prepare=prepare,
                     settings='max_core = "unlimited"\n')


def pages_in_core(rig, name, dump_core):
    """Runs the guest until it has written all of its RAM, makes QEMU dump core, and counts the guest's
    pages in the dump."""
    serial = '/run/%s.serial' % name
    xml = domain(name, boot=rig.guest_image('guest'), serial=serial,
                 emulator='/run/qemu-for-cores')
    if dump_core:
        xml = xml.replace("<memory unit", "<memory dumpCore='%s' unit" % dump_core)
    client = rig.python()
    client.create(xml)
    Guest(rig, serial).wait_pass()
    rig.emulator(name).kill(signal.SIGABRT)
    wait_for(lambda: name not in client.names(), 'the end of QEMU')
    client.close()
    cores = glob.glob(rig.outer(CORES) + '/core*')
    found = 0
    for core in cores:
        with open(core, 'rb') as f:
            # The pattern is at the start of pages, and segments are aligned to pages.
            while page := f.read(4096):
                found += page.startswith(MAGIC)
        os.unlink(core)
    return len(cores), found


@suite.test("dumpCore='on': the whole of guest RAM is in QEMU's core")
def _(check):
    cores, pages = pages_in_core(shared_rig(), 'on', 'on')
    check.equal((cores, pages), (1, PAGES), 'cores, and pages of the guest in them')


@suite.test("dumpCore='off': no page of the guest is in QEMU's core")
def _(check):
    cores, pages = pages_in_core(shared_rig(), 'off', 'off')
    check.equal((cores, pages), (1, 0), 'cores, and pages of the guest in them')


@suite.test("without dumpCore libvirt's default is off, and no page of the guest is in QEMU's core")
def _(check):
    cores, pages = pages_in_core(shared_rig(), 'default', None)
    check.equal((cores, pages), (1, 0), 'cores, and pages of the guest in them')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
