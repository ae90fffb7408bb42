#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""All calls on domains without the elements: the same answers with the library as without.

It also has the ways to start a private domain that are not in any other test."""

import json
import os
import re

from gmem_calls import Host, Pair, answer
from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, PYTHON, SOURCE, DaemonRig, EmbedRig, Skip,
                      Suite, domain, kvm_extension, library, need_guest_memfd, need_kvm, need_root)

suite = Suite()

DISK = '/run/disk.qcow2'
IMAGE = '/run/saved'
DIMM = ("<memory model='dimm'><target><size unit='KiB'>%d</size><node>0</node></target></memory>"
        % (128 * KIB))
ERR_NO_SUPPORT = 3
SNAPSHOT = '<domainsnapshot><name>%s</name>%s</domainsnapshot>'
CHECKPOINT = ("<domaincheckpoint><name>c</name><disks><disk name='vda'/></disks></domaincheckpoint>")


def masked(value):
    """The text without what differs between two runs of stock libvirt."""
    if not isinstance(value, str):
        return value
    value = re.sub(r'<creationTime>\d+', '<creationTime>T', value)
    value = re.sub(r'\b(1[67]\d{8})\b', 'T', value)
    return re.sub(r'(fd"?[=:]"?|set=\d+,fd=)\d+', r'\1N', value)


def xml():
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            "<source file='%s'/><target dev='vda' bus='virtio'/></disk>" % DISK)
    return domain('plain', cells=[20 * KIB], slots=True, private=False, devices=disk).replace(
        "<memballoon model='none'/>", "<memballoon model='virtio'/>")


def sequence(host):
    """Many calls in an order that makes sense: (what, answer)."""
    seen = []

    def do(what, *call):
        seen.append((what, masked(answer(lambda: host.call(*call)))))
        return seen[-1][1]

    def dumps(when):
        for flags in (0, 1, 2, 8):
            do('dumpxml %d %s' % (flags, when), 'plain', 'XMLDesc', flags)
    host.rig.run(['qemu-img', 'create', '-q', '-f', 'qcow2', DISK, '64M'])
    text = xml()
    do('define', None, 'defineXML', text)
    do('save, off', 'plain', 'save', IMAGE)
    do('managed save, off', 'plain', 'managedSave', 0)
    do('dump, off', 'plain', 'coreDump', '/run/dump', 0)
    do('peek, off', 'plain', 'memoryPeek', 0, 16, 2)
    do('setmem, off', 'plain', 'setMemoryFlags', 19 * KIB, 2)
    do('attach, off', 'plain', 'attachDeviceFlags', DIMM, 2)
    do('detach, off', 'plain', 'detachDeviceFlags', DIMM, 2)
    do('snapshot, off', 'plain', 'snapshotCreateXML', SNAPSHOT % ('off', ''), 0)
    dumps('off')
    do('start', 'plain', 'createWithFlags', 0)
    dumps('running')
    do('attach of nonsense', 'plain', 'attachDevice', '<nonsense/>')
    do('setmem', 'plain', 'setMemory', 18 * KIB)
    do('peek', 'plain', 'memoryPeek', 0xfffffff0, 16, 2)  # the BIOS's ROM
    do('peek too far', 'plain', 'memoryPeek', 1 << 40, 64, 2)
    do('dump', 'plain', 'coreDump', '/run/dump', 16)
    do('dump with format', 'plain', 'coreDumpWithFormat', '/run/dump', 99, 16)
    do('dirty rate', 'plain', 'startDirtyRateCalc', 0, 0)
    do('post-copy', 'plain', 'migrateStartPostCopy', 0)
    do('checkpoint', 'plain', 'checkpointCreateXML', CHECKPOINT, 0)
    do('checkpoint-dumpxml', ['plain', 'checkpoint', 'c'], 'getXMLDesc', 1)
    do('snapshot-dumpxml', ['plain', 'snapshot', 'off'], 'getXMLDesc', 1)
    do('checkpoint-delete', ['plain', 'checkpoint', 'c'], 'delete', 0)
    do('snapshot with memory', 'plain', 'snapshotCreateXML', SNAPSHOT % ('mem', ''), 0)
    memory = do('snapshot-dumpxml', ['plain', 'snapshot', 'mem'], 'getXMLDesc', 1)
    do('snapshot, no XML', 'plain', 'snapshotCreateXML', 'nonsense', 0)
    again = memory.replace('<creationTime>T', '<creationTime>1')
    for what, text_ in (('otherwise', again.replace('20480', '30720')), ('', again),
                        ('to nothing', SNAPSHOT % ('mem', '')), ('as it was', again)):
        do('snapshot, redefined ' + what, 'plain', 'snapshotCreateXML', text_, 1)
    do('revert', 'plain', 'revertToSnapshot', ['plain', 'snapshot', 'mem'], 0)
    # QEMU does not revert to a snapshot after a DIMM was attached.
    do('attach', 'plain', 'attachDevice', DIMM)
    do('save', 'plain', 'save', IMAGE)
    image = do('save-image-dumpxml', None, 'saveImageGetXMLDesc', IMAGE, 1)
    do('save-image-define', None, 'saveImageDefineXML', IMAGE, image, 0)
    do('save-image-define nonsense', None, 'saveImageDefineXML', IMAGE, '<domain/>', 0)
    do('save-image-define, other', None, 'saveImageDefineXML', IMAGE,
       image.replace('20480', '30720'), 0)
    do('restore with other XML', None, 'restoreFlags', IMAGE, image.replace('20480', '30720'), 0)
    do('restore without file', None, 'restoreParams', {'dxml': image}, 0)
    do('restore', None, 'restoreParams', {'file': IMAGE, 'dxml': image}, 0)
    dumps('restored')
    do('save with other XML', 'plain', 'saveFlags', IMAGE, image.replace('20480', '30720'), 0)
    do('managed save', 'plain', 'managedSave', 0)
    managed = do('managedsave-dumpxml', 'plain', 'managedSaveGetXMLDesc', 1)
    do('managed-save-define', 'plain', 'managedSaveDefineXML', managed, 0)
    do('managed-save-define nonsense', 'plain', 'managedSaveDefineXML', 'x', 0)
    do('start from managed save', 'plain', 'create')
    do('migrate nowhere', 'plain', 'migrateToURI3', 'qemu+tcp://127.0.0.1:1/system', {}, 3)
    do('destroy', 'plain', 'destroy')
    do('revert, off', 'plain', 'revertToSnapshot', ['plain', 'snapshot', 'off'], 0)
    dumps('at the end')
    for name in ('off', 'mem'):
        do('snapshot-delete', ['plain', 'snapshot', name], 'delete', 0)
    do('native', None, 'domainXMLToNative', 'qemu-argv', text, 0)
    do('domcapabilities', None, 'getDomainCapabilities', None, 'x86_64', 'nonsense', 'kvm', 0)
    do('undefine', 'plain', 'undefine')
    return seen


def ordinary(kind):
    @suite.test('%s: an ordinary domain gets the same answers to all calls' % kind.name)
    def _(check):
        need_kvm()
        pair = Pair(kind)
        wanted, got = sequence(pair.stock), sequence(pair.ours)
        check.equal([what for what, _ in got], [what for what, _ in wanted], 'the list of calls')
        for (what, was), (_, now) in zip(wanted, got):
            check.equal(now, was, what)
        refused = [what for what, was in wanted if str(was).startswith('refused')]
        check.true(15 < len(refused) < len(wanted) / 2, 'refused: %s' % refused)
        pair.close()

    @suite.test('%s: starting, in each way' % kind.name)
    def _(check):
        need_guest_memfd()
        host = Host(kind)
        text = domain('vm', memory=21 * KIB)
        launch = domain('sw', memory=21 * KIB, launch='sw-protected')
        for way, start in {
                'create': lambda: host.call('vm', 'create'),
                'createWithFlags': lambda: host.call('vm', 'createWithFlags', 1),
                'createXML': lambda: host.call(None, 'createXML', text, 0),
        }.items():
            if 'XML' not in way:
                host.call(None, 'defineXML', text)
            start()
            check.equal([m.size for m in guest_memfds(host.rig.emulator('vm').pid)], [21 * MIB],
                        "sizes of QEMU's guest_memfds after " + way)
            shows_private(check, host.python.dumpxml('vm'))
            host.python.destroy('vm')
            if 'XML' not in way:
                host.python.undefine('vm')
        # The QEMU driver does not support any of these, so libvirt refuses what we do not refuse.
        host.call(None, 'defineXML', text)
        for call in (('vm', 'createWithFiles', [], 0), (None, 'createXMLWithFiles', text, [], 0)):
            check.refused(lambda c=call: host.call(*c), ERR_NO_SUPPORT)
        host.python.undefine('vm')
        if kvm_extension(235) & 2:
            raise Skip('KVM of this host has software-protected VMs')
        host.call(None, 'defineXML', launch)
        for call in (('sw', 'create'), ('sw', 'createWithFlags', 0), ('sw', 'createWithFiles', [], 0),
                     (None, 'createXML', launch, 0), (None, 'createXMLWithFiles', launch, [], 0)):
            check.refused(lambda c=call: host.call(*c), ERR_CONFIG_UNSUPPORTED,
                          part='has no KVM_X86_SW_PROTECTED_VM')
        check.equal(host.rig.emulators(), [], 'emulators')
        host.close()


ordinary(EmbedRig)
ordinary(DaemonRig)


@suite.test('embed: createLinux is createXML by another name')
def _(check):
    need_guest_memfd()
    host = Host(EmbedRig)
    host.call(None, 'createLinux', domain('vm', memory=21 * KIB), 0)
    check.equal([m.size for m in guest_memfds(host.rig.emulator('vm').pid)], [21 * MIB],
                "sizes of QEMU's guest_memfds")
    host.python.destroy('vm')
    host.close()


NOTHING = '''
import ctypes, json, sys
functions, skipped, xml = json.load(sys.stdin)
ctypes.CDLL('libvirt.so.0', mode=ctypes.RTLD_GLOBAL)
libvirt = ctypes.CDLL(None)  # a preloaded library comes first there, as for any client
pointer, text = ctypes.c_void_p, ctypes.c_char_p
class Error(ctypes.Structure):
    _fields_ = [('code', ctypes.c_int), ('domain', ctypes.c_int), ('message', text)]
for name in 'virConnectOpen', 'virDomainDefineXML':
    getattr(libvirt, name).restype = pointer
libvirt.virGetLastError.restype = ctypes.POINTER(Error)
quiet = ctypes.CFUNCTYPE(None, pointer, pointer)(lambda *_: None)
libvirt.virSetErrorFunc(None, quiet)
libvirt.virEventRegisterDefaultImpl()
conn = pointer(libvirt.virConnectOpen(b'qemu:///embed?root=/run/e'))
domain = pointer(libvirt.virDomainDefineXML(conn, xml.encode()))
answers = {}
for name, of in functions:
    for what, target in ('nothing', None), ('nothing else', conn if of == 'connection' else domain):
        if what == 'nothing else' and (of == 'snapshot' or name in skipped):
            continue
        call = getattr(libvirt, name)
        call.restype = pointer
        libvirt.virResetLastError()
        # Whatever the arguments are, on this ABI these are NULL, 0 or absent.
        value = call(target, *[pointer()] * 11)
        error = libvirt.virGetLastError()
        said = None
        if error:
            said = error.contents.code, error.contents.domain, error.contents.message.decode()
        answers['%s with %s' % (name, what)] = [value in (None, 0xffffffff, 0xffffffffffffffff), said]
json.dump(answers, sys.stdout)
'''
# These start something without a further argument; or stock libvirt does not handle NULL: several steps
# of migration crash, and saving without a file keeps the domain locked (9.0).
SKIPPED = r'virDomain(Create(WithFiles|WithFlags)?|Migrate.*|SaveParams)'


def interposed():
    """[name, library] of all functions of libvirt's that the library stands in front of, except those
    that open a connection."""
    with open(os.path.join(SOURCE, 'src/driver/libvirt-gmem.syms'), encoding='utf-8') as file:
        names = re.findall(r'\b(vir(?!ConnectOpen)\w+);', file.read())
    connection = r'virConnect|virDomain(DefineXML|CreateXML|Restore|SaveImage|MigratePrepare)'
    snapshot = 'virDomain(RevertToSnapshot|(Snapshot|Checkpoint)GetXMLDesc)'
    return [[name, 'connection' if re.match(connection, name) else
             'snapshot' if re.match(snapshot, name) else 'domain'] for name in names]


@suite.test('each function, called with nothing: no crash, and the error of stock libvirt')
def _(check):
    functions = interposed()
    check.true(len(functions) > 50, 'only %d functions' % len(functions))
    # The domain is ordinary without and with the library, and then private, which must not break any
    # call.
    answers = []
    for preload, private in ((), False), (library(), False), (library(), True):
        with EmbedRig(preload) as rig:
            result = rig.run([PYTHON, '-c', NOTHING], preload, stdin=json.dumps(
                [functions, [name for name, _ in functions if re.fullmatch(SKIPPED, name)],
                 domain('vm', private=private)]))
            if result.returncode < 0 and not preload:
                raise Skip('stock libvirt crashes')
            check.equal(result.returncode, 0, 'status, with ' + result.stderr[-2000:])
            answers.append(json.loads(result.stdout))
    check.true(len(answers[0]) > 70, 'only %d calls' % len(answers[0]))
    for call, wanted in answers[0].items():
        for got in answers[1:]:
            check.equal(got[call], wanted, call)


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
