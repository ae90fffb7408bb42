#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private domains as large and as deep as stock libvirt accepts them, through a real libvirtd."""

import re

from gmem_checks import Guest, shows_private
from gmem_rig import (KIB, DaemonRig, Failure, LibvirtError, Suite, domain, library,
                      need_guest_memfd, need_root)

suite = Suite()

SERIAL = '/run/serial'
DISK = '/run/disk.qcow2'
# libvirt's VIR_NET_MESSAGE_STRING_MAX, and what remains of it for the rest of a domain when formatted.
TEXT_MAX = 4 * 1024 * 1024
REST = 16 * 1024

RUNNING, FORCE = 1, 4


def repeated(piece, size=TEXT_MAX - REST):
    return piece * (size // len(piece))


# This is as libvirt formats it, so what libvirt shows is not longer.
LARGE = {
    'text': '<description>%s</description>' % repeated('private memory '),
    'elements': "<metadata>\n    <m:m xmlns:m='urn:m'>%s\n    </m:m>\n  </metadata>"
                % repeated('\n      <m:e a="b"/>'),
}


@suite.test('4 MiB: defined, shown, and defined as shown')
def _(check):
    with DaemonRig(library()) as rig, DaemonRig() as stock:
        client, plain = rig.python(), stock.python()
        for name, body in LARGE.items():
            client.define(domain('vm', body=body))
            plain.define(domain('vm', body=body, private=False))
            shown = client.dumpxml('vm')
            shows_private(check, shown)
            check.true(len(shown) > TEXT_MAX - 2 * REST, '%s: %d bytes are shown' % (name, len(shown)))
            without = re.sub(r' *<memoryBacking>\s*<private/>\s*</memoryBacking>\n', '', shown)
            check.true(without == plain.dumpxml('vm'), name + ": the rest is not stock libvirt's")
            client.define(shown)
            check.true(client.dumpxml('vm') == shown, name + ': defined as shown, it is another one')
            client.undefine('vm')


def deep(levels):
    return ('<metadata><m:m xmlns:m="urn:m">%s%s</m:m></metadata>'
            % ('<n>' * levels, '</n>' * levels))


def deepest(rig, client):
    """The largest number of metadata levels with which a domain can be defined."""
    for levels in range(260, 240, -1):
        try:
            client.define(definition(rig, levels))
            return levels
        except LibvirtError:
            pass
    raise Failure('no domain with 240 levels of metadata can be defined')


def definition(rig, levels, private=True):
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            "<source file='%s'/><target dev='vda' bus='virtio'/></disk>" % DISK)
    return domain('vm', memory=32 * KIB, boot=rig.guest_image('vm', disk=False), serial=SERIAL,
                  devices=disk, private=private, body=deep(levels) if levels else '',
                  backing='' if private else "<source type='memfd'/><access mode='shared'/>")


@suite.test('a snapshot one level deeper than the parser goes')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        rig.run(['qemu-img', 'create', '-q', '-f', 'qcow2', DISK, '64M'])
        guest = Guest(rig, SERIAL)
        levels = deepest(rig, client)
        client.start('vm')
        last, _ = guest.wait_pass()
        client.call('vm', 'snapshotCreateXML', '<domainsnapshot><name>s</name></domainsnapshot>', 0)
        shown = client.call(['vm', 'snapshot', 's'], 'getXMLDesc', 0)
        check.equal(len(re.findall('<n/?>', shown)), 2 * levels, 'levels of metadata of both domains')
        check.lacks(shown, 'x-libvirt-gmem', 'the snapshot')
        check.equal(shown.count('<private/>'), 2, 'number of <private/> in the snapshot')
        # Only the private guest is reverted to it in place.
        client.call('vm', 'revertToSnapshot', ['vm', 'snapshot', 's'], 0)
        guest.wait_pass(last)
        client.destroy('vm')
        client.define(definition(rig, 0, private=False))
        rig.write(SERIAL, '')
        client.start('vm')
        guest.wait_pass()
        before = [process.pid for process in rig.emulators()]
        for flags in (0, RUNNING, FORCE):
            check.refused(lambda f=flags: client.call('vm', 'revertToSnapshot',
                                                      ['vm', 'snapshot', 's'], f))
        check.equal([process.pid for process in rig.emulators()], before, 'the running emulator')
        check.lacks(client.dumpxml('vm'), '<private/>', 'the running domain')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
