#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private domain's whole life, on the embedded driver and on a private libvirtd with virsh.

The tests of one rig share it and build on each other, in the order in which a user would do things.
"""

import os
import re

from gmem_checks import (Guest, canonical, evidence, native_is_private, shows_private, split_native,
                         without_private)
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_INVALID_SCHEMA, KIB, MIB, DaemonRig, EmbedRig,
                      Skip, Suite, domain, kvm_extension, library, need_guest_memfd, need_kvm,
                      need_root, wait_for)

suite = Suite()

CELLS = (27, 45)  # MiB
SIZES = [cell * MIB for cell in CELLS]
SERIAL = '/run/serial'
DUMPS = ((), ('--inactive',), ('--security-info',), ('--migratable',))


class Life:
    """One rig and what its tests share."""

    def __init__(self, kind):
        self.kind = kind
        self.rig = self.client = self.python = None
        self.guest = None
        self.xml = None

    def begin(self):
        self.rig = self.kind(library())
        self.python = self.rig.python()
        self.client = self.rig.virsh() if self.kind is DaemonRig else self.python
        self.guest = Guest(self.rig, SERIAL)
        self.xml = self.domain('vm')

    def domain(self, name, **options):
        options.setdefault('cells', [cell * KIB for cell in CELLS])
        options.setdefault('serial', SERIAL)
        return domain(name, boot=self.rig.guest_image(name), **options)

    def reopen(self):
        """The embedded driver ends with its process; the client of a daemon does not matter."""
        self.python.close()
        self.python = self.rig.python()
        if self.kind is EmbedRig:
            self.client = self.python

    def virsh(self, action):
        """Calls action(virsh): there can only be one embedded driver at a time."""
        if self.kind is DaemonRig:
            return action(self.client)
        self.python.close()
        try:
            return action(self.rig.virsh())
        finally:
            self.client = self.python = self.rig.python()

    def evidence(self, check, name='vm', sizes=None):
        evidence(check, self.rig.emulator(name), sizes or SIZES, self.guest.text)

    def log_of(self, name):
        """What the library writes to the domain's log."""
        return re.findall(r'(?m)^libvirt-gmem: (.*)$', self.rig.read(self.rig.domain_log % name))

    def own_log(self):
        """What the library writes to libvirtd's log, or to stderr of a client that embeds the driver."""
        text = self.rig.read(self.rig.log) if self.kind is DaemonRig else \
            os.pread(self.python.log.fileno(), 1 << 20, 0).decode('utf-8', 'replace')
        return re.findall(r'(?m)^libvirt-gmem: (.*)$', text)

    def stock_dumps(self, xml, name):
        """What stock libvirt shows of the same domain without <private/>, by options of dumpxml."""
        with EmbedRig() as stock:
            client = stock.python()
            client.define(without_private(xml))
            return {options: canonical(client.dumpxml(name, *options)) for options in DUMPS}


def life(kind):
    it = Life(kind)

    def test(name):
        return suite.test('%s: %s' % (kind.name, name))

    @test('define')
    def _(check):
        it.begin()
        it.client.define(it.xml)
        check.equal(it.client.names(), ['vm'], 'domains')
        check.equal(it.client.state('vm'), 'shut off', 'state')
        check.equal(it.rig.emulators(), [], 'emulators')

    @test('dumpxml shows what was written')
    def _(check):
        for options, stock in it.stock_dumps(it.xml, 'vm').items():
            xml = it.client.dumpxml('vm', *options)
            shows_private(check, xml, 'dumpxml ' + ' '.join(options))
            check.equal(without_private(xml), stock, 'the rest of dumpxml ' + ' '.join(options))

    @test('what is dumped can be defined again and dumps the same')
    def _(check):
        xml = it.client.dumpxml('vm')
        it.client.define(xml)
        check.equal(it.client.dumpxml('vm'), xml, 'dumpxml')
        it.client.define(xml, validate=True)
        check.equal(it.client.dumpxml('vm'), xml, 'dumpxml')

    @test('define --validate accepts <private/>')
    def _(check):
        it.client.define(it.domain('valid'), validate=True)
        shows_private(check, it.client.dumpxml('valid'))
        it.client.undefine('valid')
        check.equal(it.client.names(), ['vm'], 'domains')

    @test('define --validate refuses <private> with an attribute or content')
    def _(check):
        for wrong in ("<private foo='1'/>", '<private>x</private>', '<private><a/></private>'):
            xml = it.domain('wrong').replace('<private/>', wrong)
            check.refused(lambda xml=xml: it.client.define(xml, validate=True),
                          ERR_XML_INVALID_SCHEMA)
            check.refused(lambda xml=xml: it.python.define(xml, validate=True),
                          ERR_XML_INVALID_SCHEMA, part='failed to validate')
        check.equal(it.client.names(), ['vm'], 'domains')

    @test("define --validate still refuses what stock libvirt's schema does not know")
    def _(check):
        xml = it.domain('wrong').replace('<on_reboot>', '<nonsense/><on_reboot>')
        check.refused(lambda: it.python.define(xml, validate=True), ERR_XML_INVALID_SCHEMA,
                      part='nonsense')
        check.equal(it.client.names(), ['vm'], 'domains')

    @test('redefine: not private and private again')
    def _(check):
        before = it.client.dumpxml('vm')
        it.client.define(it.xml.replace('<private/>', ''))
        plain = it.client.dumpxml('vm')
        check.lacks(plain, 'private', 'dumpxml of the plain domain')
        check.lacks(plain, 'x-libvirt-gmem', 'dumpxml of the plain domain')
        check.equal(canonical(plain), without_private(before), 'dumpxml')
        environment, argv = split_native(it.client.native(plain))
        check.true('LD_PRELOAD' not in environment, 'LD_PRELOAD for the plain domain')
        check.true('-x-libvirt-gmem' not in argv, 'the pair for the plain domain')
        it.client.define(it.xml)
        check.equal(it.client.dumpxml('vm'), before, 'dumpxml')

    @test('virsh edit')
    def _(check):
        before = it.client.dumpxml('vm')

        def edit(script):
            it.virsh(lambda virsh: virsh.edit('vm', script))
            return it.client.dumpxml('vm')
        titled = edit('s,</uuid>,&<title>edited</title>,')
        shows_private(check, titled, 'dumpxml after another thing was edited')
        check.has(titled, '<title>edited</title>', 'dumpxml')
        gone = edit('/<private *\\/>/d')
        check.lacks(gone, '<private', 'dumpxml after it was taken out')
        check.lacks(gone, 'x-libvirt-gmem', 'dumpxml after it was taken out')
        back = edit('/<memoryBacking/d;/<\\/memoryBacking/d;/<title>/d;'
                    's,</currentMemory>,&<memoryBacking><private/></memoryBacking>,')
        check.equal(back, before, 'dumpxml after it was put in again')
        unchanged = edit('')
        check.equal(unchanged, before, 'dumpxml after an edit of nothing')

    @test('domxml-to-native shows the final command line')
    def _(check):
        need_guest_memfd()
        native_is_private(check, it.client.native(it.xml), SIZES)
        native_is_private(check, it.client.native(it.client.dumpxml('vm')), SIZES)
        text = it.virsh(lambda virsh: virsh.virsh('domxml-to-native', 'qemu-argv',
                                                  '--domain', 'vm'))
        native_is_private(check, text, SIZES)
        check.equal(it.rig.emulators(), [], 'emulators')

    @test('start: the guest runs on guest_memfd')
    def _(check):
        need_guest_memfd()
        it.client.start('vm')
        check.equal(it.client.state('vm'), 'running', 'state')
        _, pages = it.guest.wait_pass(1)
        check.true(pages * 4096 > sum(SIZES) - 3 * MIB, 'the guest found %d pages' % pages)
        it.evidence(check)
        check.equal(it.log_of('vm'), ['QEMU is asked for guest RAM of %d bytes in 2 memory backends as '
                                      'guest_memfd, mode fully-shared, by shim' % sum(SIZES)], "the domain's log")

    @test('the command line that runs is the one that domxml-to-native showed')
    def _(check):
        need_guest_memfd()
        # The command line of a domain that is not running contains the id -1.
        _, argv = split_native(it.client.native(it.client.dumpxml('vm', '--inactive')))
        running = it.rig.emulator('vm').argv
        number = it.python.call('vm', 'ID')
        wanted = [re.sub('domain--1-', 'domain-%d-' % number, word) for word in argv]
        # In libvirt's native form, which does not open anything, what is passed as a descriptor has a name.
        vague = {'-chardev', '-mon', '-add-fd'}
        strip = lambda words: [w for i, w in enumerate(words)  # noqa: E731
                               if w not in vague and words[i - 1] not in vague]
        if '-x-libvirt-gmem' not in running:  # the shim may remove it from what /proc shows
            at = wanted.index('-x-libvirt-gmem')
            del wanted[at:at + 2]
        check.equal(strip(running), strip(wanted), 'argv')

    @test('dumpxml of the running domain')
    def _(check):
        need_guest_memfd()
        for options in DUMPS:
            xml = it.client.dumpxml('vm', *options)
            shows_private(check, xml, 'dumpxml ' + ' '.join(options))

    @test('save and restore: the guest goes on')
    def _(check):
        need_guest_memfd()
        last, pages = it.guest.wait_pass(1)
        it.client.save('vm', '/run/saved')
        check.true(it.rig.emulator('vm') is None, 'a QEMU after the save')
        before = it.guest.text
        it.client.restore('/run/saved')
        # QEMU opens the file again, empty.
        number, now = it.guest.wait_pass(last)
        check.equal(now, pages, 'pages of the restored guest')
        check.lacks(it.guest.text, 'boot found', "the restored guest's serial port")
        check.true(number > last, 'pass %d after pass %d' % (number, last))
        evidence(check, it.rig.emulator('vm'), SIZES, before)
        shows_private(check, it.client.dumpxml('vm'))

    @test('managed save: the next start goes on from there')
    def _(check):
        need_guest_memfd()
        last, _ = it.guest.wait_pass(1)
        it.python.call('vm', 'managedSave', 0)
        check.true(it.rig.emulator('vm') is None, 'a QEMU after the save')
        it.client.start('vm')
        it.guest.wait_pass(last)
        check.lacks(it.guest.text, 'boot found', "the restored guest's serial port")

    @test('reset: the guest boots again on the same memory')
    def _(check):
        need_guest_memfd()
        emulator = it.rig.emulator('vm').pid
        it.client.reset('vm')
        found = int(wait_for(lambda: re.search(r'boot found (\d+) pages', it.guest.text),
                             'the guest to boot again')[1])
        check.true(found * 4096 > sum(SIZES) * 0.9, 'only %d pages kept their pattern' % found)
        wait_for(lambda: 'wrote' in it.guest.text, 'the guest to write its memory')
        wait_for(lambda: it.guest.text.rpartition('wrote')[2].count('ok') > 1, 'passes')
        check.equal(it.guest.complaints(), [], 'complaints')
        check.equal(it.rig.emulator('vm').pid, emulator, "QEMU's pid")
        it.evidence(check)

    @test('reboot by the guest')
    def _(check):
        need_guest_memfd()
        boots = it.guest.text.count('boot found')
        it.python.call('vm', 'reboot', 1)  # VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
        wait_for(lambda: it.guest.text.count('boot found') > boots, 'the guest to boot again')
        wait_for(lambda: it.guest.text.rpartition('boot found')[2].count(' ok ') > 1, 'passes')
        check.has(it.guest.text, 'power button, off', "the guest's serial port")
        check.equal(it.client.state('vm'), 'running', 'state')
        it.evidence(check)

    @test('suspend and resume')
    def _(check):
        need_guest_memfd()
        it.python.call('vm', 'suspend')
        check.equal(it.client.state('vm'), 'paused', 'state')
        it.python.call('vm', 'resume')
        count = len(it.guest.passes())
        wait_for(lambda: len(it.guest.passes()) > count + 1, 'passes after the resume')
        check.equal(it.guest.complaints(), [], 'complaints')

    @test('redefine while it runs: the running domain stays as it is')
    def _(check):
        need_guest_memfd()
        it.client.define(it.xml.replace('</uuid>', '</uuid><title>next</title>'))
        shows_private(check, it.client.dumpxml('vm'))
        check.lacks(it.client.dumpxml('vm'), '<title>', 'dumpxml')
        check.has(it.client.dumpxml('vm', '--inactive'), '<title>', 'dumpxml --inactive')
        shows_private(check, it.client.dumpxml('vm', '--inactive'))
        it.client.define(it.xml)

    if kind is DaemonRig:
        @test('libvirtd is killed while the domain runs, and comes back')
        def _(check):
            need_guest_memfd()
            emulator = it.rig.emulator('vm')
            # libvirt forgets this alias when it is restarted, with or without the library.
            lost = re.sub(r"(<controller type='usb' index='0' model='none')>\s*<alias .*/>\s*"
                          '</controller>', r'\1/>', it.client.dumpxml('vm'))
            it.rig.kill_daemon()
            it.python.close()
            check.true(emulator.alive, 'QEMU died with the daemon')
            it.rig.start_daemon()
            it.python = it.rig.python()
            check.equal(it.client.state('vm'), 'running', 'state')
            check.equal(it.rig.emulator('vm').pid, emulator.pid, "QEMU's pid")
            check.equal(it.client.dumpxml('vm'), lost, 'dumpxml')
            shows_private(check, it.client.dumpxml('vm', '--inactive'))
            count = len(it.guest.passes())
            wait_for(lambda: len(it.guest.passes()) > count + 1, 'passes after the restart')
            it.evidence(check)
    else:
        @test('the client is killed while the domain runs, and the next one finds it')
        def _(check):
            need_guest_memfd()
            emulator = it.rig.emulator('vm')
            # libvirt forgets this alias when it is restarted, with or without the library.
            lost = re.sub(r"(<controller type='usb' index='0' model='none')>\s*<alias .*/>\s*"
                          '</controller>', r'\1/>', it.client.dumpxml('vm'))
            it.python.process.kill()
            it.reopen()
            check.equal(it.client.state('vm'), 'running', 'state')
            # This waits for a job, and so until libvirt has finished reconnecting. A destroy during that time
            # reports that the domain is not running, which is true by then (stock libvirt does the same).
            it.python.call('vm', 'memoryStats')
            check.equal(it.rig.emulator('vm').pid, emulator.pid, "QEMU's pid")
            check.equal(it.client.dumpxml('vm'), lost, 'dumpxml')
            it.evidence(check)

    @test('destroy')
    def _(check):
        need_guest_memfd()
        emulator = it.rig.emulator('vm')
        it.client.destroy('vm')
        check.true(not emulator.alive, 'QEMU runs on')
        check.equal(it.client.state('vm'), 'shut off', 'state')
        shows_private(check, it.client.dumpxml('vm'))

    @test('autostart' + (': no client involved' if kind is DaemonRig else ''))
    def _(check):
        need_guest_memfd()
        it.python.call('vm', 'setAutostart', 1)
        if kind is DaemonRig:
            it.python.close()
            check.equal(it.rig.stop_daemon(), 0, "libvirtd's status")
            # libvirtd remembers that it has autostarted already, until the machine boots.
            it.rig.run(['rm', '-f', '/run/libvirt/qemu/autostarted'])
            it.rig.write(SERIAL, '')
            it.rig.start_daemon(patient=False)
            emulator = wait_for(lambda: it.rig.emulator('vm'), 'autostart')
            it.guest.wait_pass(0)
            it.rig.wait_daemon()
            it.python = it.rig.python()
        else:
            it.python.close()
            it.rig.run(['sh', '-c', 'rm -f /run/e/run/qemu/autostarted'])
            it.reopen()
            emulator = it.rig.emulator('vm')
            if emulator is None:
                raise Skip('this libvirt does not autostart in an embedded driver')
            it.guest.wait_pass(0)
        check.equal(it.client.state('vm'), 'running', 'state')
        it.evidence(check)
        shows_private(check, it.client.dumpxml('vm'))
        it.python.call('vm', 'setAutostart', 0)
        it.client.destroy('vm')
        check.true(not emulator.alive, 'QEMU runs on')

    @test('undefine')
    def _(check):
        it.client.undefine('vm')
        check.equal(it.client.names(), [], 'domains')

    @test('create: a transient domain')
    def _(check):
        need_guest_memfd()
        it.client.create(it.domain('brief', cells=None, memory=33 * KIB))
        it.guest.wait_pass(0)
        it.evidence(check, 'brief', [33 * MIB])
        shows_private(check, it.client.dumpxml('brief'))
        it.client.destroy('brief')
        check.equal(it.client.names(), [], 'domains')
        check.equal(it.rig.emulators(), [], 'emulators')

    @test('create --validate refuses <private> with an attribute')
    def _(check):
        xml = it.domain('brief').replace('<private/>', "<private foo='1'/>")
        check.refused(lambda: it.python.call(None, 'createXML', xml, 1 << 4),
                      ERR_XML_INVALID_SCHEMA)
        check.equal(it.rig.emulators(), [], 'emulators')

    @test('sw-protected is understood and kept')
    def _(check):
        xml = it.domain('sw', private=False, launch='sw-protected')
        it.client.define(xml, validate=True)
        for options in DUMPS:
            dump = it.client.dumpxml('sw', *options)
            shows_private(check, dump, 'dumpxml')  # implied
            check.equal(len(re.findall(r"<launchSecurity type='sw-protected'\s*/>", dump)), 1,
                        'number of <launchSecurity> in dumpxml')
        it.client.define(it.client.dumpxml('sw'), validate=True)
        check.equal(it.client.dumpxml('sw', '--migratable'), dump, 'dumpxml, defined again')

    @test('sw-protected is refused at start where KVM has no such VM type')
    def _(check):
        need_kvm()
        types = kvm_extension(235)
        if types & 2:
            raise Skip('KVM of this host has software-protected VMs')
        reason = ('unsupported configuration: KVM of Linux %s has no KVM_X86_SW_PROTECTED_VM '
                  '(KVM_CAP_VM_TYPES = %#x); use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM'
                  % (os.uname().release, types))
        # This was reported at define already, to users whom it concerns.
        check.has(it.own_log(), "warning: domain 'sw' is defined but could not start now: " +
                  reason.partition(': ')[2], 'the log')
        check.refused(lambda: it.python.start('sw'), ERR_CONFIG_UNSUPPORTED, reason)
        check.refused(lambda: it.client.start('sw'), message=reason)
        transient = it.domain('sw2', private=False, launch='sw-protected')
        check.refused(lambda: it.python.create(transient), ERR_CONFIG_UNSUPPORTED, reason)
        check.equal(it.rig.emulators(), [], 'emulators')
        check.equal(it.client.state('sw'), 'shut off', 'state')
        check.equal(it.client.names(), ['sw'], 'domains')
        # The start was not even tried: libvirt opens the log of a domain before it executes QEMU.
        check.equal(it.rig.read(it.rig.domain_log % 'sw'), '', "the domain's log")
        it.client.undefine('sw')

    @test('nothing is left behind')
    def _(check):
        check.equal(it.client.names(), [], 'domains')
        check.equal(it.rig.emulators(), [], 'emulators')
        it.python.close()
        if kind is DaemonRig:
            check.equal(it.rig.stop_daemon(), 0, "libvirtd's status")
        check.equal([p.argv for p in it.rig.processes()], [], 'processes')
        it.rig.close()


life(EmbedRig)
life(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
