#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What users put into <qemu:commandline>: which arguments start with private RAM, unchanged and with all RAM
guest_memfd, and which are refused, with which message."""

import functools
import re

from gmem_calls import ACCELERATOR, with_argument
from gmem_checks import Guest, evidence
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, DaemonRig, EmbedRig, LibvirtError, Suite,
                      domain, library, need_guest_memfd, need_kvm, need_root)
from gmem_standin import HAS_VM_TYPE, OBJECT, StandIn, fake_host

suite = Suite()

ERR_INTERNAL_ERROR = 1

RAM = 64
LIVE = 1
SHMEM = "<shmem name='gmem-test'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>"
LOOKING_GLASS = [
    '-object', "{'qom-type':'memory-backend-file','id':'looking-glass','mem-path':'/run/kvmfr0',"
    "'size':4194304,'share':true}",
    '-device', "{'driver':'ivshmem-plain','id':'lg0','addr':'0x1d','memdev':'looking-glass'}"]
BACKEND = ['-object', 'memory-backend-ram,id=o1,size=4M']
MEMFD = ['-object', 'memory-backend-memfd,id=o2,size=64M,share=on']
FILE = ['-object', 'memory-backend-file,id=m1,mem-path=/run/file,size=4M,share=on']
NVDIMM = FILE + ['-device', 'nvdimm,id=nv0,memdev=m1']
RNG = ['-object', 'rng-random,id=q0,filename=/dev/urandom', '-device',
       'virtio-rng-pci,rng=q0,id=r0,max-bytes=1024,period=1000']

# Arguments that start, other devices of the domain, and what is attached to it then.
STARTS = {
    'three memories of PCI devices': (
        LOOKING_GLASS + BACKEND + ['-device', 'ivshmem-plain,memdev=o1,id=i1,addr=0x1e',
                                   '-object', "{'qom-type':'iothread','id':'my\\u0069o'}"], SHMEM, None),
    'an NVDIMM, and -set of what does not matter': (
        ['-machine', 'nvdimm=on'] + NVDIMM + RNG + ['-set', 'device.r0.max-bytes=512', '-set',
                                                  'device.nv0.unarmed=on'], '', None),
    'what only the other mode refuses': (
        ['-overcommit', 'mem-lock=off', '-global', 'PIIX4_PM.disable_s3=00', '-global',
         'driver=PIIX4_PM,property=disable_s4,value=1', '-qmp', 'unix:/run/q,server=on,wait=off'], '', SHMEM),
    'a DIMM of its own guest_memfd': (
        MEMFD + ['-device', 'pc-dimm,memdev=o2,id=d0'], '', None),
}

CHANGE = ' could change what the RAM of a domain with private memory is made of'
ONLY = '; beside private memory there can be that of nvdimm, virtio-pmem and ivshmem-plain only'
# Arguments, and a part of the message.
REFUSED = [
    (NVDIMM + ['-set', 'device.nv0.driver=pc-dimm'],
     "QEMU's option '-set device.nv0.driver=pc-dimm'" + CHANGE),
    (FILE + RNG + ['-set', 'device.r0.memdev=m1'], "QEMU's option '-set device.r0.memdev=m1'" + CHANGE),
    (['-set', 'object.ram-node0.share=off'], CHANGE),
    (['-set', 'machine.x.memory-backend=o1'], CHANGE),
    (['-global', 'memory-backend-memfd.share=off'], CHANGE),
    (['-global', 'driver=nvdimm,property=memdev,value=o1'], CHANGE),
    (['-mem-path', '/run'], CHANGE),
    (['--preconfig'], CHANGE),
    (FILE + ['-device', 'nvdimm,id=nv0,memdev=m1,driver=pc-dimm'],
     "memory backend 'm1' is a memory-backend-file"),
    (FILE + ['-device', "{'driver':'pc-d\\u0069mm','id':'d','memdev':'m1'}"],
     "memory backend 'm1' is a memory-backend-file"),
    (BACKEND + ['-device', 'pc-dimm,memdev=o1,id=d'], "memory backend 'o1' is a memory-backend-ram"),
    (BACKEND, "memory backend 'o1' (memory-backend-ram) is not used by anything"),
    (BACKEND + ['-device', 'cxl-type3,volatile-memdev=o1,id=c'],
     "memory backend 'o1' (memory-backend-ram) is used by cxl-type3 'c'" + ONLY),
    (BACKEND + ['-device', 'virtio-mem-pci,id=v,memdev=o1'],
     "memory device 'v' is of type virtio-mem-pci, which cannot be private"),
    (MEMFD + ['-device', 'ivshmem-plain,memdev=o2,id=i'],
     "memory backend 'o2' of ivshmem-plain 'i' is a memory-backend-memfd; beside fully shared private "
     'memory it must be a memory-backend-file'),
    (MEMFD + ['-M', 'memory_backend=o2,accel=tcg'], "the accelerator 'tcg'"),
    (['-accel', 'tcg'], "the accelerator 'tcg'"),
    (['-numa', 'node,mem=32M'], 'gives a cell memory without a memory backend'),
    (["-object", "{'qom-type':'iothread','id':'x',}"], 'cannot read the value'),
    (["-object", "{'qom-type':'iothread','id':'x'/**/}"], 'cannot read the value'),
    (["-device", "{'driver':'virtio-rng-pci','driver':'pc-dimm'}"], 'cannot read the value'),
    (['-novel', '-mem-path', '/run'], "libvirt-gmem does not know QEMU's option '-novel'"),
]

ONE = ['-object', 'memory-backend-ram,id=ram1,size=64M']
# The same without cells, where -machine names the backend.
REFUSED_MACHINE = [
    (ONE + ['-machine', 'memory-backend=ram1'],
     "QEMU's option '-machine memory-backend=ram1' would replace the memory backend 'pc.ram' that is the "
     "domain's RAM"),
]

# Arguments of a convertible domain.
LOCKED = 'a software-protected VM cannot have its memory locked'
VFIO = 'its DMA requires pinned shared pages'
REFUSED_CONVERTIBLE = [
    (['-overcommit', 'mem-lock=yes'], LOCKED),
    (['-blockdev', "{'driver':'nvme','device':'0000:01:00.0','namespace':1,'node-name':'n'}"], VFIO),
    (['-blockdev', 'raw,node-name=n,file.driver=nvme,file.device=0000:01:00.0'], VFIO),
    (['-drive', 'if=none,id=d,file=nvme://0000:01:00.0/1'], VFIO),
    (['nvme://0000:01:00.0/1'], VFIO),
    (['-drive', 'if=none,id=d,file=/dev/null', '-set', 'drive.d.driver=nvme'], VFIO),
    (['-machine', 'smm=auto'], "a software-protected VM has no SMM, but QEMU's command line has "
     'smm=auto'),
    (['-incoming', 'defer'], "a software-protected VM cannot be restored, which QEMU's option "
     "'-incoming defer' asks for"),
]
STARTS_CONVERTIBLE = FILE + [
    '-device', 'ivshmem-plain,memdev=m1,id=i,addr=0x1e', '-overcommit', 'mem-lock=on', '-overcommit',
    'mem-lock=off', '-machine', 'smm=off']


@functools.lru_cache(maxsize=None)
def rig_and_client():
    rig = DaemonRig(library())
    for path in ('/run/kvmfr0', '/run/file'):
        with open(rig.outer(path), 'wb') as file:
            file.truncate(4 * MIB)
    return rig, rig.python()


def written(rig, **options):
    return domain('vm', boot=rig.guest_image('vm'), serial='/run/serial', **options)


def follows(check, argv, arguments):
    at = [i for i in range(len(argv)) if argv[i:i + len(arguments)] == arguments]
    check.equal(len(at), 1, 'places of %r in %r' % (arguments, argv))


def starts(name, arguments, devices, attached):
    @suite.test('starts: ' + name)
    def _(check):
        need_guest_memfd()
        rig, client = rig_and_client()
        rig.write('/run/serial', '')
        client.define(written(rig, cells=[RAM * KIB], slots=True, arguments=arguments, devices=devices))
        try:
            client.start('vm')
            guest = Guest(rig, '/run/serial')
            guest.wait_pass()
            emulator = rig.emulator('vm')
            if attached:
                client.call('vm', 'attachDeviceFlags', attached, LIVE)
                check.has(client.dumpxml('vm'), '<shmem', 'dumpxml')
            evidence(check, emulator, [RAM * MIB] + [64 * MIB] * arguments.count(MEMFD[1]), guest.text)
            follows(check, emulator.argv, arguments)
            check.has(client.dumpxml('vm'), '<private/>', 'dumpxml')
        finally:
            if rig.emulator('vm'):
                client.destroy('vm')
            client.undefine('vm')


for title, row in STARTS.items():
    starts(title, *row)


def refused(check, rig, client, rows, **options):
    for arguments, part in rows:
        client.define(written(rig, arguments=arguments, **options))
        try:
            client.start('vm')
            check.true(False, '%r started' % arguments)
            client.destroy('vm')
        except LibvirtError as error:
            check.equal(error.code, ERR_CONFIG_UNSUPPORTED, 'the code for %r' % arguments)
            check.matches(error.message, '^unsupported configuration: .*' + re.escape(part),
                          'the refusal of %r' % arguments)
        finally:
            client.undefine('vm')


@suite.test('refused: %d command lines' % len(REFUSED + REFUSED_MACHINE))
def _(check):
    need_guest_memfd()
    rig, client = rig_and_client()
    refused(check, rig, client, REFUSED, cells=[RAM * KIB], slots=True)
    refused(check, rig, client, REFUSED_MACHINE)


@suite.test('refused of a convertible domain: %d command lines (KVM and QEMU are stand-ins)'
            % len(REFUSED_CONVERTIBLE))
def _(check):
    need_kvm()
    with fake_host(DaemonRig, HAS_VM_TYPE) as rig:
        StandIn(rig, OBJECT)
        client = rig.python()
        options = {'private': False, 'launch': 'sw-protected', 'emulator': '/run/emulator'}
        refused(check, rig, client, REFUSED_CONVERTIBLE, **options)
        with open(rig.outer('/run/file'), 'wb') as file:
            file.truncate(4 * MIB)
        client.define(written(rig, arguments=STARTS_CONVERTIBLE, devices=SHMEM, **options))
        client.start('vm')
        follows(check, rig.emulator('vm').argv, STARTS_CONVERTIBLE)
        client.destroy('vm')


def refusals(kind):
    @suite.test('%s: what the child refuses has its code and text, whichever call starts the domain'
                % kind.name)
    def _(check):
        need_guest_memfd()
        with kind(library()) as rig:
            client = rig.python()
            good = domain('vm', memory=RAM * KIB)
            bad = with_argument(good, '-accel', 'tcg')

            def refused(domain_name, method, *arguments):
                error = check.refused(lambda: client.call(domain_name, method, *arguments),
                                      ERR_CONFIG_UNSUPPORTED)
                check.matches(error.message, ACCELERATOR, method)
                check.equal(rig.emulators(), [], 'emulators after ' + method)

            refused(None, 'createXML', bad, 0)
            client.define(bad)
            refused('vm', 'create')
            refused('vm', 'createWithFlags', 0)
            # Errors that QEMU itself reports are left to libvirt, even if they have the same words as ours.
            client.define(with_argument(domain('other', memory=RAM * KIB, private=False), '-device',
                                        'libvirt-gmem: unsupported configuration: QEMU said so'))
            error = check.refused(lambda: client.start('other'), ERR_INTERNAL_ERROR)
            check.has(error.message, 'QEMU said so', 'what QEMU said')
            client.define(good)
            client.start('vm')
            client.save('vm', '/run/image')
            client.start('vm')
            client.call('vm', 'managedSave', 0)
            # From here on, nothing is started: libvirt may notice late that a refused child has ended, and then
            # end the QEMU that has been started since.
            refused(None, 'restoreFlags', '/run/image', bad, 0)
            client.call(None, 'saveImageDefineXML', '/run/image', bad, 0)
            refused(None, 'restore', '/run/image')
            client.call('vm', 'managedSaveDefineXML', bad, 0)
            refused('vm', 'create')


refusals(DaemonRig)
refusals(EmbedRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
