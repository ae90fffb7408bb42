#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The setting in gmem.conf: RAM that is private when the guest starts, and again after each reset."""

import os
import shutil
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_private import PAGE, status
from gmem_rig import BUILD, KIB, MIB, DaemonRig, Suite, domain, library, need_root, wait_for

suite = Suite()

CONF = '/etc/libvirt/gmem.conf'
SERIAL = '/run/serial'
# The same as in tests/guest/gmem-start.S.
PRIVATE_AT, SHARED_AT = 0x8000, 0x9000
SECRET, KNOWN = (struct.pack('<II', word, word ^ 0xffffffff) for word in (0x76543210, 0x0f1e2d3c))
SAID = 'gmem-start: kept yes, shared yes\n'


def define(rig, client):
    shutil.copyfile(os.path.join(BUILD, 'tests', 'guest', 'gmem-start.rom'), rig.outer('/run/vm.rom'))
    rig.write(SERIAL, '')
    client.define(domain('vm', machine='q35', cells=[20 * KIB, 24 * KIB], private=False,
                         launch='sw-protected', boot='/run/vm.rom', serial=SERIAL))


def memory(rig, client, address):
    """What the host sees at a guest address."""
    client.virsh('qemu-monitor-command', 'vm', '--hmp', 'pmemsave 0x%x 8 "/run/at"' % address)
    with open(rig.outer('/run/at'), 'rb') as file:
        return file.read()


@suite.test('start=private: all RAM is private, the firmware runs, the host sees what it shares')
def _(t):
    with DaemonRig(library()) as rig:
        client = rig.virsh()
        rig.write(CONF, '[convertible]\nstart=private\n')
        define(rig, client)
        client.start('vm')
        for boots in (1, 2):
            wait_for(lambda boots=boots: rig.read(SERIAL).replace('\r', '') == SAID * boots,
                     'the guest to say, %d times, %r' % (boots, SAID))
            vm = status('vm')[0]
            t.equal([b['private'] for b in vm['backends']], [20 * MIB - PAGE, 24 * MIB],
                    'private bytes')
            t.equal(vm['resets'], boots - 1, 'resets')
            t.equal(memory(rig, client, PRIVATE_AT), bytes(8), 'what the host sees of the secret')
            t.equal(memory(rig, client, SHARED_AT), KNOWN, 'what the host sees of the shared page')
            client.reset('vm')
        t.true(SECRET != KNOWN, 'one pattern only')
        client.destroy('vm')


@suite.test('a gmem.conf that others can write, or that says something else, keeps the domain from '
            'starting')
def _(t):
    with DaemonRig(library()) as rig:
        client = rig.virsh()
        define(rig, client)
        rig.write(CONF, '[convertible]\nstart=private\n', mode=0o664)
        t.refused(lambda: client.start('vm'), part="unsupported configuration: '%s' must be owned by root, and "
                  'writable by root only' % CONF)
        rig.write(CONF, '[convertible]\nstart=always\n')
        os.chmod(rig.outer(CONF), 0o644)
        t.refused(lambda: client.start('vm'), part="use 'shared' or 'private'")
        t.true(rig.emulator('vm') is None, 'there is a QEMU')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
