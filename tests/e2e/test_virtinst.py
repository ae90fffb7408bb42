#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install, virt-xml and virt-clone: the options that docs/clients.rst lists for both modes, and the one that
does not work."""

import os

from gmem_evidence import guest_memfds
from gmem_rig import MIB, DaemonRig, Skip, Suite, library, need_guest_memfd, need_root

suite = Suite()

SHARED = '--memorybacking=xpath.create=./private'
CONVERTIBLE = '--launchSecurity=type=sw-protected'
TRAP = '--xml=./memoryBacking/private='
PRIVATE = '<private/>'
SW = "<launchSecurity type='sw-protected'/>"


class Host:
    """A daemon and the virt-install programs, which do not have the library."""

    shared = None

    def __init__(self):
        if not os.access('/usr/bin/virt-install', os.X_OK):
            raise Skip('requires virtinst')
        self.rig = DaemonRig(library())
        self.client = self.rig.python()

    @classmethod
    def get(cls):
        if cls.shared is None:
            cls.shared = cls()
        return cls.shared

    def run(self, check, program, *arguments):
        result = self.rig.run([program, '--connect', self.rig.uri, *arguments])
        check.equal(result.returncode, 0, 'status of %s %s, with %s' % (program, arguments, result.stderr))
        return result.stdout

    def install(self, check, name, *arguments):
        return self.run(check, 'virt-install', '--name', name, '--memory', '64', '--import', '--disk', 'none',
                        '--osinfo', 'detect=off,require=off', '--network', 'none', '--graphics', 'none',
                        '--cpu', 'qemu64,check=none', '--noautoconsole', '--check', 'all=off', *arguments)


@suite.test('virt-install: fully shared')
def _(check):
    need_guest_memfd()
    host = Host.get()
    host.install(check, 'shared', SHARED)
    check.equal([m.size for m in guest_memfds(host.rig.emulator('shared').pid)][:1], [64 * MIB], 'guest_memfds')
    for options in ((), ('--inactive',)):
        check.has(host.client.dumpxml('shared', *options), PRIVATE, 'dumpxml')
    host.client.destroy('shared')


@suite.test('virt-install: convertible')
def _(check):
    host = Host.get()
    xml = host.install(check, 'convertible', CONVERTIBLE, '--print-xml')
    check.matches(xml, '<launchSecurity type=.sw-protected.', 'the XML')
    host.client.define(xml)
    check.has(host.client.dumpxml('convertible'), SW, 'dumpxml')
    check.has(host.client.dumpxml('convertible'), PRIVATE, 'dumpxml')


@suite.test('virt-install: the line that makes no element, and so an ordinary domain')
def _(check):
    host = Host.get()
    xml = host.install(check, 'trap', TRAP, '--print-xml')
    check.lacks(xml, 'private', 'the XML')


@suite.test('virt-xml gives an ordinary domain either, and leaves them alone when it edits something else')
def _(check):
    host = Host.get()
    xml = host.install(check, 'plain', '--print-xml')
    host.client.define(xml)
    host.run(check, 'virt-xml', 'plain', '--edit', SHARED)
    check.has(host.client.dumpxml('plain'), PRIVATE, 'dumpxml')
    host.run(check, 'virt-xml', 'plain', '--edit', '--memory', '96')
    check.has(host.client.dumpxml('plain'), PRIVATE, 'dumpxml')
    check.lacks(host.client.dumpxml('plain'), 'sw-protected', 'dumpxml')
    host.run(check, 'virt-xml', 'plain', '--edit', CONVERTIBLE)
    check.has(host.client.dumpxml('plain'), SW, 'dumpxml')


@suite.test('virt-clone keeps them')
def _(check):
    host = Host.get()
    for name, elements in (('shared', [PRIVATE]), ('convertible', [PRIVATE, SW])):
        if name == 'shared' and name not in host.client.names():
            continue
        host.run(check, 'virt-clone', '--original', name, '--name', name + '-2', '--auto-clone')
        for element in elements:
            check.has(host.client.dumpxml(name + '-2'), element, 'dumpxml')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
