#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that act on the memory of a private domain, and dumpxml with every flag."""

import itertools
import json
import os
import re

from gmem_calls import (ERR_OPERATION_INVALID, ERR_OPERATION_UNSUPPORTED, SERIAL, Pair, answer,
                        convertible, tests_of)
from gmem_checks import no_evidence, shows_private, split_native
from gmem_evidence import backends, guest_memfds, large_foreign_mappings
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_DETAIL, ERR_XML_ERROR, KIB, MIB, DaemonRig, EmbedRig,
                      Suite, domain, kvm_extension, need_root, wait_for)

suite = Suite()

CELLS = [40 * KIB]
DIMM = ("<memory model='dimm'><target><size unit='KiB'>%d</size><node>0</node></target></memory>"
        % (128 * KIB))
NVDIMM = ("<memory model='nvdimm'><source><path>/run/nvdimm</path></source><target>"
          "<size unit='KiB'>%d</size><node>0</node></target></memory>" % (128 * KIB))
VIRTIO_MEM = ("<memory model='virtio-mem'><target><size unit='KiB'>%d</size><node>0</node>"
              "<block unit='KiB'>2048</block><requested unit='KiB'>0</requested></target></memory>"
              % (128 * KIB))
LIVE, CONFIG, MAXIMUM = 1, 2, 4         # virDomainModificationImpact and virDomainMemoryModFlags
PHYSICAL, VIRTUAL = 2, 1                # virDomainMemoryFlags
DUMP_LIVE, DUMP_MEMORY_ONLY = 2, 16     # virDomainCoreDumpFlags
RAW, KDUMP_ZLIB = 0, 1                  # virDomainCoreDumpFormat
PAGE = 4096


def ballooned(xml):
    return xml.replace("<memballoon model='none'/>", "<memballoon model='virtio'/>")


def pattern(text, address):
    """Whether @text contains the guest's page with that address."""
    start = text.find(b'GMEMPAGE' + address.to_bytes(8, 'little'))
    end = (address ^ (1 << 64) - 1).to_bytes(8, 'little')
    return start >= 0 and text[start + PAGE - 8:start + PAGE] == end


def calls(kind):
    pair = Pair(kind)
    shared = {}

    test = tests_of(suite, pair)

    def dumps(host):
        """The results of dumpxml for every combination of flags."""
        bits = {'SECURE': 1, 'INACTIVE': 2, 'UPDATE_CPU': 4, 'MIGRATABLE': 8}
        result = {}
        for count in range(len(bits) + 1):
            for flags in itertools.combinations(bits, count):
                xml = host.call('vm', 'XMLDesc', sum(bits[f] for f in flags))
                result[' '.join(flags) or 'none'] = re.sub(r"\n +<label>.*</label>", '', xml)
        return result

    def compare_dumps(check):
        wanted, got = {}, dumps(pair.ours)
        for flags in got:
            wanted[flags] = pair.shown(check, 'dumpxml with flags ' + flags,
                                       lambda host, f=flags: dumps(host)[f])
            shows_private(check, got[flags], 'dumpxml with flags ' + flags)
        check.equal(len(got), 16, 'number of combinations')

    def everything(check, sizes):
        """All of QEMU's memory is guest_memfd; @sizes: of all backends, including attached ones."""
        emulator = pair.ours.rig.emulator('vm')
        check.equal(sorted(m.size for m in guest_memfds(emulator.pid)), sorted(sizes),
                    "sizes of QEMU's guest_memfds")
        with backends(emulator.pid) as found:
            for backend in found:
                backend.size = min(sizes)
            inodes = {(m.dev, m.inode) for m in guest_memfds(emulator.pid)}
            foreign = [m for m in large_foreign_mappings(emulator.pid, found)
                       if (m.dev, m.inode) not in inodes]
        check.equal(foreign, [], 'other writable mappings as large as a backend')

    @test('dumpxml with every flag, of a domain that is off', starts=False)
    def _(check, host):
        for each in pair.both():
            each.python.define(ballooned(each.domain(cells=CELLS, slots=True,
                                                     private=each is host)))
        compare_dumps(check)

    @test('dumpxml with every flag, of a running domain')
    def _(check, host):
        host.rig.write(SERIAL, '')
        for each in pair.both():
            each.python.start('vm')
        host.guest.wait_pass(0)
        shared['boot'] = host.guest.text
        no_evidence(check, pair.stock.rig.emulator('vm'))
        compare_dumps(check)

    @test('virsh dumpxml')
    def _(check, host):
        for option in ('--inactive', '--security-info', '--update-cpu', '--migratable'):
            shows_private(check, host.virsh_shows('dumpxml vm ' + option), 'dumpxml ' + option)

    @test('setmem: the balloon of a running domain')
    def _(check, host):
        for each in pair.both():
            check.equal(each.call('vm', 'setMemory', 20 * KIB), 0, 'setMemory')
            check.equal(each.call('vm', 'setMemoryFlags', 21 * KIB, LIVE), 0, 'setMemoryFlags')
            check.equal(each.call('vm', 'setMemoryFlags', 22 * KIB, CONFIG), 0, 'setMemoryFlags')
        xml = pair.shown(check, 'dumpxml', lambda each: each.call('vm', 'XMLDesc', 2))
        check.has(xml, "<currentMemory unit='KiB'>%d<" % (22 * KIB), 'dumpxml --inactive')
        shows_private(check, xml)
        host.virsh('setmem', 'vm', '23M', '--config')
        check.has(host.call('vm', 'XMLDesc', 2), "<currentMemory unit='KiB'>%d<" % (23 * KIB),
                  'dumpxml --inactive')
        for each in pair.both():
            each.call('vm', 'setMemoryFlags', CELLS[0], LIVE | CONFIG)
        everything(check, [CELLS[0] * KIB])
        check.equal(host.guest.complaints(), [], 'complaints')

    @test('setmaxmem')
    def _(check, host):
        for flags in (MAXIMUM | LIVE, MAXIMUM | CONFIG):
            wanted = check.refused(lambda f=flags: pair.stock.call('vm', 'setMemoryFlags', 64 * KIB,
                                                                   f))
            check.equal(check.refused(lambda f=flags: host.call('vm', 'setMemoryFlags',
                                                                     64 * KIB, f)), wanted, 'error')
        host.python.define(domain('simple', memory=30 * KIB))
        host.call('simple', 'setMaxMemory', 40 * KIB)
        xml = host.python.dumpxml('simple')
        check.has(xml, "<memory unit='KiB'>%d<" % (40 * KIB), 'dumpxml')
        shows_private(check, xml)
        host.call('simple', 'setMemoryFlags', 26 * KIB, MAXIMUM | CONFIG)
        host.python.start('simple')
        check.equal([m.size for m in guest_memfds(host.rig.emulator('simple').pid)], [26 * MIB],
                    "sizes of QEMU's guest_memfds")
        host.python.destroy('simple')
        host.python.undefine('simple')

    @test('attach of a dimm to a running domain: it is guest_memfd, too')
    def _(check, host):
        for each in pair.both():
            each.call('vm', 'attachDevice', DIMM)
        everything(check, [CELLS[0] * KIB, 128 * MIB])
        # libvirt forgets the alias when it is restarted, with or without the library.
        pair.shown(check, 'dumpxml', lambda each: re.sub(
            r"(<controller type='usb' index='0' model='none')>\s*<alias .*/>\s*</controller>",
            r'\1/>', each.python.dumpxml('vm')))
        host.call('vm', 'attachDeviceFlags', "<?xml version='1.0'?>\n" + DIMM, LIVE)
        everything(check, [CELLS[0] * KIB, 128 * MIB, 128 * MIB])
        xml = host.python.dumpxml('vm')
        check.equal(xml.count("<memory model='dimm'"), 2, 'dimms')
        shows_private(check, xml)
        check.lacks(host.python.dumpxml('vm', '--inactive'), 'dimm', 'dumpxml --inactive')
        last, _ = host.guest.wait_pass(0)
        host.guest.wait_pass(last)

    @test('attach of a dimm to running domain and configuration, by virsh')
    def _(check, host):
        path = host.rig.virsh().file(DIMM)
        host.virsh('attach-device', 'vm', path, '--live', '--config')
        everything(check, [CELLS[0] * KIB, 128 * MIB, 128 * MIB, 128 * MIB])
        xml = host.python.dumpxml('vm', '--inactive')
        check.equal(xml.count("<memory model='dimm'"), 1, 'dimms')
        shows_private(check, xml)

    @test('what rules forbid at define is not attached')
    def _(check, host):
        xml = host.python.dumpxml('vm'), host.python.dumpxml('vm', '--inactive')
        for device in (VIRTIO_MEM, "<?xml version='1.0'?>\n" + VIRTIO_MEM):
            for flags in (LIVE, CONFIG, LIVE | CONFIG, 0):
                check.refused(lambda d=device, f=flags: host.call('vm', 'attachDeviceFlags', d, f),
                              ERR_CONFIG_UNSUPPORTED,
                              "unsupported configuration: <private/> cannot be used with "
                              "<memory model='virtio-mem'>; use <memory model='dimm'>")
            check.refused(lambda d=device: host.call('vm', 'attachDevice', d),
                          ERR_CONFIG_UNSUPPORTED, part="<memory model='virtio-mem'>")
        check.equal((host.python.dumpxml('vm'), host.python.dumpxml('vm', '--inactive')), xml,
                    'dumpxml')

    @test('a device that hides behind entities is not attached')
    def _(check, host):
        hidden = ("<!DOCTYPE memory [<!ENTITY m 'virtio-mem'>]>\n" +
                  VIRTIO_MEM.replace("'virtio-mem'", "'&m;'"))
        for flags in (LIVE, CONFIG, LIVE | CONFIG):
            check.refused(lambda f=flags: host.call('vm', 'attachDeviceFlags', hidden, f), ERR_XML_ERROR,
                          'XML error: a document type declaration is not supported here: remove it, '
                          'and write out the entities that it declares')
        check.lacks(host.python.dumpxml('vm', '--inactive'), 'virtio-mem', 'dumpxml --inactive')

    @test('what is no device gets the error that stock libvirt gives', starts=False)
    def _(check, host):
        for device in ('', 'x', '<memory></a>', '<a/>', '<memory/>', "<memory model='dimm'/>"):
            wanted = check.refused(lambda d=device: pair.stock.call('vm', 'attachDeviceFlags', d, 0))
            check.equal(check.refused(lambda d=device: host.call('vm', 'attachDeviceFlags', d,
                                                                      0)), wanted, device)
        # libvirt also refuses incomplete XML, in other words.
        check.refused(lambda: host.call('vm', 'attachDeviceFlags', '<memory>', 0), ERR_XML_DETAIL)

    @test('an NVDIMM beside private RAM')
    def _(check, host):
        host.rig.run(['truncate', '-s', '128M', '/run/nvdimm'])
        host.call('vm', 'attachDeviceFlags', NVDIMM, CONFIG)
        # RAM requires shared access, but guest writes must not reach the file because of that.
        xml = host.python.dumpxml('vm', '--inactive')
        check.has(xml, "<memory model='nvdimm' access='private'", 'dumpxml --inactive')
        shows_private(check, xml)
        argv = split_native(host.python.native(xml))[1]
        nvdimms = [json.loads(each) for each in argv if each.startswith('{') and 'memnvdimm' in each]
        check.equal([each.get('share') for each in nvdimms if 'qom-type' in each], [False],
                    "the NVDIMM's share")
        nvdimm = re.search(r" *<memory model='nvdimm'.*?</memory>\n", xml, re.S)[0]
        host.call('vm', 'detachDeviceFlags', nvdimm, CONFIG)
        check.lacks(host.python.dumpxml('vm', '--inactive'), 'nvdimm', 'dumpxml --inactive')

    @test('an NVDIMM whose access is written is attached as it is', starts=False)
    def _(check, host):
        for access in ('shared', 'private'):
            device = NVDIMM.replace("'nvdimm'", "'nvdimm' access='%s'" % access)
            host.call('vm', 'attachDeviceFlags', device, CONFIG)
            xml = host.python.dumpxml('vm', '--inactive')
            check.has(xml, "<memory model='nvdimm' access='%s'" % access, 'dumpxml --inactive')
            host.call('vm', 'detachDeviceFlags', device, CONFIG)
        # If the user has chosen the access for the domain, that applies to an NVDIMM, too.
        host.python.define(domain('chosen', cells=CELLS, slots=True, backing="<access mode='shared'/>"))
        host.call('chosen', 'attachDeviceFlags', NVDIMM, CONFIG)
        check.has(host.python.dumpxml('chosen'), "<memory model='nvdimm'>", 'dumpxml')
        host.python.undefine('chosen')

    @test('stored XML of a domain that an NVDIMM was taken out of is taken', starts=False)
    def _(check, host):
        devices = (NVDIMM, NVDIMM.replace('/run/nvdimm', '/run/nvdimm2'))
        host.python.define(domain('less', cells=CELLS, slots=True, devices=''.join(devices)))
        stored = (host.rig.directory + '/etc/qemu/' if kind is EmbedRig
                  else '/etc/libvirt/qemu/') + 'less.xml'
        for number, device in enumerate(devices, 1):
            host.call('less', 'detachDeviceFlags', device, CONFIG)
            xml = host.python.dumpxml('less')
            check.equal(xml.count("<memory model='nvdimm'"), 2 - number, 'NVDIMMs')
            lowered = host.rig.read(stored)
            check.equal(lowered.count('devices/memory['), 3 - number,
                        'NVDIMMs that the pair tells of')
            host.python.define(lowered)
            check.equal(host.python.dumpxml('less'), xml, 'dumpxml')
            check.equal(host.rig.read(stored).count('devices/memory['), 2 - number,
                        'NVDIMMs that the new pair tells of')
        host.python.undefine('less')

    @test('what the user wrote in an NVDIMM stays, whichever others come and go', starts=False)
    def _(check, host):
        first, chosen, last = (
            NVDIMM.replace('/run/nvdimm', '/run/nvdimm-%d' % n).replace(
                "'nvdimm'", "'nvdimm'%s" % access)
            for n, access in enumerate(('', " access='private'", '')))
        host.python.define(domain('kept', cells=CELLS, slots=True, devices=first + chosen + last))

        def shown():
            return re.findall(r"<memory model='nvdimm'(.*)>\s*<source>\s*<path>/run/nvdimm-(\d)<",
                              host.python.dumpxml('kept'))
        check.equal(shown(), [('', '0'), (" access='private'", '1'), ('', '2')], 'NVDIMMs')
        host.call('kept', 'detachDeviceFlags', first, CONFIG)
        check.equal(shown(), [(" access='private'", '1'), ('', '2')], 'NVDIMMs')
        host.python.define(host.python.dumpxml('kept'))
        check.equal(shown(), [(" access='private'", '1'), ('', '2')], 'NVDIMMs')
        host.python.undefine('kept')

    @test('a domain with a hundred NVDIMMs is defined', starts=False)
    def _(check, host):
        many = ''.join(NVDIMM.replace('/run/nvdimm', '/run/nvdimm-%d' % n) for n in range(100))
        xml = domain('many', cells=CELLS, slots=True, devices=many)
        host.python.define(re.sub("<maxMemory slots='4' unit='KiB'>.*?<",
                                  "<maxMemory slots='100' unit='GiB'>64<", xml))
        check.equal(host.python.dumpxml('many').count("<memory model='nvdimm'>"), 100, 'NVDIMMs')
        host.python.undefine('many')

    @test('detach of a dimm')
    def _(check, host):
        xml = host.python.dumpxml('vm', '--inactive')
        dimm = re.search(r" *<memory model='dimm'.*?</memory>\n", xml, re.S)[0]
        host.call('vm', 'detachDeviceFlags', dimm, CONFIG)
        xml = host.python.dumpxml('vm', '--inactive')
        check.lacks(xml, 'dimm', 'dumpxml --inactive')
        shows_private(check, xml)
        # The guest does not give it back, although it is asked to.
        alias = re.findall(r"<alias name='(dimm\d)'/>", host.python.dumpxml('vm'))[-1]
        host.call('vm', 'detachDeviceAlias', alias, LIVE)
        shows_private(check, host.python.dumpxml('vm'))
        check.equal(host.python.state('vm'), 'running', 'state')
        last, _ = host.guest.wait_pass(0)
        host.guest.wait_pass(last)

    @test('update of a device')
    def _(check, host):
        balloon = "<memballoon model='virtio'><stats period='%d'/></memballoon>"
        for each in pair.both():
            check.refused(lambda e=each: e.call('vm', 'updateDeviceFlags', DIMM, LIVE))
            each.call('vm', 'setMemoryStatsPeriod', 5, LIVE | CONFIG)
            error = check.refused(lambda e=each: e.call('vm', 'updateDeviceFlags', balloon % 7,
                                                        CONFIG))
            shared.setdefault('update', error)
            check.equal(error, shared['update'], 'error')
        check.has(host.python.dumpxml('vm'), "<stats period='5'/>", 'dumpxml')
        shows_private(check, host.python.dumpxml('vm'))
        shows_private(check, host.python.dumpxml('vm', '--inactive'))

    @test('memory peek shows what the guest has written')
    def _(check, host):
        address = 0x234000
        page = bytes.fromhex(host.call('vm', 'memoryPeek', address, PAGE, PHYSICAL))
        check.true(pattern(page, address), 'no pattern at %#x: %r' % (address, page[:16]))
        check.equal(len(host.call('vm', 'memoryPeek', address, 16, VIRTUAL)), 32, 'length')

    @test('dump and dump --memory-only have what the guest has written')
    def _(check, host):
        address = 0x234000
        plans = {
            'dump --memory-only': lambda path: host.call('vm', 'coreDump', path, DUMP_MEMORY_ONLY),
            'dump --format': lambda path: host.call('vm', 'coreDumpWithFormat', path, RAW,
                                                    DUMP_MEMORY_ONLY),
        }
        # Without --memory-only it is a migration to a file, which newer versions of libvirt do not support.
        wanted = answer(lambda: pair.stock.call('vm', 'coreDump', '/run/dump', DUMP_LIVE))
        if wanted == 0:
            plans['dump --live'] = lambda path: host.call('vm', 'coreDump', path, DUMP_LIVE)
        else:
            check.equal(answer(lambda: host.call('vm', 'coreDump', '/run/dump', DUMP_LIVE)), wanted,
                        'dump --live')
        for what, dump in plans.items():
            path = '/run/dump'
            dump(path)
            with open(host.rig.outer(path), 'rb') as file:
                check.true(pattern(file.read(), address), 'no pattern in ' + what)
            os.unlink(host.rig.outer(path))
        host.virsh('dump', 'vm', '/run/dump', '--memory-only', '--format', 'kdump-zlib')
        check.true(os.path.getsize(host.rig.outer('/run/dump')) > PAGE, 'empty dump')
        host.call('vm', 'coreDumpWithFormat', '/run/dump', KDUMP_ZLIB, DUMP_MEMORY_ONLY)
        check.equal(host.python.state('vm'), 'running', 'state')
        everything(check, [CELLS[0] * KIB] + [128 * MIB] * 3)

    @test('the rate of changed memory')
    def _(check, host):
        host.call('vm', 'startDirtyRateCalc', 1, 0)
        text = wait_for(lambda: re.search(r'dirtyrate.megabytes_per_second=(\d+)', host.virsh(
            'domstats', 'vm', '--dirtyrate')), 'the rate')
        check.true(int(text[1]) >= 0, 'rate')
        check.equal(host.python.state('vm'), 'running', 'state')

    @test('save and restore of a domain with attached dimms')
    def _(check, host):
        last, _ = host.guest.wait_pass(0)
        host.call('vm', 'save', '/run/saved')
        xml = host.call(None, 'saveImageGetXMLDesc', '/run/saved', 0)
        check.equal(xml.count("<memory model='dimm'"), 3, 'dimms in the save image')
        host.call(None, 'restore', '/run/saved')
        host.goes_on(check, last)
        sizes = [CELLS[0] * KIB] + [128 * MIB] * 3
        check.equal(sorted(m.size for m in guest_memfds(host.rig.emulator('vm').pid)),
                    sorted(sizes), "sizes of QEMU's guest_memfds")
        host.python.destroy('vm')

    @test('rename, and an XML with another name', starts=False)
    def _(check, host):
        host.call('vm', 'rename', 'renamed', 0)
        check.equal(host.python.names(), ['renamed'], 'domains')
        shows_private(check, host.python.dumpxml('renamed'))
        clone = re.sub('<uuid>.*</uuid>', '', host.python.dumpxml('renamed')).replace(
            '<name>renamed<', '<name>clone<')
        host.python.define(clone)
        shows_private(check, host.python.dumpxml('clone'))
        for name in ('renamed', 'clone') if kvm_extension(244) & 3 == 3 else ():
            host.python.start(name)
            check.equal([m.size for m in guest_memfds(host.rig.emulator(name).pid)],
                        [CELLS[0] * KIB], "sizes of QEMU's guest_memfds")
            host.python.destroy(name)
        for name in ('renamed', 'clone'):
            host.python.undefine(name)

    @test('sw-protected: calls on its configuration', starts=False)
    def _(check, host):
        host.python.define(convertible(ballooned(domain('sw', cells=CELLS, slots=True))))
        host.call('sw', 'attachDeviceFlags', DIMM, CONFIG)
        xml = host.python.dumpxml('sw')
        check.has(xml, "<memory model='dimm'", 'dumpxml')
        check.has(xml, "<launchSecurity type='sw-protected'/>", 'dumpxml')
        shows_private(check, xml)
        check.refused(lambda: host.call('sw', 'attachDeviceFlags', VIRTIO_MEM, CONFIG),
                      ERR_CONFIG_UNSUPPORTED, part="<memory model='virtio-mem'>")
        check.refused(lambda: host.call('sw', 'setMemoryFlags', 20 * KIB, CONFIG),
                      ERR_OPERATION_UNSUPPORTED, "Operation not supported: memory ballooning is not supported "
                      "for a domain with <launchSecurity type='sw-protected'/>: current memory "
                      'cannot be set below maximum memory')
        check.equal(host.python.dumpxml('sw'), xml, 'dumpxml after the refusals')
        for limit in (1, CELLS[0], CELLS[0] + 128 * KIB - 1):
            check.refused(lambda each=limit: host.call(
                'sw', 'setMemoryParameters', {'hard_limit': each, 'soft_limit': 1}, CONFIG),
                          ERR_CONFIG_UNSUPPORTED, part='<hard_limit> (%d KiB)' % limit)
        check.equal(host.python.dumpxml('sw'), xml, 'dumpxml after the refusals')
        host.call('sw', 'setMemoryParameters', {'hard_limit': 512 * KIB}, CONFIG)
        check.has(host.python.dumpxml('sw'), "<hard_limit unit='KiB'>%d<" % (512 * KIB), 'dumpxml')
        host.python.define(host.python.dumpxml('sw'))
        # A domain that is shut off has no memory to read; these calls get the errors for such a domain.
        for call in (('save', '/run/x'), ('managedSave', 0), ('coreDump', '/run/x', 0),
                     ('memoryPeek', 0, 16, PHYSICAL), ('startDirtyRateCalc', 1, 0)):
            check.refused(lambda c=call: host.call('sw', *c), ERR_OPERATION_INVALID,
                          part='domain is not running')
        host.python.undefine('sw')

    @test('the end', starts=False)
    def _(check, host):
        check.equal(host.python.names(), [], 'domains')
        check.equal(host.rig.emulators(), [], 'emulators')
        pair.close()


calls(EmbedRig)
calls(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
