#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Device documents, each with each call that accepts one: the result for a private domain, for a sw-protected
one and, compared with stock libvirt, for an ordinary one; and what the RAM consists of afterwards. The
sw-protected domain runs in a stand-in, on a KVM that only libvirt sees."""

import contextlib
import os
import re

from gmem_calls import pretend_convertible
from gmem_evidence import backends, guest_memfds, large_foreign_mappings
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, QEMU, DaemonRig, LibvirtError, Suite, domain,
                      libvirt_version, need_guest_memfd, need_root)
from gmem_standin import HAS_VM_TYPE, OBJECT, StandIn, fake_host

suite = Suite()

RAM = 40 * KIB
DIMM_SIZE = 128 * MIB
LIVE, CONFIG = 1, 2
IMPACTS = {'live': LIVE, 'config': CONFIG}
CALLS = {'attach': 'attachDeviceFlags', 'update': 'updateDeviceFlags', 'detach': 'detachDeviceFlags'}
SHARED = "<source type='memfd'/><access mode='shared'/>"
SW = "<launchSecurity type='sw-protected'/>"
TARGET = "<target><size unit='MiB'>128</size><node>0</node></target>"
DIMM = "<memory model='dimm'>%s%s</memory>"
PLAIN = DIMM % ('', TARGET)
PCI = ("<%shostdev %smode='subsystem' type='pci' managed='no'><source>"
       "<address domain='0x0000' bus='0xfe' slot='0x1f' function='0x7'/></source></%shostdev>")
X = "xmlns:x='urn:x' "
VERSION = libvirt_version()
NO_HOTPLUG = 'memory cannot be attached to a running domain with ' + SW
NAMESPACE = 'must not be in a namespace'
DOCTYPE = 'document type declaration'

# For a domain with <private/>, and with sw-protected: None if the result is stock libvirt's, otherwise the
# refusal.
DOCUMENTS = [
    ('dimm', PLAIN, None, None),
    ('dimm behind a comment', '<!-- x --><?x y?>' + PLAIN, None, None),
    ('dimm, its model in a reference', PLAIN.replace('dimm', 'd&#105;mm'), None, None),
    ('dimm with CDATA', DIMM % ('', TARGET.replace('>0<', '><![CDATA[0]]><')), None, None),
    ('dimm with pages of 4 KiB',
     DIMM % ("<source><pagesize unit='KiB'>4</pagesize></source>", TARGET), None, None),
    ('dimm with huge pages', DIMM % ("<source><pagesize unit='MiB'>2</pagesize></source>", TARGET),
     '<pagesize> of 2048 KiB', None),
    ('dimm with access private', PLAIN.replace("'dimm'", "'dimm' access='private'"),
     "access='private'", None),
    ('dimm in a namespace', PLAIN.replace('<memory ', '<x:memory ' + X).replace(
        '</memory', '</x:memory'), NAMESPACE, NAMESPACE),
    ('dimm in a default namespace', PLAIN.replace('<memory ', "<memory xmlns='urn:x' "), NAMESPACE,
     NAMESPACE),
    ('dimm with a prefix that is not declared', PLAIN.replace('<memory', '<x:memory').replace(
        '</memory', '</x:memory'), None, None),
    ('dimm, its model twice', PLAIN.replace("'dimm'", "'dimm' model='dimm'"), None, None),
    ('virtio-mem by a second model in a namespace', PLAIN.replace(
        "model='dimm'", X + "x:model='virtio-mem' model='dimm'"), 'must not be in a namespace',
     'must not be in a namespace'),
    ('dimm with a document type', "<!DOCTYPE memory [<!ATTLIST memory model CDATA 'dimm'>]>" + PLAIN,
     DOCTYPE, DOCTYPE),
    ('nvdimm', "<memory model='nvdimm'><source><path>/run/nv</path></source>%s</memory>" % TARGET,
     None, None),
    ('virtio-mem', "<memory model='virtio-mem'>%s</memory>" % TARGET.replace(
        '</target>', "<block unit='KiB'>2048</block><requested unit='KiB'>0</requested></target>"),
     "<memory model='virtio-mem'>", "<memory model='virtio-mem'>"),
    ('virtio-pmem', "<memory model='virtio-pmem'><source><path>/run/nv</path></source><target>"
     "<size unit='MiB'>128</size></target></memory>", None, None),
    ('sgx-epc', "<memory model='sgx-epc'><target><size unit='MiB'>2</size></target></memory>",
     "<memory model='sgx-epc'>", "<memory model='sgx-epc'>"),
    ('ivshmem', "<shmem name='a'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>", None,
     None),
    ('PCI hostdev', PCI % ('', '', ''), None, '<hostdev type='),
    ('PCI hostdev in a namespace', PCI % ('x:', X, 'x:'), NAMESPACE, NAMESPACE),
    ('mdev', "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address "
     "uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>", None, '<hostdev type='),
    ('USB hostdev', "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/>"
     "<product id='0xbeef'/></source></hostdev>", None, None),
    ('interface hostdev', "<interface type='hostdev'><mac address='52:54:00:00:00:01'/><source>"
     "<address type='pci' domain='0' bus='0xfe' slot='0x1f' function='0x6'/></source></interface>",
     None, "<interface type='hostdev'>"),
    ('NVMe disk', "<disk type='nvme' device='disk'><driver name='qemu' type='raw'/><source "
     "type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0xfe' slot='0x00' "
     "function='0x0'/></source><target dev='vdb' bus='virtio'/></disk>", None, "<disk type='nvme'>"),
    # Since some version, libvirt requires shared memory for it, which the XML of a convertible domain does
    # not have.
    ('interface vhostuser', "<interface type='vhostuser'><mac address='52:54:00:00:00:02'/><source "
     "type='unix' path='/run/none.sock' mode='client'/><model type='virtio'/></interface>", None,
     "requires shared memory" if VERSION >= (10, 0) else None),
    ('watchdog that dumps', "<watchdog model='i6300esb' action='dump'/>", None,
     "<watchdog action='dump'/>"),
    # The same holds for a memfd.
    ('video with blobs', "<video><model type='virtio' blob='on'/></video>", "blob='on'",
     'requires a memfd' if VERSION >= (10, 0) else None),
    ('video with blobs, in a namespace', "<video><model type='virtio' %sx:blob='on'/></video>" % X,
     'must not be in a namespace', 'must not be in a namespace'),
    ('virtiofs', "<filesystem type='mount'><driver type='virtiofs'/><source dir='/run/home'/>"
     "<target dir='t'/></filesystem>", None, "'virtiofs' requires shared memory"),
    ('memballoon', "<memballoon model='virtio'/>", None, None),
    ('rng', "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", None, None),
]


# These crash these versions of libvirtd, ours and stock: a live virtiofs without an alias, and any video.
FATAL = {'virtiofs': (LIVE,) if VERSION < (10, 0) else (),
         'video': (LIVE, CONFIG) if VERSION >= (12, 0) else ()}


def xml_of(name, mode):
    xml = domain(name, cells=[RAM], slots=True, private=mode == 'private',
                 emulator='/run/emulator' if mode == 'convertible' else QEMU,
                 backing=SHARED if mode == 'ordinary' else '')
    xml = re.sub(r"slots='4' unit='KiB'>\d+", "slots='64' unit='KiB'>%d" % (64 * MIB), xml)
    return xml.replace('</devices>', '</devices>' + SW) if mode == 'convertible' else xml


class It:
    ours = stock = None

    @classmethod
    def get(cls):
        need_guest_memfd()
        if cls.ours is None:
            cls.rig, cls.stock_rig = fake_host(DaemonRig, HAS_VM_TYPE), DaemonRig(())
            StandIn(cls.rig, OBJECT)
            cls.ours, cls.stock = cls.rig.python(), cls.stock_rig.python()
            for rig in (cls.rig, cls.stock_rig):
                rig.write('/run/nv', '')
                os.truncate(rig.outer('/run/nv'), DIMM_SIZE)
            for name in ('private', 'ordinary', 'convertible'):
                cls.ours.define(xml_of('vm-' + name, name))
            cls.stock.define(xml_of('vm-ordinary', 'ordinary'))
            cls.ours.start('vm-private')
            cls.ours.start('vm-convertible')
            for client in (cls.ours, cls.stock):
                client.start('vm-ordinary')
        return cls


def answer(client, name, *call):
    try:
        client.call(name, *call)
    except LibvirtError as error:
        return re.sub(r'vm-[a-z]+|process \d+|-?\d{8,}', '…', str(error))
    return 'done'


def shown(client, name):
    return [client.dumpxml(name), client.dumpxml(name, '--inactive')]


def masked(documents):
    """The text without numbers that differ between two daemons by chance."""
    return [re.sub(r" id='\d+'|<label>.*</label>|<imagelabel>.*</imagelabel>", '', each)
            for each in documents]


def made_of(check, what):
    """What the RAM of the private domain consists of, seen from outside: only guest_memfd."""
    live, inactive = shown(It.ours, 'vm-private')
    dimms = live.count("<memory model='dimm'")
    pid = It.rig.emulator('vm-private').pid
    found = guest_memfds(pid)
    check.equal(sorted(m.size for m in found), [RAM * KIB] + [DIMM_SIZE] * dimms,
                "sizes of QEMU's guest_memfds after " + what)
    for text in (live, inactive):
        check.equal(text.count('<private/>'), 1, 'number of <private/> after ' + what)
        check.lacks(text, 'x-libvirt-gmem', 'dumpxml after ' + what)
    with backends(pid) as own:
        files = {(m.dev, m.inode) for m in found}
        foreign = [m for m in large_foreign_mappings(pid, own)
                   if (m.dev, m.inode) not in files and m.path != '/run/nv']
    check.equal(foreign, [], 'other mappings as large as guest RAM after ' + what)


def is_memory(text):
    """Whether libvirt-gmem reads the document as one of a memory device. It accepts duplicate attributes, but
    not an undeclared prefix."""
    return '<!DOCTYPE' not in text and (
        '<memory ' in text or ('<x:memory ' in text and 'xmlns:x' in text))


def judge(check, name, what, refusal, stock, call, flags):
    """One document, one call, one of the two modes: it is refused, or the result is stock libvirt's."""
    before = shown(It.ours, name)
    got = answer(It.ours, name, *call, flags)
    detach = call[0] == CALLS['detach']
    if refusal is not None and not detach:
        check.has(got, refusal, 'the answer to ' + what)
    elif not (detach and refusal is not None):  # it was never attached here
        check.equal(got, stock, 'the answer to ' + what)
    if got != 'done':
        check.equal(shown(It.ours, name), before, 'dumpxml after a refused ' + what)
    elif flags == CONFIG:  # the resulting XML can be defined again
        It.ours.define(It.ours.dumpxml(name, '--inactive'))


@suite.test('each document with each call: as stock, or refused, and the RAM is guest_memfd')
def _(check):
    It.get()
    for title, text, private, convertible in DOCUMENTS:
        for verb, method in CALLS.items():
            for impact, flags in IMPACTS.items():
                # A guest without a driver does not give anything back, so the answer depends on time.
                if flags == LIVE and verb == 'detach':
                    continue
                what = '%s of %s (%s)' % (verb, title, impact)
                call = (method, text)
                if flags in FATAL.get(title.split()[0], ()):
                    if private is not None and verb != 'detach':
                        judge(check, 'vm-private', 'private: ' + what, private, None, call, flags)
                    continue
                stock = answer(It.stock, 'vm-ordinary', *call, flags)
                check.equal(answer(It.ours, 'vm-ordinary', *call, flags), stock,
                            'an ordinary domain: the answer to ' + what)
                judge(check, 'vm-private', 'private: ' + what, private, stock, call, flags)
                judge(check, 'vm-convertible', 'sw-protected: ' + what,
                      NO_HOTPLUG if (flags, verb) == (LIVE, 'attach') and is_memory(text)
                      else convertible, stock, call, flags)
        check.equal(masked(shown(It.ours, 'vm-ordinary')), masked(shown(It.stock, 'vm-ordinary')),
                    'an ordinary domain after ' + title)
        made_of(check, title)
    check.equal(guest_memfds(It.rig.emulator('vm-ordinary').pid), [], "an ordinary QEMU's guest_memfds")


@suite.test('a device for a domain as it runs and as it is defined, which is another mode')
def _(check):
    It.get()
    former = It.ours.dumpxml('vm-ordinary', '--inactive')
    It.ours.define(xml_of('vm-ordinary', 'private'))
    before = shown(It.ours, 'vm-ordinary')
    device = next(text for name, text, _, _ in DOCUMENTS if name == 'virtio-mem')
    check.refused(lambda: It.ours.call('vm-ordinary', 'attachDeviceFlags', device, LIVE | CONFIG),
                  ERR_CONFIG_UNSUPPORTED, part="<memory model='virtio-mem'>")
    check.equal(shown(It.ours, 'vm-ordinary'), before, 'dumpxml')
    It.ours.define(former)


@suite.test('a copy of a disk is judged as a device')
def _(check):
    It.get()
    copies = {name: text for name, text, _, _ in DOCUMENTS if 'NVMe' in name}
    copies['in a namespace'] = "<x:disk xmlns:x='urn:x' type='file'><source file='/run/c'/></x:disk>"
    for title, text in copies.items():
        call = ('blockCopy', 'vdz', text, None, 0)
        stock = answer(It.stock, 'vm-ordinary', *call)
        check.equal(answer(It.ours, 'vm-ordinary', *call), stock, 'the answer to a copy: ' + title)
        got = answer(It.ours, 'vm-private', *call)
        if 'namespace' in title:
            check.has(got, NAMESPACE, 'the answer to a copy ' + title)
        else:
            check.equal(got, stock, 'the answer to a copy: ' + title)


@suite.test('of a convertible guest: no copy to an NVMe disk, no limit below its RAM')
def _(check):
    It.get()
    xml = xml_of('vm-private', 'private')
    It.ours.destroy('vm-private')  # libvirt 9.0 does not find a virtio-pmem again
    It.ours.define(xml)
    It.ours.start('vm-private')
    It.ours.close()
    pretend_convertible(It.rig, 'vm-private', xml, It.rig.stop_daemon, It.rig.start_daemon)
    It.ours = It.rig.python()
    check.has(It.ours.dumpxml('vm-private'), SW, 'dumpxml')
    nvme = next(text for name, text, _, _ in DOCUMENTS if 'NVMe' in name)
    check.refused(lambda: It.ours.call('vm-private', 'blockCopy', 'vdz', nvme, None, 0),
                  ERR_CONFIG_UNSUPPORTED, part="<disk type='nvme'>")
    for option in ('--live', '--current'):
        check.refused(lambda o=option: It.rig.virsh().virsh('memtune', 'vm-private', '--hard-limit',
                                                            '1', o),
                      part='<hard_limit> (1 KiB) below guest RAM')


@suite.test('the end')
def _(check):
    for client, rig in ((It.ours, It.rig), (It.stock, It.stock_rig)) if It.ours else ():
        for name in client.names():
            with contextlib.suppress(LibvirtError):
                client.destroy(name)
        client.close()
        rig.close()
    check.true(True, '')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
