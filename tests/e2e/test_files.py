#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that a start must not have to read, and files that nobody may wait for.

Convertible mode is tested with a stand-in and an imitated KVM (../standin): the arguments that arrive are
examined, RAM is not."""

import os
import shutil
import threading

from gmem_rig import (BUILD, ERR_CONFIG_UNSUPPORTED, KIB, DaemonRig, Suite, domain, library,
                      need_guest_memfd, need_kvm, need_root, wait_for)
from gmem_standin import FAKE_KVM, HAS_VM_TYPE, IN_PLACE, IN_PLACE_HELD, OBJECT, StandIn, values

suite = Suite()

CONF = '/etc/libvirt/gmem.conf'
GOOD = '[convertible]\nstart=private\n'
BAD = '[convertible]\nbegin=private\n'
SAID = "line 2 of '%s' has the key 'begin' in [convertible], which is not known" % CONF
PIPE = '/run/pipe'


def unprivileged(kvm=HAS_VM_TYPE):
    """A daemon whose QEMU does not run as root, on a KVM with convertible memory."""
    def preload(rig):
        tree, fake = rig.tree(), os.path.join(rig.root, 'fake-kvm.so')
        shutil.copyfile(FAKE_KVM, fake)
        os.chmod(fake, 0o755)
        return (fake, tree)
    rig = DaemonRig(preload, environment={'GMEM_TEST_KVM': kvm}, user='libvirt-qemu',
                    group='libvirt-qemu', ownership=1)
    rig.open_kvm()
    return rig


def convertible(rig):
    return domain('vm', launch='sw-protected', private=False, emulator='/run/emulator',
                  boot=rig.guest_image('vm'))


def stand_in(rig):
    standin = StandIn(rig, OBJECT)
    rig.write(standin.record, '', 0o666)
    return standin


@suite.test('convertible domains start where only root can read /etc/libvirt, or gmem.conf')
def _(check):
    need_kvm()
    with unprivileged() as rig:
        standin = stand_in(rig)
        client = rig.python()
        client.define(convertible(rig))
        for directory, mode in ((0o700, None), (0o755, 0o600), (0o700, 0o600)):
            if mode:
                rig.write(CONF, GOOD, mode)
            os.chmod(rig.outer('/etc/libvirt'), directory)
            client.start('vm')
            check.equal(client.state('vm'), 'running', 'with %o and %s' % (directory, mode))
            check.true('sw-protected-vm' in ' '.join(values(standin.starts()[-1]['argv'], '-object')),
                       'the object is missing')
            client.destroy('vm')


@suite.test('what gmem.conf says is read before a start, and at load for an autostart')
def _(check):
    need_kvm()
    with unprivileged() as rig:
        stand_in(rig)
        client = rig.python()
        client.define(convertible(rig))
        client.call('vm', 'setAutostart', 1)
        rig.write(CONF, BAD, 0o600)
        check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, part=SAID)
        client.close()
        rig.stop_daemon()
        rig.run(['rm', '-f', '/run/libvirt/qemu/autostarted'])
        rig.start_daemon()
        log = rig.domain_log % 'vm'
        wait_for(lambda: SAID in rig.read(log), 'the refusal of the autostart')
        client = rig.python()
        check.equal(client.state('vm'), 'shut off', 'the autostarted domain')
        check.has(rig.read(rig.log), "can be started: " + SAID, "the daemon's log")
        rig.write(CONF, GOOD, 0o600)
        client.start('vm')
        check.equal(client.state('vm'), 'running', 'the domain')
        client.destroy('vm')


# What happens to the file of a private domain while no daemon is running.
DAMAGES = {
    'a version that nobody knows': ('&quot;version&quot;:1', '&quot;version&quot;:7'),
    'another mode': ('fully-shared', 'fully-open'),
    'more than libvirt-gmem writes': ('{&quot;version', '{ &quot;version'),
    'no memfd': ("<source type='memfd'/>", ''),
    'memory that is not shared': ("<access mode='shared'/>", "<access mode='private'/>"),
}


@suite.test('a pair that was damaged in the file of a domain: no autostart, and no start')
def _(check):
    need_guest_memfd()
    stored = '/etc/libvirt/qemu/vm.xml'
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(domain('vm', cells=[17 * KIB], boot=rig.guest_image('vm')))
        client.call('vm', 'setAutostart', 1)
        good = rig.read(stored)
        for what, (old, new) in DAMAGES.items():
            client.close()
            rig.stop_daemon()
            rig.run(['rm', '-f', '/run/libvirt/qemu/autostarted'])
            check.equal(good.count(old), 1, 'how often it has ' + old)
            rig.write(stored, good.replace(old, new), 0o600)
            rig.write(rig.domain_log % 'vm', '')
            rig.start_daemon()
            log = rig.domain_log % 'vm'
            wait_for(lambda path=log: 'libvirt-gmem: ' in rig.read(path), 'the refusal of the autostart')
            client = rig.python()
            check.equal(client.state('vm'), 'shut off', 'the autostarted domain, with ' + what)
            check.refused(lambda: client.start('vm'))
            check.equal(rig.emulators(), [], 'emulators, with ' + what)


def snapshot(text):
    return ("<domainsnapshot><name>s</name><state>running</state><creationTime>1</creationTime>"
            "<memory snapshot='external' file='%s'/><disks/>%s</domainsnapshot>" % (PIPE, text))


def in_time(call):
    """Makes call() in a thread of its own; raises Failure if it waits."""
    result = []

    def run():
        try:
            result.append((call(), None))
        except Exception as error:  # pylint: disable=broad-except
            result.append((None, error))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(lambda: result, 'a call that opened a pipe', 20)
    if result[0][1]:
        raise result[0][1]
    return result[0][0]


def converts_in_place(what, kvm):
    @suite.test('a KVM that converts in place (made up%s) does not get convertible domains' % what)
    def _(check):
        need_kvm()
        reason = ('converts pages in place: it would take the shared pages of a software-protected VM '
                  "from guest_memfd, too; convertible memory requires KVM's module parameter "
                  'gmem_in_place_conversion=0 and a kernel with CONFIG_KVM_VM_MEMORY_ATTRIBUTES')
        with unprivileged(kvm) as rig:
            standin = stand_in(rig)
            client = rig.python()
            client.define(convertible(rig))
            check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, part=reason)
            check.equal(standin.starts(), [], 'starts of the emulator')
            capabilities = client.call(None, 'getDomainCapabilities', '/run/emulator', 'x86_64', None,
                                       'kvm')
            check.lacks(capabilities, 'sw-protected', 'domain capabilities')
            check.lacks(capabilities, 'convertible', 'domain capabilities')
            host = rig.run([os.path.join(BUILD, 'tools/virt-gmem'), 'host'],
                           env=rig.environment((FAKE_KVM,), GMEM_TEST_KVM=kvm))
            check.has(host.stdout, 'kvm.gmem_in_place_conversion=0', 'virt-gmem host')


converts_in_place('', IN_PLACE)
converts_in_place(', its page held', IN_PLACE_HELD)


def kernel_log(path):
    """Makes @path a file that stat() reports as regular, but where the next reader waits."""
    fd = os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK)
    try:
        while os.read(fd, 8192):
            pass
    except BlockingIOError:
        pass
    os.close(fd)
    os.symlink('/proc/kmsg', path)


@suite.test("a pipe or a device where a snapshot's memory should be is never opened")
def _(check):
    with DaemonRig(library()) as rig:
        redefine = 1  # VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        for private in (False, True):
            client = rig.python()
            text = domain('vm', private=private)
            client.define(text)
            for make in (lambda: os.mkfifo(rig.outer(PIPE)),
                         lambda: os.symlink('/dev/zero', rig.outer(PIPE)),
                         lambda: kernel_log(rig.outer(PIPE))):
                make()
                def call():
                    return client.call('vm', 'snapshotCreateXML', snapshot(text), redefine)
                if private:
                    check.refused(lambda: in_time(call), ERR_CONFIG_UNSUPPORTED,
                                  part="the file '%s' with the memory of a snapshot is not a regular "
                                       "file" % PIPE)
                else:
                    check.equal(in_time(call)['name'], 's', 'the snapshot')
                    client.call(['vm', 'snapshot', 's'], 'delete', 2)  # only its metadata is deleted
                os.unlink(rig.outer(PIPE))
            client.undefine('vm')
            client.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
