#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_run.py: `virt-gmem run`: it runs, it ends in every possible way, and leaves nothing behind."""

import contextlib
import glob
import json
import os
import re
import signal
import sys
import time

import gmem_tool_rig as tools
from gmem_tool_rig import evidence, rig

suite = rig.Suite()


@contextlib.contextmanager
def running(t, *options, **changes):
    """A domain under `virt-gmem run` on guest_memfd; yields QEMU's process ID. Nothing of it may
    remain."""
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory, \
            tools.Run(*options, tools.domain(directory + '/d.xml'), **changes) as run:
        pid = run.started()
        yield run, pid
        left.check(t, pid)


@suite.test('--for: the domain runs on guest_memfd, ends when the time is up, and nothing stays')
def for_seconds(t):
    with running(t, '--for', '4') as (run, pid):
        began = time.monotonic()
        with evidence.backends(pid) as found:
            t.equal([(b.id, b.size) for b in found], [('pc.ram', 64 << 20)], 'backends')
            t.has(found[0].link or '', evidence.LINK, 'descriptor')
        status, out, err = run.wait()
        t.true(2 < time.monotonic() - began < 60, 'it ended after the wrong time')
        t.equal(status, 0, 'exit status\n' + err)
        t.has(out, '<private/>', 'dump')
        t.lacks(out, 'x-libvirt-gmem', 'dump')
        t.has(out, 'ended: tool-test, the time is up', 'output')


@suite.test('Ctrl-C, SIGTERM and SIGHUP end it with status 0')
def signals(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory:
        path = tools.domain(directory + '/d.xml')
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with tools.Run(path) as run:
                pid = run.started()
                run.process.send_signal(number)
                status, out, err = run.wait()
                t.equal(status, 0, 'exit status after signal %d\n%s' % (number, err))
                t.has(out, 'ended: tool-test, stopped by a signal', 'output')
                left.check(t, pid)


@suite.test('Ctrl-C on a terminal, which reaches every process of the group')
def terminal(t):
    with running(t) as (run, pid):
        os.killpg(run.process.pid, signal.SIGINT)
        status, _, err = run.wait()
        t.equal(status, 0, 'exit status\n' + err)


@suite.test('a signal at any moment of the start')
def early_signals(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory:
        path = tools.domain(directory + '/d.xml')
        for delay in (0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.2, 1.6):
            with tools.Run(path) as run:
                time.sleep(delay)
                run.process.send_signal(signal.SIGTERM)
                status, out, err = run.wait()
                # -15: it ended before it had a handler, and before it had created anything.
                t.true(status in (0, 128 + signal.SIGTERM, -signal.SIGTERM),
                       'exit status %d after %.2f s\n%s%s' % (status, delay, out, err))
                left.check(t)


@suite.test('the worker killed: QEMU goes too, status 1')
def worker_killed(t):
    with running(t) as (run, _):
        os.kill(run.worker(), signal.SIGKILL)
        status, _, err = run.wait()
        t.equal(status, 1, 'exit status')
        t.has(err, 'the worker was ended by signal 9', 'standard error')


@suite.test('the keeper killed: the worker cleans up')
def keeper_killed(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory, tools.Run(tools.domain(directory + '/d.xml')) as run:
        pid = run.started()
        worker = run.worker()
        t.equal(len(left.roots()), 1, 'number of roots')
        run.process.kill()
        run.wait()
        left.check(t, pid, worker)


@suite.test('QEMU killed: status 1, and the end of its log')
def qemu_killed(t):
    with running(t) as (run, pid):
        os.kill(pid, signal.SIGKILL)
        status, out, err = run.wait()
        t.equal(status, 1, 'exit status')
        t.has(out, 'ended: tool-test, QEMU crashed', 'output')
        t.has(err, 'the end of its log', 'standard error')


@suite.test('the guest shuts down: status 0')
def shutdown(t):
    with running(t) as (run, pid):
        # QEMU takes this for a request to power the machine off.
        os.kill(pid, signal.SIGTERM)
        status, out, err = run.wait()
        t.equal(status, 0, 'exit status\n' + err)
        t.has(out, 'ended: tool-test, the guest has shut down', 'output')


@suite.test('a reader of the output that leaves does not stop the cleaning up')
def broken_pipe(t):
    with running(t, '--for', '2') as (run, _):
        run.process.stdout.close()
        run.process.wait(timeout=rig.PATIENCE)


@suite.test('a domain without the elements runs as under stock libvirt')
def stock(t):
    rig.need_kvm()
    left = tools.Leftovers()
    with tools.directory() as directory, \
            tools.Run('--for', '1', tools.domain(directory + '/d.xml', private='')) as run:
        pid = run.started()
        t.equal(evidence.guest_memfds(pid), [], 'guest_memfds')
        t.equal([m for m in evidence.mappings(pid) if 'gmem.so' in m.path], [], 'libraries')
        status, out, err = run.wait()
        t.equal(status, 0, 'exit status\n' + err)
        t.lacks(out, '<private/>', 'dump')
        left.check(t, pid)


@suite.test('broken, refused and missing: what libvirt says, status 1, and nothing stays')
def refused(t):
    left = tools.Leftovers()
    with tools.directory() as directory:
        broken = directory + '/broken.xml'
        with open(broken, 'w') as f:
            f.write('<domain type="kvm"><name>x</domain>')
        cases = [
            ((broken,), 'tag mismatch'),
            ((directory + '/missing.xml',), 'No such file'),
            ((directory,), ''),
            ((tools.domain(directory + '/a.xml', private='<private/><hugepages/>'),), 'hugepages'),
            ((tools.domain(directory + '/b.xml', private='<private x="1"/>'),), 'private'),
            ((tools.domain(directory + '/c.xml', devices='<emulator>/bin/true</emulator>'),),
             'error: '),
            (('-e', '/nonexistent/qemu', tools.domain(directory + '/d.xml')), '/nonexistent/qemu'),
            ((tools.domain(directory + '/e.xml', devices="<disk type='file' device='disk'><source "
              "file='/nonexistent/disk'/><target dev='vda' bus='virtio'/></disk>"),),
             '/nonexistent/disk'),
        ]
        for args, message in cases:
            status, out, err = tools.call('run', *args)
            t.equal(status, 1, 'exit status of %r\n%s%s' % (args, out, err))
            t.has(err, 'error: ', 'standard error of %r' % (args,))
            t.has(err, message, 'standard error of %r' % (args,))
            t.lacks(out, 'running:', 'output')
            left.check(t)


@suite.test('convertible memory on a host whose KVM cannot: refused with the reason')
def convertible(t):
    rig.need_kvm()
    if tools.system_extension(235) & 2:
        raise rig.Skip('this host can')
    left = tools.Leftovers()
    with tools.directory() as directory:
        path = tools.domain(directory + '/d.xml', private='',
                            extra="<launchSecurity type='sw-protected'/>")
        status, out, err = tools.call('run', path)
    t.equal(status, 1, 'exit status\n' + out)
    t.has(err, 'unsupported configuration: ', 'standard error')
    t.has(err, 'KVM_X86_SW_PROTECTED_VM', 'standard error')
    left.check(t)


@suite.test('--emulator takes the place of the one in the XML, or of none')
def emulator(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory:
        link = directory + '/my qemu & more'
        os.symlink(rig.QEMU, link)
        for name, devices in (('a', '<emulator>/nonexistent</emulator>'), ('b', '')):
            path = tools.domain('%s/%s.xml' % (directory, name), devices=devices)
            with tools.Run('-e', link, '--for', '1', path) as run:
                pid = run.started()
                status, out, err = run.wait()
                t.equal(status, 0, 'exit status\n' + err)
                t.has(out, '<emulator>%s</emulator>' % link.replace('&', '&amp;'), 'dump')
                left.check(t, pid)


@suite.test('on overlayfs, where files have another device number than their directories')
def overlay(t):
    rig.need_guest_memfd()
    layers = '''
        mount -t tmpfs layer /mnt && mkdir /mnt/upper /mnt/work
        mkdir "$0/lower"
        mount -t overlay -o "lowerdir=$0/lower,upperdir=/mnt/upper,workdir=/mnt/work" none /run
        mkdir /run/here && touch /run/here/file
        stat -c %d /run/here /run/here/file >"$0/devices"
        "$@"
        find /run -path '/run/virt-gmem-*'
        exit'''
    with tools.directory() as directory:
        done = tools.in_namespace(layers.replace('$0', directory), tools.TOOL, 'run', '--for', '1',
                                  tools.domain(directory + '/d.xml'))
        if not os.path.exists(directory + '/devices'):
            raise rig.Skip('overlayfs cannot be mounted here: ' + done.stderr)
        with open(directory + '/devices', encoding='ascii') as file:
            t.true(len(set(file.read().split())) == 2, 'the device numbers are the same')
    t.equal((done.returncode, done.stderr), (0, ''), 'exit status and standard error')
    t.matches(done.stdout, 'ended: [^\n]*\n$', 'output, with what is left')


@suite.test('NVRAM that the XML names is not ours to remove')
def nvram(t):
    rig.need_kvm()
    left = tools.Leftovers()
    with tools.directory() as directory:
        for name, size in (('code', 1 << 20), ('vars', 128 << 10)):
            with open('%s/%s.fd' % (directory, name), 'wb') as file:
                file.truncate(size)
        os.chmod(directory + '/vars.fd', 0o666)
        path = tools.domain(directory + '/d.xml', private='')
        with open(path, encoding='utf-8') as file:
            text = file.read()
        rom = "<loader type='rom'>%s.rom</loader>" % path
        t.has(text, rom, 'the domain')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace(rom, "<loader readonly='yes' type='pflash'>%s/code.fd</loader>"
                                    '<nvram>%s/vars.fd</nvram>' % (directory, directory)))
        status, _, err = tools.call('run', '--for', '1', path)
        t.equal(status, 0, 'exit status\n' + err)
        t.true(os.path.exists(directory + '/vars.fd'), 'it was removed')
    left.check(t)


@suite.test('wrong usage: status 64, and nothing is made')
def usage(t):
    left = tools.Leftovers()
    for args, message in (((), 'no file is given'), (('a', 'b'), 'more than one file is given'),
                          (('--for', '0', 'a'), '--for requires'),
                          (('--for', '-1', 'a'), '--for requires'), (('--for=-3', 'a'), '--for requires'),
                          (('--for', '', 'a'), '--for requires'), (('--for', '1s', 'a'), '--for requires'),
                          (('--for', 'x', 'a'), 'x'), (('--for', '99999999', 'a'), '--for requires'),
                          (('--frobnicate', 'a'), '--frobnicate')):
        status, out, err = tools.call('run', *args)
        t.equal(status, 64, 'exit status of %r' % (args,))
        t.equal(out, '', 'output')
        t.has(err, message, 'standard error of %r' % (args,))
    left.check(t)


@suite.test('without /dev/kvm: the reason, and nothing stays')
def no_kvm(t):
    left = tools.Leftovers()
    with tools.directory() as directory:
        path = tools.domain(directory + '/d.xml')
        done = tools.without_kvm(tools.TOOL, 'run', path)
    t.equal(done.returncode, 1, 'exit status')
    t.has(done.stderr, 'error: ', 'standard error')
    t.has(done.stderr.lower(), 'kvm', 'standard error')
    left.check(t)


# As a daemon dumps a running domain.
CHANNEL = '/var/lib/libvirt/qemu/channel/target/domain-3-x/org.qemu.guest_agent.0'
LIVE = '''
    <interface type='network'>
      <mac address='52:54:00:12:34:56'/>
      <source network='default' portid='7f2ad5f5-0d6f-4a2f-8a8a-0b2f3c4d5e6f' bridge='virbr0'/>
      <target dev='vnet2'/>
      <model type='virtio'/>
      <alias name='net0'/>
    </interface>
    <serial type='pty'>
      <source path='/dev/pts/3'/>
      <target type='isa-serial' port='0'><model name='isa-serial'/></target>
      <alias name='serial0'/>
    </serial>
    <channel type='unix'>
      <source mode='bind' path='%s'/>
      <target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/>
      <alias name='channel0'/>
    </channel>
    <graphics type='vnc' port='5901' autoport='yes'>
      <listen type='network' address='192.168.122.1' network='default'/>
    </graphics>
''' % CHANNEL
LABELS = '''
  <resource><partition>/machine</partition></resource>
  <metadata><x:y xmlns:x='http://x/'><seclabel model='apparmor'/></x:y></metadata>
  <seclabel type='dynamic' model='apparmor' relabel='yes'>
    <label>libvirt-0f5b6c1e-5f0a-4d7c-9a53-0f7d3c2b1a99</label>
    <imagelabel>libvirt-0f5b6c1e-5f0a-4d7c-9a53-0f7d3c2b1a99</imagelabel>
  </seclabel>
  <seclabel type='dynamic' model='dac' relabel='yes'>
    <label>+64055:+64055</label>
    <imagelabel>+64055:+64055</imagelabel>
  </seclabel>
'''


def live(path, devices=LIVE):
    tools.domain(path, devices=devices, extra=LABELS)
    with open(path, 'r+', encoding='utf-8') as file:
        text = file.read().replace("<domain type='kvm'>", "<domain type='kvm' id='3'>")
        file.seek(0)
        file.write(text)
    return path


@suite.test('the dump of a running domain: what takes a daemon is left out, and said')
def live_dump(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    with tools.directory() as directory:
        status, out, err = tools.call('run', '--for', '1', live(directory + '/d.xml'))
        t.equal((status, err), (0, ''), 'exit status and standard error')
        said = re.findall(r'(?m)^left out, as it requires a daemon: (.*)$', out)
        t.equal(said, [
            "the id '3' of a running domain",
            "the interface in network 'default'",
            "the path '%s' of a channel" % CHANNEL,
            "listening in network 'default'",
            "the security label of 'apparmor'",
        ], 'what is left out')
        for text in ('<private/>', '<seclabel model="apparmor"/>', "name='org.qemu.guest_agent.0'",
                     "<graphics type='vnc'", "<label>+"):
            t.has(out, text, 'dump')
        t.lacks(out, '<interface', 'dump')
        # What it prints can be used as input again.
        again = directory + '/again.xml'
        with open(again, 'w', encoding='utf-8') as file:
            file.write(out[out.index('<domain'):out.index('</domain>') + len('</domain>')])
        status, out, err = tools.call('run', '--for', '1', again)
        t.matches(out, r"a daemon: the path '/run/virt-gmem-\w+/\w+/qemu/channel/", 'output, again')
        t.equal((status, err), (0, ''), 'exit status and standard error, again')
    left.check(t)


@suite.test('the dump of a running domain: what it cannot do without is refused')
def live_refused(t):
    disk = "<disk type='%s' device='disk'>%s<target dev='vda' bus='virtio'/></disk>"
    left = tools.Leftovers()
    with tools.directory() as directory:
        for devices, message in (
                (disk % ('volume', "<source pool='default' volume='a&amp;b'/>"),
                 "disk 'vda' is the volume 'a&b' of the storage pool 'default', which requires a daemon: "
                 "name its file, by <disk type='file'>"),
                (disk % ('network', "<source protocol='rbd' name='p/i'><auth username='u'><secret "
                         "type='ceph' usage='x'/></auth></source>"),
                 "disk 'vda' has a <secret>, which requires a daemon: use a disk without one")):
            status, out, err = tools.call('run', live(directory + '/d.xml', devices))
            t.equal((status, err), (1, 'error: %s\n' % message), 'exit status and standard error')
            t.lacks(out, 'running:', 'output')
    left.check(t)


# A node for /dev/kvm with mode $0.
KVM_OF_MODE = '''
    mount -t tmpfs -o mode=755,dev dev /mnt
    mknod -m $0 /mnt/kvm c $(stat -c '0x%t 0x%T' /dev/kvm)
    mount --bind /mnt/kvm /dev/kvm'''


def nobody_with_kvm(mode, *args):
    """Runs virt-gmem as nobody, with /dev/kvm of that mode."""
    return tools.in_namespace(KVM_OF_MODE.replace('$0', mode), 'setpriv', '--reuid=65534', '--regid=65534',
                              '--clear-groups', 'env', 'HOME=/nonexistent', tools.TOOL, *args)


@suite.test('an ordinary user who may not open /dev/kvm is told so as `host` does')
def ordinary_user_without_kvm(t):
    rig.need_kvm()
    tools.need_tree_for_nobody()
    with tools.directory() as directory:
        for private in ('', '<private/>'):
            path = tools.domain(directory + '/d.xml', private=private)
            results = [nobody_with_kvm('600', *verb) for verb in (['host', '--json'], ['run', path])]
            reason = json.loads(results[0].stdout)['kvm']['reason']
            t.has(reason, 'Permission denied; run as root', 'reason')
            t.equal((results[1].returncode, results[1].stderr), (1, 'error: %s\n' % reason),
                    'exit status and standard error')


@suite.test('an ordinary user who may open /dev/kvm, and whose home stays as it is')
def ordinary_user(t):
    rig.need_guest_memfd()
    tools.need_tree_for_nobody()
    before = set(glob.glob('/tmp/virt-gmem-*'))
    with tools.directory() as directory:
        done = nobody_with_kvm('666', 'run', '--for', '1', tools.domain(directory + '/d.xml'))
    t.equal(done.returncode, 0, 'exit status\n' + done.stderr)
    t.has(done.stdout, '<private/>', 'dump')
    t.has(done.stdout, 'ended: tool-test, the time is up', 'output')
    t.equal(set(glob.glob('/tmp/virt-gmem-*')) - before, set(), 'directories left')


@suite.test('a preload of the user stays, ours comes before it')
def preload(t):
    with running(t, '--for', '1', LD_PRELOAD=tools.FAULTS) as (run, _):
        t.true(any('shim-faults' in m.path for m in evidence.mappings(run.worker())),
               'the worker does not have the user\'s library')
        t.equal(run.wait()[0], 0, 'exit status')


if __name__ == '__main__':
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
