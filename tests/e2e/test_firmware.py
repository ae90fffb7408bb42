#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""UEFI firmware of software-protected domains: what libvirt chooses, and what cannot run without SMM.

These tests use Debian's real firmware and its descriptors. KVM and QEMU are stand-ins, because few hosts have
them (../standin/standin.py); tests/nested shows that such a domain boots to its guest's user space."""

import functools
import os
import re

from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, DaemonRig, Skip, Suite, domain, need_kvm,
                      need_root, wait_for)
from gmem_standin import HAS_VM_TYPE, OBJECT, StandIn, client_of, fake_host

suite = Suite()

PLAIN = '/usr/share/OVMF/OVMF_CODE_4M.fd'
NO_SECURE_BOOT = "<firmware><feature enabled='no' name='secure-boot'/></firmware>"
SMM = '/usr/share/OVMF/OVMF_CODE_4M.ms.fd'
# The same file under names that are not in any descriptor.
NAMES = ('/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd', '/usr/share//qemu/../OVMF/OVMF_CODE_4M.ms.fd')
REFUSED = ("unsupported configuration: the firmware '%s' requires SMM, which is not available with "
           "<launchSecurity type='sw-protected'/>; use firmware without Secure Boot, or <os "
           "firmware='efi'> without <loader>")


@functools.lru_cache(maxsize=None)
def rig_and_client():
    need_kvm()
    for path in (PLAIN, SMM):
        if not os.path.exists(path):
            raise Skip('no %s here' % path)
    rig = fake_host(DaemonRig, HAS_VM_TYPE)
    StandIn(rig, OBJECT)
    return rig, client_of(rig)


def protected(name, machine='q35', loader='', efi=True, **options):
    xml = domain(name, 64 * KIB, private=False, launch='sw-protected', machine=machine,
                 emulator='/run/emulator', **options)
    xml = xml.replace('<os>', "<os firmware='efi'>" if efi else '<os>')
    return xml.replace("<boot dev='hd'/></os>", loader + '</os>')


def images(text):
    return re.findall(r'"filename":"([^"]*CODE[^"]*)"|-bios (\S+)', text)


def chosen(client, machine='q35'):
    """The firmware that libvirt chooses for an ordinary domain without Secure Boot. In Debian unstable this
    is AMD's image for SEV on q35, whose descriptor is the first one without SMM."""
    xml = domain('vm', 64 * KIB, private=False, machine=machine)
    return images(client.native(xml.replace('<os>', "<os firmware='efi'>" + NO_SECURE_BOOT)))


@suite.test("<os firmware='efi'>: libvirt chooses firmware without SMM, on q35 and pc")
def _(check):
    _rig, client = rig_and_client()
    for machine in ('q35', 'pc'):
        firmware = images(client.native(protected('vm', machine)))
        check.equal(firmware, chosen(client, machine), machine)
        check.equal(len(firmware), 1, machine)
        check.lacks(str(firmware), SMM, machine)


@suite.test("<os firmware='efi'>: starts, and the choice that was made for it is not shown")
def _(check):
    rig, client = rig_and_client()
    client.define(protected('vm'))
    check.lacks(client.dumpxml('vm'), 'secure-boot', 'dumpxml')
    client.start('vm')
    emulator = rig.emulator('vm')
    check.equal(images(' '.join(emulator.argv)), chosen(client), 'what QEMU has')
    client.define(client.dumpxml('vm', '--inactive'))
    client.destroy('vm')
    client.start('vm')
    client.destroy('vm')


@suite.test('firmware that requires SMM: defined with a warning, and refused at start')
def _(check):
    rig, client = rig_and_client()
    for path in NAMES + (SMM,):
        loader = ("<loader readonly='yes' type='pflash'>%s</loader><nvram template='%s'>/run/nvram.fd"
                  "</nvram>" % (path, SMM.replace('CODE', 'VARS')))
        client.define(protected('smm', loader=loader, efi=False))
        check.has(rig.read(rig.log), "domain 'smm' is defined but could not start now: the firmware "
                  "'%s' requires SMM" % path, 'the log')
        check.refused(lambda: client.start('smm'), ERR_CONFIG_UNSUPPORTED, REFUSED % path)


@suite.test("firmware that requires SMM in the user's own arguments: refused at start")
def _(check):
    _rig, client = rig_and_client()
    node = "{'driver':'raw','node-name':'fw','file':{'driver':'file','filename':'%s'}}" % SMM
    for arguments in (['-drive', 'if=pflash,format=raw,readonly=on,file=' + SMM],
                      ['-drive', 'file.filename=%s,if=pflash,file.driver=file' % SMM],
                      ['-pflash', SMM], ['-bios', SMM],
                      ['-blockdev', node, '-machine', 'pflash0=fw'],
                      ['-machine', 'pflash0=fw', '-blockdev', 'file,node-name=fw,filename=' + SMM]):
        client.define(protected('users', efi=False, arguments=arguments))
        check.refused(lambda: client.start('users'), ERR_CONFIG_UNSUPPORTED, REFUSED % SMM)
        client.undefine('users')
    plain = ['-drive', 'if=pflash,format=raw,readonly=on,file=' + PLAIN]
    client.define(protected('users', efi=False, arguments=plain))
    client.start('users')
    client.destroy('users')
    client.undefine('users')


@suite.test('firmware that requires SMM: refused at an autostart, too')
def _(check):
    rig, client = rig_and_client()
    client.call('smm', 'setAutostart', 1)
    rig.stop_daemon()
    autostarted = rig.outer('/run/libvirt/qemu/autostarted')
    if os.path.exists(autostarted):
        os.unlink(autostarted)
    rig.start_daemon()
    log = rig.domain_log % 'smm'
    wait_for(lambda: 'requires SMM' in rig.read(log), "the refusal in the domain's log")
    check.has(rig.read(log), "libvirt-gmem: unsupported configuration: the firmware '%s' requires SMM"
              % SMM, "the domain's log")


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
