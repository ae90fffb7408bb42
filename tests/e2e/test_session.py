#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session daemon: libvirtd started by hand, by an ordinary user, with the library preloaded.

Only the rig is root. The daemon's directories, and the cache of emulators' capabilities, are the user's own."""

import os
import re
import shutil
import subprocess

from gmem_calls import ELEMENTS, plain, titled
from gmem_checks import Guest, evidence, shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, LIBVIRTD, MIB, PATIENCE, QEMU, Failure,
                      PythonClient, Sandbox, Skip, Suite, domain, kvm_extension, need_guest_memfd,
                      need_kvm, need_root, wait_for, is_back)

suite = Suite()

USER = 65534
HOME = '/run/nobody'
RUNTIME = HOME + '/run'
SERIAL = HOME + '/serial'
CONF = HOME + '/.config/libvirt/qemu.conf'
CACHE = HOME + '/.cache/libvirt/gmem'
LOG = HOME + '/.cache/libvirt/qemu/log/%s.log'
URI = 'qemu:///session'
SIZES = [27 * MIB, 45 * MIB]
AS_USER = ['setpriv', '--reuid=%d' % USER, '--regid=%d' % USER, '--clear-groups']
UNDEFINE_MANAGED_SAVE = 1


class Session(Sandbox):
    """A sandbox with a user, whose clients do not have the library: only the daemon has it."""

    def __init__(self):
        super().__init__()
        self.daemon = self.client = None
        self.open_kvm()
        self.write(CONF, 'security_driver = "none"\nstdio_handler = "file"\n')
        self.own('mkdir -p ' + RUNTIME)
        self.library = self.tree()
        self.start()

    def close_kvm(self):
        """From now on, only root may open it."""
        if self.run(['chmod', '600', '/run/dev/kvm']).returncode:
            raise Failure('chmod')

    def own(self, script='true'):
        self.run(['sh', '-c', '%s; chown -R %d:%d %s; chmod 700 %s' % (script, USER, USER, HOME, HOME)])

    def home(self, preload=()):
        return self.environment(preload, HOME=HOME, XDG_RUNTIME_DIR=RUNTIME)

    def start(self):
        with open(self.outer('/run/daemon.log'), 'ab') as log:
            self.daemon = self.popen([*AS_USER, LIBVIRTD], stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log, env=self.home([self.library]))
        wait_for(lambda: os.path.exists(self.outer(RUNTIME + '/libvirt/libvirt-sock')), 'the socket')
        wait_for(lambda: is_back(self, [*AS_USER, '/usr/bin/virsh', '-q', '-c', URI], env=self.home()),
                 'the daemon to answer')
        self.client = PythonClient(self, URI, wrapper=AS_USER, environment=self.home())

    def stop(self):
        self.client.close()
        self.daemon.terminate()
        return self.daemon.wait(PATIENCE)

    def restart_as_at_login(self):
        """libvirt remembers that it has autostarted already, until the user has logged out."""
        self.stop()
        for top, _, names in os.walk(self.outer(RUNTIME)):
            if 'autostarted' in names:
                os.unlink(os.path.join(top, 'autostarted'))
        self.start()

    def virsh(self, *arguments):
        result = self.run([*AS_USER, 'virsh', '-q', '-c', URI, *arguments], env=self.home())
        if result.returncode:
            raise Failure('virsh %s: %s' % (arguments, result.stderr))
        return result.stdout

    def domain(self, name, **options):
        """Domain XML whose files belong to the user."""
        options.setdefault('cells', [size // KIB for size in SIZES])
        image = self.guest_image(name)
        path = HOME + '/' + os.path.basename(image)
        shutil.move(self.outer(image), self.outer(path))
        self.write(SERIAL, '')
        self.own()
        return domain(name, boot=path, serial=SERIAL, **options)

    def sizes(self, name):
        return [m.size for m in guest_memfds(self.emulator(name).pid)]


class Shared:
    session = guest = None
    boot = ''

    @classmethod
    def get(cls):
        need_guest_memfd()
        if cls.session is None:
            cls.session = Session()
            cls.guest = Guest(cls.session, SERIAL)
        return cls.session, cls.session.client


def owner(session, path):
    status = os.stat(session.outer(path))
    return status.st_uid, oct(status.st_mode & 0o777)


@suite.test('define, dumpxml')
def _(check):
    session, client = Shared.get()
    daemon = [p for p in session.processes() if p.exe.endswith(('libvirtd', 'virtqemud'))]
    check.equal(len(daemon), 1, 'daemons')
    check.has(daemon[0].maps, session.library, "the daemon's maps")
    check.equal(os.stat('/proc/%d' % daemon[0].pid).st_uid, USER, "the daemon's user")
    client.define(session.domain('vm'), validate=True)
    for options in ((), ('--inactive',), ('--migratable',), ('--security-info',)):
        shows_private(check, client.dumpxml('vm', *options))
        check.equal(session.virsh('dumpxml', 'vm', *options).rstrip(),
                    client.dumpxml('vm', *options).rstrip(), "virsh's dumpxml")


@suite.test('start: the guest runs on guest_memfd, and the log says so')
def _(check):
    session, client = Shared.get()
    client.start('vm')
    Shared.guest.wait_pass()
    Shared.boot = Shared.guest.text
    emulator = session.emulator('vm')
    check.equal(os.stat('/proc/%d' % emulator.pid).st_uid, USER, "QEMU's user")
    evidence(check, emulator, SIZES, Shared.boot)
    shows_private(check, client.dumpxml('vm'))
    check.has(session.read(LOG % 'vm'), 'libvirt-gmem: QEMU is asked for guest RAM of %d bytes in 2 memory '
              'backends as guest_memfd, mode fully-shared, by shim\n' % sum(SIZES), "the domain's log")
    check.equal(owner(session, CACHE), (USER, '0o755'), 'owner and mode of the cache')
    check.equal(len(os.listdir(session.outer(CACHE))), 1, 'cache files')


OTHER_MODE = ("domain '%s' has a managed save image of a guest with %s, and cannot be defined with %s until "
              "'virsh managedsave-remove' has removed the image")


@suite.test('managed save, and start from an image whose XML differs')
def _(check):
    session, client = Shared.get()
    last, _ = Shared.guest.wait_pass()
    client.call('vm', 'managedSave', 0)
    xml = client.dumpxml('vm')
    check.refused(lambda: client.define(plain(xml)), ERR_CONFIG_UNSUPPORTED,
                  part=OTHER_MODE % ('vm', ELEMENTS['fully-shared'], ELEMENTS[None]))
    client.define(titled(xml, 'other'))
    session.write(SERIAL, '')
    session.own()
    client.start('vm')
    Shared.guest.wait_pass(last)
    check.lacks(Shared.guest.text, 'boot found', "the restored guest's serial port")
    evidence(check, session.emulator('vm'), SIZES, Shared.boot)
    check.lacks(client.dumpxml('vm'), '<title>', 'dumpxml')
    check.has(client.dumpxml('vm', '--inactive'), '<title>other</title>', 'dumpxml --inactive')


@suite.test('the daemon is stopped while the domain runs, and comes back')
def _(check):
    session, client = Shared.get()
    emulator = session.emulator('vm').pid
    check.equal(session.stop(), 0, "the daemon's status")
    session.start()
    client = session.client
    check.equal(client.state('vm'), 'running', 'state')
    check.equal(session.emulator('vm').pid, emulator, "QEMU's pid")
    shows_private(check, client.dumpxml('vm'))
    client.destroy('vm')


@suite.test('undefine --managed-save')
def _(check):
    session, client = Shared.get()
    client.define(session.domain('saved', cells=None, memory=21 * KIB))
    client.start('saved')
    client.call('saved', 'managedSave', 0)
    image = session.outer(HOME + '/.config/libvirt/qemu/save/saved.save')
    check.true(os.path.exists(image), 'no managed save image')
    session.virsh('undefine', 'saved', '--managed-save')
    check.equal(client.names(), ['vm'], 'domains')
    check.true(not os.path.exists(image), 'the image is still there')
    client.define(session.domain('saved', cells=None, memory=21 * KIB))
    client.start('saved')
    client.call('saved', 'managedSave', 0)
    client.call('saved', 'undefineFlags', UNDEFINE_MANAGED_SAVE)
    check.equal(client.names(), ['vm'], 'domains')


@suite.test('a transient domain')
def _(check):
    session, client = Shared.get()
    client.create(session.domain('brief', cells=None, memory=21 * KIB))
    check.equal(session.sizes('brief'), [21 * MIB], "sizes of QEMU's guest_memfds")
    shows_private(check, client.dumpxml('brief'))
    client.destroy('brief')
    check.equal(client.names(), ['vm'], 'domains')


@suite.test('a dimm that is attached to a running domain is guest_memfd, too')
def _(check):
    session, client = Shared.get()
    client.create(session.domain('plug', cells=[21 * KIB], slots=True))
    client.call('plug', 'attachDevice', "<memory model='dimm'><target><size unit='MiB'>128</size>"
                '<node>0</node></target></memory>')
    check.equal(sorted(session.sizes('plug')), [21 * MIB, 128 * MIB], "sizes of QEMU's guest_memfds")
    shows_private(check, client.dumpxml('plug'))
    client.destroy('plug')


@suite.test('a domain that is renamed, and copies of it by each kind of dumpxml')
def _(check):
    session, client = Shared.get()
    client.define(session.domain('old', cells=None, memory=21 * KIB))
    client.call('old', 'rename', 'new', 0)
    for options in ((), ('--inactive',), ('--migratable',), ('--security-info',)):
        xml = client.dumpxml('new', *options)
        client.define(re.sub('<uuid>.*</uuid>', '', xml).replace('<name>new<', '<name>copy<'))
        shows_private(check, client.dumpxml('copy'))
        client.start('copy')
        check.equal(session.sizes('copy'), [21 * MIB], "sizes of QEMU's guest_memfds")
        client.destroy('copy')
        client.undefine('copy')
    client.start('new')
    check.equal(session.sizes('new'), [21 * MIB], "sizes of QEMU's guest_memfds")
    running = client.dumpxml('new')
    client.destroy('new')
    client.undefine('new')
    # A running domain can also be defined from the XML that is shown.
    client.define(running)
    shows_private(check, client.dumpxml('new'))
    client.undefine('new')


@suite.test('virt-clone')
def _(check):
    session, client = Shared.get()
    if not os.access('/usr/bin/virt-clone', os.X_OK):
        raise Skip('no virt-clone here')
    client.define(session.domain('first', cells=None, memory=21 * KIB))
    result = session.run([*AS_USER, 'virt-clone', '--connect', URI, '--original', 'first', '--name',
                          'second', '--auto-clone'], env=session.home())
    check.equal(result.returncode, 0, 'status, with ' + result.stderr)
    shows_private(check, client.dumpxml('second'))
    check.true(re.search('<uuid>.*', client.dumpxml('second'))[0] not in client.dumpxml('first'),
               'the same uuid')
    client.start('second')
    check.equal(session.sizes('second'), [21 * MIB], "sizes of QEMU's guest_memfds")
    client.destroy('second')
    for name in ('first', 'second'):
        client.undefine(name)


@suite.test('autostart')
def _(check):
    session, client = Shared.get()
    client.define(session.domain('vm'))
    client.call('vm', 'setAutostart', 1)
    session.restart_as_at_login()
    client = session.client
    wait_for(lambda: client.state('vm') == 'running', 'autostart')
    Shared.guest.wait_pass()
    evidence(check, session.emulator('vm'), SIZES, Shared.guest.text)
    check.has(session.read(LOG % 'vm').rpartition('starting up')[2], 'libvirt-gmem: QEMU is asked for guest RAM of ',
              "the domain's log")
    client.call('vm', 'setAutostart', 0)


@suite.test('autostart of a managed save, whose domain cannot become another mode: it goes on as it was')
def _(check):
    session, client = Shared.get()
    last, _ = Shared.guest.wait_pass()
    booted = Shared.guest.text
    client.call('vm', 'managedSave', 0)
    check.refused(lambda: client.define(plain(client.dumpxml('vm'))), ERR_CONFIG_UNSUPPORTED,
                  part=OTHER_MODE % ('vm', ELEMENTS['fully-shared'], ELEMENTS[None]))
    client.call('vm', 'setAutostart', 1)
    session.write(SERIAL, '')
    session.own()
    session.restart_as_at_login()
    client = session.client
    wait_for(lambda: client.state('vm') == 'running', 'autostart')
    Shared.guest.wait_pass(last)
    evidence(check, session.emulator('vm'), SIZES, booted)
    shows_private(check, client.dumpxml('vm'))
    shows_private(check, client.dumpxml('vm', '--inactive'), 'dumpxml --inactive')
    client.destroy('vm')
    client.undefine('vm')


@suite.test('sw-protected is kept, and refused where the host cannot run it')
def _(check):
    session, client = Shared.get()
    client.define(session.domain('sw', private=False, launch='sw-protected'))
    shows_private(check, client.dumpxml('sw'))
    check.has(client.dumpxml('sw'), "<launchSecurity type='sw-protected'/>", 'dumpxml')
    if not kvm_extension(235) & 2:
        check.refused(lambda: client.start('sw'), ERR_CONFIG_UNSUPPORTED,
                      part='KVM_X86_SW_PROTECTED_VM')
    client.undefine('sw')


@suite.test('rules are for domains of the system: a user who may read the file gets nothing by it')
def _(check):
    session, client = Shared.get()
    session.write('/etc/libvirt/gmem.conf', '[rule all]\nname=*\nmode=fully-shared\n', 0o644)
    client.define(session.domain('unruled', private=False))
    check.lacks(client.dumpxml('unruled'), '<private/>', 'dumpxml')
    # Nor is a user stopped by a file that says nothing, or that only root may read.
    session.write('/etc/libvirt/gmem.conf', 'nonsense\n', 0o600)
    client.define(session.domain('unruled', private=False))
    os.unlink(session.outer('/etc/libvirt/gmem.conf'))
    client.undefine('unruled')


@suite.test('the end')
def _(check):
    session, client = Shared.get()
    check.equal(client.names(), [], 'domains')
    check.equal(session.stop(), 0, "the daemon's status")
    check.equal(session.emulators(), [], 'emulators')
    session.close()


@suite.test('a user who may not open /dev/kvm any more is told so')
def _(check):
    need_kvm()
    with Session() as session:
        session.client.define(session.domain('vm'))
        session.stop()
        session.close_kvm()
        session.start()
        client = session.client
        shows_private(check, client.dumpxml('vm'))
        # libvirt itself reports this, before the emulator is asked what it offers.
        for call in (lambda: client.start('vm'), lambda: client.create(session.domain('brief'))):
            check.refused(call, ERR_CONFIG_UNSUPPORTED, "unsupported configuration: Emulator '%s' does "
                          "not support virt type 'kvm'" % QEMU)
        check.equal(session.emulators(), [], 'emulators')
        check.equal(client.state('vm'), 'shut off', 'state')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
