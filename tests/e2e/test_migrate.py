#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migration of a private domain between two hosts, in each way that libvirt knows."""

import os
import re
import subprocess

from gmem_calls import (ACCELERATOR, ERR_OPERATION_UNSUPPORTED, convertible, other_mode, plain,
                        pretend_convertible, titled, with_argument)
from gmem_checks import Guest, evidence, shows_private
from gmem_hosts import Host, connect
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR, KIB, MIB, EmbedRig, Failure, Skip, Suite,
                      domain, kvm_extension, library, need_guest_memfd, need_root, wait_for)

suite = Suite()

SERIAL = '/run/serial'
SIZES = (41 * MIB, 37 * MIB)  # more than QEMU's heap, which grows with each migration
OPTION = '-x-libvirt-gmem'
LIVE, PEER2PEER, TUNNELLED, UNSAFE = 1, 2, 4, 1 << 9      # virDomainMigrateFlags


class Hosts:
    """Two hosts; the domain is on one of them, .here, and goes to the other, .there."""

    here = there = None
    boot = None
    last = 0

    @classmethod
    def begin(cls):
        need_guest_memfd()
        cls.here, cls.there = Host(1, library()), Host(2, library())
        connect(cls.here, cls.there)
        xml = domain('vm', cells=[size // KIB for size in SIZES], serial=SERIAL,
                     boot=cls.here.guest_image('vm'))
        cls.there.guest_image('vm')
        cls.virsh('define', cls.file(xml))
        cls.virsh('start', 'vm')
        cls.guest().wait_pass(0)
        cls.boot = cls.guest().text

    @classmethod
    def need(cls):
        need_guest_memfd()
        if cls.boot is None:
            raise Failure('the domain does not run')

    @classmethod
    def guest(cls):
        return Guest(cls.here, SERIAL)

    @classmethod
    def virsh(cls, *arguments):
        return cls.here.virsh().virsh(*arguments)

    @classmethod
    def file(cls, xml):
        return cls.here.virsh().file(xml)

    @classmethod
    def migrate(cls, *options):
        return cls.virsh('migrate', 'vm', cls.there.remote, '--unsafe', *options)

    @classmethod
    def moves(cls, check, *options):
        """The domain moves to the other host, and is unchanged."""
        cls.need()
        evidence(check, cls.here.emulator('vm'), SIZES, cls.boot)
        cls.last = cls.guest().wait_pass(cls.last)[0]
        cls.there.write(SERIAL, '')
        cls.migrate(*options)
        wait_for(lambda: cls.here.emulator('vm') is None, 'the end of QEMU on the source')
        check.has(cls.there.virsh().virsh('list', '--name'), 'vm', 'domains on the destination')
        check.lacks(cls.here.virsh().virsh('list', '--name'), 'vm', 'domains on the source')
        cls.here, cls.there = cls.there, cls.here
        check.equal(cls.virsh('domstate', 'vm').strip(), 'running', 'state')
        cls.last = cls.guest().wait_pass(cls.last)[0]
        check.lacks(cls.guest().text, 'boot found', 'what the guest wrote')
        evidence(check, cls.here.emulator('vm'), SIZES, cls.boot)
        xml = cls.virsh('dumpxml', 'vm')
        shows_private(check, xml)
        return xml

    @classmethod
    def stays(cls, check, number):
        """Nothing has happened to the domain, which QEMU @number runs, and it is not on the other
        host."""
        check.equal(cls.here.emulator('vm').pid, number, "QEMU's pid")
        check.equal(cls.virsh('domstate', 'vm').strip(), 'running', 'state')
        wait_for(lambda: not cls.there.emulators(), 'the end of QEMU on the destination')
        cls.last = cls.guest().wait_pass(cls.last)[0]
        evidence(check, cls.here.emulator('vm'), SIZES, cls.boot)

    @classmethod
    def refused(cls, check, options, message=None, part=None):
        cls.need()
        number = cls.here.emulator('vm').pid
        error = check.refused(lambda: cls.migrate(*options), message=message, part=part)
        cls.stays(check, number)
        return error


@suite.test('two hosts, one private domain')
def _(check):
    Hosts.begin()
    evidence(check, Hosts.here.emulator('vm'), SIZES, Hosts.boot)
    check.true(Hosts.virsh('hostname') != Hosts.there.virsh().virsh('hostname'), 'one host name')


@suite.test('live, client-driven')
def _(check):
    Hosts.moves(check, '--live')


@suite.test('live, peer to peer')
def _(check):
    Hosts.moves(check, '--live', '--p2p')


@suite.test('not live, with a definition left and one made')
def _(check):
    Hosts.moves(check, '--persistent', '--undefinesource')
    shows_private(check, Hosts.virsh('dumpxml', 'vm', '--inactive'))
    check.lacks(Hosts.there.virsh().virsh('list', '--all', '--name'), 'vm', 'domains')


@suite.test('live, peer to peer, tunnelled')
def _(check):
    Hosts.need()
    Hosts.moves(check, '--live', '--p2p', '--tunnelled', '--persistent')


@suite.test('by URIs of unix sockets')
def _(check):
    Hosts.need()
    there = Hosts.there
    remote = 'qemu+unix:///system?socket=' + there.outer('/run/libvirt/libvirt-sock')
    address, there.remote = there.remote, remote
    path = os.path.join(there.root, 'run', 'ram')
    try:
        Hosts.moves(check, '--live', '--p2p', '--migrateuri', 'unix://' + path)
    finally:
        there.remote = address


def xml_of(host_dump, title):
    return Hosts.file(titled(host_dump, title))


def with_xml(*options):
    @suite.test('with XML for the destination, and for its definition: ' + ' '.join(options))
    def _(check):
        Hosts.need()
        dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
        shows_private(check, dump)
        xml = Hosts.moves(check, *options, '--persistent', '--xml', xml_of(dump, 'running'),
                          '--persistent-xml', xml_of(dump, 'defined'))
        check.has(xml, '<title>running</title>', 'dumpxml')
        xml = Hosts.virsh('dumpxml', 'vm', '--inactive')
        check.has(xml, '<title>defined</title>', 'dumpxml --inactive')
        shows_private(check, xml)

    @suite.test('XML of another mode is refused: ' + ' '.join(options))
    def _(check):
        Hosts.need()
        dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
        for made, mode in ((plain(dump), None), (convertible(dump), 'convertible')):
            Hosts.refused(check, (*options, '--xml', Hosts.file(made)),
                          message=other_mode('fully-shared', mode))
        # The persistent definition may have another mode, as with virsh define.
        Hosts.moves(check, *options, '--persistent', '--persistent-xml', Hosts.file(plain(dump)))
        check.lacks(Hosts.virsh('dumpxml', 'vm', '--inactive'), '<private', 'dumpxml --inactive')
        Hosts.virsh('define', Hosts.file(dump))

    @suite.test('XML that libvirt itself refuses: ' + ' '.join(options))
    def _(check):
        Hosts.need()
        dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
        wrong = dump.replace("<vcpu placement='static'>2<", "<vcpu placement='static'>3<")
        check.true(wrong != dump, 'nothing was changed')
        Hosts.refused(check, (*options, '--xml', Hosts.file(wrong)), part="doesn't match source")


with_xml('--live')
with_xml('--live', '--p2p')


@suite.test('what is meant for another daemon stays lowered')
def _(check):
    Hosts.need()
    for function in ('virDomainMigrateBegin3', 'virDomainMigrateBegin3Params'):
        xml = Hosts.here.private(function, 'vm', flags=LIVE | UNSAFE)
        check.has(xml, OPTION, 'XML of ' + function)
        check.has(xml, '&quot;fully-shared&quot;', 'XML of ' + function)
        check.lacks(xml, '<private/>', 'XML of ' + function)
    Hosts.stays(check, Hosts.here.emulator('vm').pid)


SOURCE = ('virDomainMigrateBegin3', 'virDomainMigratePerform3', 'virDomainMigrateBegin3Params',
          'virDomainMigratePerform3Params')
DESTINATION = ('virDomainMigratePrepare2', 'virDomainMigratePrepareTunnel',
               'virDomainMigratePrepare3', 'virDomainMigratePrepareTunnel3',
               'virDomainMigratePrepare3Params', 'virDomainMigratePrepareTunnel3Params')


def carried(function, xml):
    return {'params': {'destination_xml': xml}} if 'Params' in function else {'xml': xml}


@suite.test('each function of the source refuses XML of another mode')
def _(check):
    Hosts.need()
    dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
    number = Hosts.here.emulator('vm').pid
    for function in SOURCE:
        flags = LIVE if 'Begin' in function else LIVE | PEER2PEER
        for made, mode in ((plain(dump), None), (convertible(dump), 'convertible')):
            check.refused(lambda f=function, m=made, l=flags: Hosts.here.private(
                f, 'vm', flags=l, **carried(f, m)), ERR_CONFIG_UNSUPPORTED,
                other_mode('fully-shared', mode))
    Hosts.stays(check, number)


@suite.test('each function of the destination looks at the XML that it gets')
def _(check):
    Hosts.need()
    dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
    if kvm_extension(235) & 2:
        raise Skip('KVM of this host has software-protected VMs')
    number = Hosts.here.emulator('vm').pid
    for function in DESTINATION:
        flags = LIVE | (TUNNELLED | PEER2PEER if 'Tunnel' in function else 0)
        check.refused(lambda f=function, l=flags: Hosts.there.private(
            f, None, flags=l, **carried(f, convertible(dump))), ERR_CONFIG_UNSUPPORTED,
            part='has no KVM_X86_SW_PROTECTED_VM')
        forged = plain(dump).replace('<domain ', "<domain xmlns:qemu='http://libvirt.org/schemas/"
                                     "domain/qemu/1.0' ").replace(
            '</domain>', "<qemu:commandline><qemu:arg value='%s'/><qemu:arg value='{}'/>"
            '</qemu:commandline></domain>' % OPTION)
        check.refused(lambda f=function, l=flags, x=forged: Hosts.there.private(
            f, None, flags=l, **carried(f, x)), ERR_XML_ERROR)
    Hosts.stays(check, number)


@suite.test('what the child on the destination refuses has its own code and text')
def _(check):
    Hosts.need()
    dump = Hosts.virsh('dumpxml', 'vm', '--migratable', '--security-info')
    bad = with_argument(dump, '-accel', 'tcg')
    number = Hosts.here.emulator('vm').pid
    for function in DESTINATION:
        flags = LIVE | (TUNNELLED | PEER2PEER if 'Tunnel' in function else 0)
        error = check.refused(lambda f=function, l=flags: Hosts.there.private(
            f, None, flags=l, **carried(f, bad)), ERR_CONFIG_UNSUPPORTED)
        check.matches(error.message, ACCELERATOR, function)
    for options in (('--live',), ('--live', '--p2p')):
        error = Hosts.refused(check, (*options, '--xml', Hosts.file(bad)))
        check.matches(error.message, ACCELERATOR, str(options))
    Hosts.stays(check, number)


@suite.test('without memory: a definition moves, of either mode')
def _(check):
    Hosts.need()
    xml = re.sub(r'\n *<serial.*', '', domain('off', memory=20 * KIB))
    for made, launch in ((xml, None), (convertible(xml), 'sw-protected')):
        for options in ((), ('--p2p',)):
            Hosts.virsh('define', Hosts.file(made))
            dump = Hosts.virsh('dumpxml', 'off')
            Hosts.virsh('migrate', 'off', Hosts.there.remote, '--offline', '--persistent',
                        '--undefinesource', *options)
            there = Hosts.there.virsh()
            check.equal(there.dumpxml('off'), dump, 'dumpxml on the destination')
            shows_private(check, there.dumpxml('off'))
            if launch:
                check.has(there.dumpxml('off'), launch, 'dumpxml on the destination')
            there.undefine('off')


@suite.test('no definition arrives where a managed save of another mode waits')
def _(check):
    Hosts.need()
    xml = re.sub(r'\n *<serial.*', '', domain('off', memory=20 * KIB))
    there = Hosts.there.virsh()
    there.define(plain(xml))
    there.start('off')
    there.virsh('managedsave', 'off')
    Hosts.virsh('define', Hosts.file(xml))
    for options in ((), ('--p2p',)):
        check.refused(lambda o=options: Hosts.virsh(
            'migrate', 'off', Hosts.there.remote, '--offline', '--persistent', *o),
            part="until 'virsh managedsave-remove' has removed the image")
    check.lacks(there.dumpxml('off'), '<private/>', 'dumpxml on the destination')
    there.virsh('managedsave-remove', 'off')
    Hosts.virsh('migrate', 'off', Hosts.there.remote, '--offline', '--persistent', '--undefinesource')
    shows_private(check, there.dumpxml('off'))
    there.undefine('off')


@suite.test('a domain that is off gets the error of libvirt')
def _(check):
    Hosts.need()
    Hosts.virsh('define', Hosts.file(convertible(domain('off', memory=20 * KIB))))
    check.refused(lambda: Hosts.virsh('migrate', 'off', Hosts.there.remote),
                  part='domain is not running')
    Hosts.virsh('undefine', 'off')


@suite.test('live, over several connections')
def _(check):
    Hosts.moves(check, '--live', '--p2p', '--parallel', '--parallel-connections', '2')


@suite.test('post-copy is refused, and the migration goes on without')
def _(check):
    Hosts.need()
    here = Hosts.here
    reason = ('Operation not supported: post-copy migration is not possible for a domain with '
              '<private/>: userfaultfd does not work on guest_memfd')
    Hosts.last = Hosts.guest().wait_pass(Hosts.last)[0]
    Hosts.there.write(SERIAL, '')
    client = here.python()
    number = here.emulator('vm').pid
    # At this bandwidth, it takes some eight seconds.
    with here.popen(['/usr/bin/virsh', 'migrate', 'vm', Hosts.there.remote, '--unsafe', '--live',
                     '--p2p', '--postcopy', '--bandwidth', '10'], stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, env=here.environment(), text=True) as migration:
        wait_for(lambda: migration.poll() is not None or client.call('vm', 'jobStats', 0)['type'],
                 'the migration')
        check.refused(lambda: client.call('vm', 'migrateStartPostCopy', 0),
                      ERR_OPERATION_UNSUPPORTED, reason)
        output = migration.communicate()[0].strip()
    client.close()
    if migration.returncode and 'TMPFS or HUGETLBFS' in output:
        # Newer versions of QEMU check the file system before they enable it.
        Hosts.stays(check, number)
        return
    check.equal((migration.returncode, output), (0, ''), "virsh's status and output")
    Hosts.here, Hosts.there = Hosts.there, Hosts.here
    Hosts.last = Hosts.guest().wait_pass(Hosts.last)[0]
    evidence(check, Hosts.here.emulator('vm'), SIZES, Hosts.boot)


@suite.test('an ordinary domain migrates as ever')
def _(check):
    Hosts.need()
    Hosts.virsh('create', Hosts.file(domain('plain', memory=20 * KIB, private=False)))
    dump = Hosts.virsh('dumpxml', 'plain', '--migratable')
    for options in (('--live',), ('--live', '--p2p')):
        Hosts.virsh('migrate', 'plain', Hosts.there.remote, '--unsafe', *options)
        Hosts.here, Hosts.there = Hosts.there, Hosts.here
        now = Hosts.virsh('dumpxml', 'plain', '--migratable')
        check.equal(re.sub(r" id='\d+'", '', now), re.sub(r" id='\d+'", '', dump), 'dumpxml')
        check.lacks(Hosts.here.emulator('plain').maps, 'gmem', 'maps')
    private = dump.replace('</currentMemory>', '</currentMemory><memoryBacking><private/>'
                           '</memoryBacking>')
    for options in (('--live',), ('--live', '--p2p')):
        check.refused(lambda o=options: Hosts.virsh(
            'migrate', 'plain', Hosts.there.remote, '--unsafe', *o, '--xml', Hosts.file(private)),
            message=other_mode(None, 'fully-shared'))
    Hosts.virsh('destroy', 'plain')


@suite.test('a destination without the library refuses, and the domain stays')
def _(check):
    Hosts.need()
    there = Hosts.there
    there.restart(())
    try:
        for options in (('--live',), ('--live', '--p2p'), ('--live', '--p2p', '--tunnelled'),
                        ('--live', '--persistent')):
            Hosts.refused(check, options, part=OPTION + ': invalid option')
        check.lacks(there.virsh().virsh('list', '--name'), 'vm', 'domains there')
    finally:
        there.restart(library())
    # With the library, it can migrate there again.
    Hosts.moves(check, '--live', '--p2p')


@suite.test('a destination without the shim refuses, and the domain stays')
def _(check):
    Hosts.need()
    there = Hosts.there
    there.restart((there.tree(shim_mode=None),))
    try:
        for options in (('--live',), ('--live', '--p2p')):
            Hosts.refused(check, options, part='qemu-gmem.so')
    finally:
        there.restart(library())


class Embedded:
    """A domain in an embedded driver, and how it gets to the host that does not have the library."""

    def __init__(self, name):
        self.rig = EmbedRig(library())
        self.python = self.rig.python()
        self.name = name
        there = Hosts.there
        self.remote = 'qemu+unix:///system?socket=' + there.outer('/run/libvirt/libvirt-sock')
        self.through = 'unix://' + os.path.join(there.root, 'run', 'ram')
        self.guest = Guest(self.rig, '/run/serial2')
        there.guest_image(name)
        self.python.define(domain(name, memory=40 * KIB, serial='/run/serial2',
                                  boot=self.rig.guest_image(name)))
        self.python.start(name)
        self.guest.wait_pass(0)
        self.boot = self.guest.text

    def dump(self):
        return self.python.dumpxml(self.name, '--migratable', '--security-info')


@suite.test('out of an embedded driver: the functions that clients call')
def _(check):
    Hosts.need()
    embedded = Embedded('embedded')
    name, call, there = embedded.name, embedded.python.call, Hosts.there
    flags = LIVE | PEER2PEER | UNSAFE
    dump = embedded.dump()
    for made, mode in ((plain(dump), None), (convertible(dump), 'convertible')):
        reason = other_mode('fully-shared', mode)
        check.refused(lambda m=made: call(name, 'migrateToURI2', embedded.remote, embedded.through,
                                          m, flags, None, 0), ERR_CONFIG_UNSUPPORTED, reason)
        check.refused(lambda m=made: call(name, 'migrateToURI3', embedded.remote, {
            'migrate_uri': embedded.through, 'destination_xml': m}, flags),
            ERR_CONFIG_UNSUPPORTED, reason)
    check.refused(lambda: call(name, 'migrateStartPostCopy', 0), ERR_OPERATION_UNSUPPORTED,
                  'Operation not supported: post-copy migration is not possible for a domain with '
                  '<private/>: userfaultfd does not work on guest_memfd')
    check.equal(embedded.python.state(name), 'running', 'state')
    last = embedded.guest.wait_pass(0)[0]
    call(name, 'migrateToURI3', embedded.remote, {
        'migrate_uri': embedded.through, 'destination_xml': titled(dump, 'moved')}, flags)
    guest = Guest(there, '/run/serial2')
    check.true(guest.wait_pass(last)[0] > last, 'the guest did not go on')
    evidence(check, there.emulator(name), [40 * MIB], embedded.boot)
    xml = there.virsh().dumpxml(name)
    check.has(xml, '<title>moved</title>', 'dumpxml')
    shows_private(check, xml)
    there.virsh().destroy(name)
    embedded.python.close()
    embedded.rig.close()


@suite.test('out of an embedded driver: the functions that clients call with a connection')
def _(check):
    Hosts.need()
    for function in ('migrate', 'migrate2', 'migrate3'):
        embedded = Embedded(function)
        there = Hosts.there
        dump = embedded.dump()
        call = embedded.python.call

        def arguments(xml, function=function, embedded=embedded):
            flags = LIVE | UNSAFE
            return {'migrate': (flags, None, embedded.through, 0),
                    'migrate2': (xml, flags, None, embedded.through, 0),
                    'migrate3': ({'migrate_uri': embedded.through, 'destination_xml': xml},
                                 flags)}[function]
        for made, mode in ((plain(dump), None), (convertible(dump), 'convertible')):
            if function != 'migrate':
                check.refused(lambda m=made: call(
                    function, function, {'open': embedded.remote}, *arguments(m)),
                    ERR_CONFIG_UNSUPPORTED, other_mode('fully-shared', mode))
        call(function, function, {'open': embedded.remote}, *arguments(dump))
        evidence(check, there.emulator(function), [40 * MIB], embedded.boot)
        shows_private(check, there.virsh().dumpxml(function))
        there.virsh().destroy(function)
        embedded.python.close()
        embedded.rig.close()


@suite.test('a domain with private pages is refused')
def _(check):
    Hosts.need()
    here = Hosts.here
    pretend_convertible(here, 'vm', here.virsh().dumpxml('vm', '--migratable'), here.kill_daemon,
                        here.start_daemon)
    check.has(Hosts.virsh('dumpxml', 'vm'), "type='sw-protected'", 'dumpxml')
    number = here.emulator('vm').pid
    reason = ("Operation not supported: migration is not possible for a domain with <launchSecurity "
              "type='sw-protected'/>: the host cannot read the guest's private pages")
    for options in (('--live',), ('--live', '--p2p'), ('--live', '--p2p', '--tunnelled')):
        check.refused(lambda o=options: Hosts.migrate(*o), message=reason)
    for function in (*SOURCE, 'virDomainMigratePerform'):
        check.refused(lambda f=function: here.private(f, 'vm', flags=LIVE),
                      ERR_OPERATION_UNSUPPORTED, reason)
    check.equal(here.emulator('vm').pid, number, "QEMU's pid")
    check.equal(Hosts.virsh('domstate', 'vm').strip(), 'running', 'state')
    check.equal(Hosts.there.emulators(), [], 'emulators on the destination')
    Hosts.guest().wait_pass(Hosts.last)


@suite.test('the end')
def _(check):
    if Hosts.here is None:
        raise Skip('no hosts')
    check.equal(Hosts.there.emulators(), [], 'emulators on the other host')
    for host in (Hosts.here, Hosts.there):
        host.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
