#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots and checkpoints of a private domain: creating, showing, redefining and reverting to them."""

import re

from gmem_calls import (ACCELERATOR, SERIAL, Pair, convertible, plain, private, tests_of, titled,
                        with_argument)
from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR, ERR_XML_INVALID_SCHEMA, KIB, MIB,
                      DaemonRig, EmbedRig, Failure, Skip, Suite, kvm_extension, need_root)

suite = Suite()

SIZE = 40 * MIB
DISK = '/run/snapshots.qcow2'
MEMORY = '/run/snapshot.memory'
OPTION = '-x-libvirt-gmem'

# Of virDomainSnapshotCreateFlags, virDomainSnapshotXMLFlags, virDomainSnapshotRevertFlags …
REDEFINE, CURRENT, LIVE, DISK_ONLY, VALIDATE = 1, 2, 1 << 8, 1 << 4, 1 << 9
SECURE = 1
METADATA_ONLY = 2
RUNNING, PAUSED, FORCE = 1, 2, 4
CHECKPOINT_REDEFINE, NO_DOMAIN = 1, 2


def prepared(rig, disk=DISK):
    result = rig.run(['qemu-img', 'create', '-q', '-f', 'qcow2', disk, '64M'])
    if result.returncode:
        raise Failure(result.stderr)


def definition(host, name='vm', disk=DISK, **options):
    """A domain with a disk that supports internal snapshots, beside the guest's own disk, which is raw and
    therefore read-only: read-only disks are left out of snapshots."""
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            "<source file='%s'/><target dev='vdb' bus='virtio'/></disk>" % disk)
    options.setdefault('cells', [SIZE // KIB])
    return host.domain(name, devices=disk, **options).replace(
        "<target dev='hda' bus='ide'/>", "<target dev='vda' bus='virtio'/><readonly/>")


def document(name, memory='', disks='', more=''):
    disks = '<disks>%s</disks>' % disks if disks else ''
    return '<domainsnapshot><name>%s</name>%s%s%s</domainsnapshot>' % (name, memory, disks, more)


def masked(text):
    return re.sub(r'<creationTime>\d+</creationTime>', '<creationTime>T</creationTime>', text)


def shows(check, xml, domains, what):
    """Each of the domains in a document has <private/>, and does not show the carrier."""
    check.equal(xml.count('<private/>'), domains, 'number of <private/> in ' + what)
    check.lacks(xml, 'x-libvirt-gmem', what)
    check.lacks(xml, 'xmlns:qemu', what)


def snapshots(kind):
    pair = Pair(kind)
    boot = []   # what the guest wrote when it booted

    test = tests_of(suite, pair)

    def create(host, xml, flags=0):
        return host.call('vm', 'snapshotCreateXML', xml, flags)

    def dump(host, name, flags=0):
        return host.call(['vm', 'snapshot', name], 'getXMLDesc', flags)

    def revert(host, name, flags=0):
        return host.call('vm', 'revertToSnapshot', ['vm', 'snapshot', name], flags)

    def forget(host, name):
        host.call(['vm', 'snapshot', name], 'delete', METADATA_ONLY)

    def same(check, host, name, xml):
        check.equal(dump(host, name, SECURE), xml, 'snapshot-dumpxml')

    def shown(check, name, domains, flags=0):
        """The snapshot is shown as stock libvirt shows it, with that many private domains in it."""
        xml = pair.shown(check, 'snapshot-dumpxml', lambda host: dump(host, name, flags), masked)
        shows(check, xml, domains, 'snapshot-dumpxml')
        return xml

    def runs(check, host):
        """The guest that booted in the first of these tests is running, in guest_memfd."""
        check.equal(host.python.state('vm'), 'running', 'state')
        host.evidence(check, boot[0], sizes=[SIZE])

    @test('snapshot of a domain that is off', starts=False)
    def _(check, host):
        for each in pair.both():
            prepared(each.rig)
            each.python.define(definition(each, private=each is host))
            create(each, document('off'))
        for flags in (0, SECURE):
            shown(check, 'off', 1, flags)
        stored = host.rig.read(
            host.rig.directory + '/lib/qemu/snapshot/vm/off.xml' if kind is EmbedRig
            else '/var/lib/libvirt/qemu/snapshot/vm/off.xml')
        check.has(stored, OPTION, "libvirt's own file")
        check.lacks(stored, '<private/>', "libvirt's own file")
        check.equal(host.virsh('snapshot-dumpxml', 'vm', 'off', '--security-info').rstrip(),
                    dump(host, 'off', SECURE).rstrip(), "virsh's")

    @test('snapshot with memory of a running domain')
    def _(check, host):
        pair.stock.python.start('vm')
        host.rig.write(SERIAL, '')
        host.python.start('vm')
        host.guest.wait_pass(0)
        boot.append(host.guest.text)
        runs(check, host)
        for each in pair.both():
            create(each, document('mem'))
        for flags in (0, SECURE):
            xml = shown(check, 'mem', 2, flags)
        check.has(xml, '<inactiveDomain', 'snapshot-dumpxml')
        check.has(xml, "<memory snapshot='internal'/>", 'snapshot-dumpxml')
        check.equal(host.python.state('vm'), 'running', 'state')

    def redefine(check, host):
        for name in ('off', 'mem'):
            xml = dump(host, name, SECURE)
            for flags in (0, VALIDATE, CURRENT):
                create(host, xml, REDEFINE | flags)
                same(check, host, name, xml)
            forget(host, name)
            create(host, xml, REDEFINE)
            same(check, host, name, xml)
        described = xml.replace('<name>mem</name>',
                                '<name>mem</name>\n  <description>new</description>')
        create(host, described, REDEFINE)
        check.has(dump(host, 'mem'), '<description>new</description>', 'snapshot-dumpxml')
        create(host, xml, REDEFINE)

    @test('what is dumped can be redefined, and dumps the same')
    def _(check, host):
        for each in pair.both():
            redefine(check, each)
        for name, domains in (('off', 1), ('mem', 2)):
            shown(check, name, domains)

    @test('a redefinition without a domain keeps the domain that is there')
    def _(check, host):
        bare = ("<domainsnapshot><name>mem</name><state>running</state><creationTime>%s"
                "</creationTime><memory snapshot='internal'/><disks>"
                "<disk name='vdb' snapshot='internal'/></disks></domainsnapshot>")
        shown = []
        for each in pair.both():
            xml = dump(each, 'mem', SECURE)
            create(each, bare % re.search(r'<creationTime>(\d+)', xml)[1], REDEFINE)
            shown.append(masked(dump(each, 'mem', SECURE)))
            create(each, xml, REDEFINE)
        check.has(shown[0], '<uuid>', "stock libvirt's snapshot-dumpxml")
        check.equal(shown[1], private(shown[0]), 'snapshot-dumpxml')
        shows(check, dump(host, 'mem'), 2, 'snapshot-dumpxml')

    @test('snapshot-create --validate sees the elements', starts=False)
    def _(check, host):
        xml = dump(host, 'off', SECURE)
        wrong = xml.replace('<private/>', "<private foo='1'/>")
        check.refused(lambda: create(host, wrong, REDEFINE | VALIDATE), ERR_XML_INVALID_SCHEMA,
                      part='failed to validate')
        same(check, host, 'off', xml)

    @test('a redefinition with another mode is refused')
    def _(check, host):
        xml = dump(host, 'off', SECURE)
        host.refused_mode(check, 'fully-shared', None, lambda: create(host, plain(xml), REDEFINE))
        host.refused_mode(check, 'fully-shared', 'convertible',
                          lambda: create(host, convertible(xml), REDEFINE))
        same(check, host, 'off', xml)
        xml = dump(host, 'mem', SECURE)
        host.refused_mode(check, 'fully-shared', None, lambda: create(host, plain(xml), REDEFINE))
        same(check, host, 'mem', xml)
        # White space is part of a name.
        xml = dump(host, 'off', SECURE).replace('<name>off<', '<name> spaced<')
        create(host, xml, REDEFINE)
        host.refused_mode(check, 'fully-shared', None, lambda: create(host, plain(xml), REDEFINE))
        forget(host, ' spaced')

    @test('revert of the running domain to memory')
    def _(check, host):
        host.guest.wait_pass(3)
        revert(host, 'mem')
        host.guest.wait_pass(1)
        runs(check, host)
        shows_private(check, host.python.dumpxml('vm'))
        shows_private(check, host.python.dumpxml('vm', '--inactive'))
        revert(pair.stock, 'mem')
        pair.shown(check, 'dumpxml', lambda host: re.sub(
            r"\n +<alias name='usb'/>|id='\d+'", '', host.python.dumpxml('vm', '--inactive')))

    @test('external snapshot with memory')
    def _(check, host):
        memory = "<memory snapshot='external' file='%s'/>" % MEMORY
        disks = "<disk name='vdb' snapshot='no'/>"
        last, _ = host.guest.wait_pass(1)
        for each in pair.both():
            create(each, document('ext', memory, disks), LIVE)
        shown(check, 'ext', 2)
        host.guest.wait_pass(last)
        runs(check, host)
        image = host.call(None, 'saveImageGetXMLDesc', MEMORY, 0)
        check.equal(image.count('<private/>'), 1, 'number of <private/> in the memory file')
        check.lacks(image, 'x-libvirt-gmem', "the memory file's XML")

    @test('a snapshot whose memory file is of another mode is not redefined')
    def _(check, host):
        xml = dump(host, 'ext', SECURE)
        forget(host, 'ext')
        for text in (plain(xml), plain(xml).replace('<memory ', '<memory/><memory ', 1)):
            host.refused_mode(check, 'fully-shared', None,
                              lambda text=text: create(host, text, REDEFINE))
        create(host, xml, REDEFINE)
        same(check, host, 'ext', xml)

    @test("nor for an ordinary domain, under a new name")
    def _(check, host):
        xml = plain(dump(host, 'ext', SECURE))
        uuid = '01234567-89ab-cdef-0123-456789abcdef'
        other = re.sub('<name>vm<', '<name>other<', re.sub('<uuid>.*?</uuid>', '<uuid>%s</uuid>' % uuid, xml))
        host.python.define(re.sub('<uuid>.*?</uuid>', '<uuid>%s</uuid>' % uuid, plain(
            host.python.dumpxml('vm', '--inactive'))).replace('<name>vm<', '<name>other<'))
        other = re.sub('<parent>.*?</parent>', '', other.replace('<name>ext<', '<name>new<'), flags=re.S)
        host.refused_mode(check, 'fully-shared', None, lambda: host.call(
            'other', 'snapshotCreateXML', other, REDEFINE))
        # A file that cannot be opened is left to libvirt.
        host.call('other', 'snapshotCreateXML', other.replace(MEMORY, '/run/none'), REDEFINE)
        host.call(['other', 'snapshot', 'new'], 'delete', METADATA_ONLY)
        host.python.undefine('other')

    @test('disk snapshot of the running domain')
    def _(check, host):
        create(host, document('disk', disks="<disk name='vdb' snapshot='external'>"
                              "<source file='/run/overlay.qcow2'/></disk>"), DISK_ONLY)
        xml = dump(host, 'disk')
        shows(check, xml, xml.count('<uuid>'), 'snapshot-dumpxml')
        runs(check, host)

    @test('the memory file restores')
    def _(check, host):
        host.python.destroy('vm')
        host.call(None, 'restore', MEMORY)
        host.guest.wait_pass(0)
        runs(check, host)
        host.python.destroy('vm')

    @test('revert of a domain that is off')
    def _(check, host):
        host.python.define(definition(host))
        revert(host, 'mem')
        host.goes_on(check, 0)
        runs(check, host)
        shows_private(check, host.python.dumpxml('vm'))
        host.python.destroy('vm')
        revert(host, 'off')
        check.equal(host.python.state('vm'), 'shut off', 'state')
        shows_private(check, host.python.dumpxml('vm'))

    @test('revert of a running domain of another mode is refused')
    def _(check, host):
        host.python.define(plain(host.python.dumpxml('vm')))
        host.python.start('vm')
        emulator = host.rig.emulator('vm').pid
        for flags in (0, FORCE):
            host.refused_mode(check, None, 'fully-shared', lambda f=flags: revert(host, 'mem', f))
        check.equal(host.rig.emulator('vm').pid, emulator, "QEMU's pid")
        host.python.destroy('vm')
        # The snapshot determines what the domain will be.
        revert(host, 'mem')
        runs(check, host)
        shows_private(check, host.python.dumpxml('vm'))
        host.python.destroy('vm')

    @test('revert of a running domain of another mode to what was off: the guest is stopped')
    def _(check, host):
        xml = host.python.dumpxml('vm')
        for flags, state in ((0, 'shut off'), (RUNNING, 'running'), (PAUSED, 'paused')):
            host.python.define(plain(xml))
            host.python.start('vm')
            emulator = host.rig.emulator('vm').pid
            revert(host, 'off', flags)
            check.equal(host.python.state('vm'), state, 'state')
            shows_private(check, host.python.dumpxml('vm'))
            if flags:
                check.true(host.rig.emulator('vm').pid != emulator, 'the same QEMU')
                check.equal([m.size for m in guest_memfds(host.rig.emulator('vm').pid)],
                            [SIZE], "sizes of QEMU's guest_memfds")
                host.python.destroy('vm')

    @test('revert of a domain with a managed save of another mode is refused')
    def _(check, host):
        xml = host.python.dumpxml('vm')
        host.python.define(plain(xml))
        host.python.start('vm')
        host.call('vm', 'managedSave', 0)
        shown = host.python.dumpxml('vm')
        for name in ('off', 'mem'):
            for flags in (0, RUNNING, FORCE):
                check.refused(lambda n=name, f=flags: revert(host, n, f), ERR_CONFIG_UNSUPPORTED,
                              part="'virsh managedsave-remove' has removed the image")
        check.equal(host.python.dumpxml('vm'), shown, 'dumpxml')
        check.equal(host.call('vm', 'hasManagedSaveImage', 0), 1, 'is there a managed save')
        host.call('vm', 'managedSaveRemove', 0)
        revert(host, 'off')
        shows_private(check, host.python.dumpxml('vm'))

    @test('revert to what the child refuses: with its code and text')
    def _(check, host):
        shown = host.python.dumpxml('vm')
        for name, flags in (('off', RUNNING), ('off', PAUSED), ('mem', 0), ('mem', FORCE)):
            xml = dump(host, name, SECURE)
            create(host, with_argument(xml, '-accel', 'tcg'), REDEFINE)
            error = check.refused(lambda n=name, f=flags: revert(host, n, f), ERR_CONFIG_UNSUPPORTED)
            check.matches(error.message, ACCELERATOR, 'revert to %s, flags %d' % (name, flags))
            check.equal(host.rig.emulators(), [], 'emulators')
            create(host, xml, REDEFINE)
        host.python.define(shown)

    @test('revert to a snapshot that starts nothing does not ask what the host can do', starts=False)
    def _(check, host):
        if kvm_extension(235) & 2:
            raise Skip('KVM of this host has software-protected VMs')
        disk = '/run/convertible.qcow2'
        prepared(host.rig, disk)
        host.python.define(convertible(definition(host, name='sw', private=False, disk=disk)))
        snapshot = ['sw', 'snapshot', 'off']
        host.call('sw', 'snapshotCreateXML', document('off'), 0)
        host.python.define(titled(host.python.dumpxml('sw'), 'later'))
        for flags in (RUNNING, PAUSED):
            check.refused(lambda f=flags: host.call('sw', 'revertToSnapshot', snapshot, f),
                          ERR_CONFIG_UNSUPPORTED, part='KVM_X86_SW_PROTECTED_VM')
        check.has(host.python.dumpxml('sw'), '<title>later</title>', 'dumpxml')
        host.call('sw', 'revertToSnapshot', snapshot, 0)
        check.equal(host.python.state('sw'), 'shut off', 'state')
        check.lacks(host.python.dumpxml('sw'), '<title>', 'dumpxml')
        check.has(host.python.dumpxml('sw'), "<launchSecurity type='sw-protected'/>", 'dumpxml')
        host.call(snapshot, 'delete', 0)
        host.python.undefine('sw')

    @test('XML in a new snapshot: a domain in it is not looked at', starts=False)
    def _(check, host):
        create(host, document('new', more=plain(host.python.dumpxml('vm'))))
        shows(check, dump(host, 'new'), 1, 'snapshot-dumpxml')
        create(host, document('newer', more=host.python.dumpxml('vm')))
        shows(check, dump(host, 'newer'), 1, 'snapshot-dumpxml')

    @test('a redefinition with namespaces declared outside', starts=False)
    def _(check, host):
        wish = ("<qemu:commandline><qemu:arg value='-name'/><qemu:arg value='x'/>"
                '</qemu:commandline>')
        xml = dump(host, 'new', SECURE).replace('<name>new</name>', '<name>outer</name>')
        xml = xml.replace('<domainsnapshot>', "<domainsnapshot xmlns:qemu="
                          "'http://libvirt.org/schemas/domain/qemu/1.0'>")
        xml = xml.replace('</domain>', wish + '</domain>')
        create(host, xml, REDEFINE)
        got = dump(host, 'outer')
        check.equal(got.count('<private/>'), 1, 'number of <private/>')
        check.lacks(got, OPTION, 'snapshot-dumpxml')
        check.equal(got.count('<qemu:arg '), 2, "the user's own arguments")
        forget(host, 'outer')
        forged = xml.replace('<private/>', "<source type='memfd'/><access mode='shared'/>").replace(
            "<qemu:arg value='-name'/><qemu:arg value='x'/>",
            "<qemu:arg value='%s'/><qemu:arg value='{\"version\":1}'/>" % OPTION)
        check.refused(lambda: create(host, forged, REDEFINE), ERR_XML_ERROR)

    @test('snapshot-delete')
    def _(check, host):
        for name in ('disk', 'ext', 'newer'):
            forget(host, name)
        for name in ('new', 'off'):
            host.call(['vm', 'snapshot', name], 'delete', 0)
        check.equal(host.call('vm', 'snapshotListNames'), ['mem'], 'snapshots')
        shows_private(check, host.python.dumpxml('vm'))

    @test('checkpoint: made, shown, redefined')
    def _(check, host):
        # The guest's own disk, if it requires one, is raw.
        own = "<disk name='vda' checkpoint='no'/>" * ("'vda'" in host.python.dumpxml('vm'))
        xml = "<domaincheckpoint><name>c1</name><disks>%s<disk name='vdb'/></disks>" \
              "</domaincheckpoint>" % own
        for each in pair.both():
            if each.python.state('vm') == 'shut off':
                each.python.define(definition(each, private=each is host))
                each.python.start('vm')
            for name in each.call('vm', 'snapshotListNames'):
                forget(each, name)
            each.call('vm', 'checkpointCreateXML', xml, 0)

        def checkpoint(host, flags):
            return host.call(['vm', 'checkpoint', 'c1'], 'getXMLDesc', flags)
        for flags in (0, SECURE):
            got = pair.shown(check, 'checkpoint-dumpxml', lambda host, f=flags: re.sub(
                r"( type='kvm') id='\d+'", r'\1', checkpoint(host, f)), masked)
        shows(check, got, 1, 'checkpoint-dumpxml')
        check.equal(masked(checkpoint(host, NO_DOMAIN)), masked(checkpoint(pair.stock, NO_DOMAIN)),
                    'checkpoint-dumpxml --no-domain')
        check.lacks(checkpoint(host, NO_DOMAIN), 'private', 'checkpoint-dumpxml --no-domain')
        got = checkpoint(host, SECURE)
        host.call('vm', 'checkpointCreateXML', got, CHECKPOINT_REDEFINE)
        check.equal(checkpoint(host, SECURE), got, 'checkpoint-dumpxml')
        host.call(['vm', 'checkpoint', 'c1'], 'delete', METADATA_ONLY)
        host.call('vm', 'checkpointCreateXML', got, CHECKPOINT_REDEFINE)
        check.equal(checkpoint(host, SECURE), got, 'checkpoint-dumpxml')
        check.equal(host.virsh_shows('checkpoint-dumpxml vm c1 --security-info').rstrip(), got.rstrip(),
                    "virsh's")

    @test('the end', starts=False)
    def _(check, host):
        check.equal(host.python.names(), ['vm'], 'domains')
        pair.close()


snapshots(EmbedRig)
snapshots(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
