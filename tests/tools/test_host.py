#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_host.py: `virt-gmem host`, compared with the same questions asked in other ways."""

import json
import os
import re
import shutil
import subprocess
import sys

import gmem_tool_rig as tools
from gmem_tool_rig import rig

suite = rig.Suite()

MODES = ('fully-shared', 'convertible')


def expected_status(host):
    shared, convertible = (host['modes'][mode]['usable'] for mode in MODES)
    return 0 if shared and convertible else 1 if shared else 2 if convertible else 3


def check_of(host, name):
    return next(check for check in host['checks'] if check['id'] == name)


@suite.test('the capabilities are those that KVM answers to bare ioctls')
def capabilities(t):
    rig.need_kvm()
    _, host = tools.host_json()
    kvm = host['kvm']
    t.equal(kvm['available'], True, 'available')
    t.equal(kvm['kernel'], os.uname().release, 'kernel')
    t.equal(kvm['numa-policy'] is True, check_of(host, 'numa-policy')['result'] == 'PASS', 'numa-policy')
    t.equal(kvm['numa-policy'] is None, 'cannot be determined' in (check_of(host, 'numa-policy')['detail'] or ''),
            'numa-policy is unknown')
    t.equal(kvm['vm-types'], max(tools.system_extension(235), 0), 'KVM_CAP_VM_TYPES')
    t.equal(kvm['user-memory2'], rig.kvm_extension(231) > 0, 'KVM_CAP_USER_MEMORY2')
    t.equal(kvm['guest-memfd'], rig.kvm_extension(234) > 0, 'KVM_CAP_GUEST_MEMFD')
    t.equal(kvm['guest-memfd-flags'], max(rig.kvm_extension(244), 0), 'KVM_CAP_GUEST_MEMFD_FLAGS')
    if not kvm['vm-types'] & 2:
        t.equal(kvm['memory-attributes'], max(rig.kvm_extension(233), 0), 'MEMORY_ATTRIBUTES')
        t.equal(host['modes']['convertible']['usable'], False, 'convertible')
    t.equal(host['modes']['fully-shared']['usable'], rig.kvm_extension(244) & 3 == 3, 'usable')


@suite.test('lines for people say what the JSON says, and the exit status follows from the modes')
def agree(t):
    status, host = tools.host_json()
    human_status, out, err = tools.call('host')
    t.equal(err, '', 'standard error')
    t.equal(human_status, status, 'exit status')
    t.equal(status, expected_status(host), 'exit status')
    lines = out.splitlines()
    t.equal(len(lines), len(host['checks']), 'number of lines')
    for line, check in zip(lines, host['checks']):
        title, _, rest = line.partition(' : ')
        t.equal(title.rstrip(), check['title'], 'title')
        detail = ' (%s)' % check['detail'] if check['detail'] else ''
        t.equal(rest, check['result'] + detail, 'result of ' + check['id'])
        t.true(check['result'] == 'PASS' or check['detail'], check['id'] + ' has no reason')
    t.equal(len({check['id'] for check in host['checks']}), len(lines), 'ids')
    t.equal(len({line.index(' : ') for line in lines}), 1, 'columns of the results')


@suite.test('--mode asks for one mode: 0 or 1, and FAIL where it lacks something')
def mode(t):
    _, host = tools.host_json()
    for name in MODES:
        usable = host['modes'][name]['usable']
        status, asked = tools.host_json('--mode', name)
        t.equal(status, 0 if usable else 1, 'exit status for ' + name)
        t.equal(asked['modes'], host['modes'], 'modes')
        t.equal(check_of(asked, 'mode-' + name)['result'], 'PASS' if usable else 'FAIL', name)
        if not usable:
            t.true(host['modes'][name]['reason'], 'no reason for ' + name)


@suite.test('versions are those of QEMU and libvirt')
def versions(t):
    _, host = tools.host_json()
    said = subprocess.run([rig.QEMU, '--version'], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    major, minor, micro = (int(n) for n in re.search(r'version (\d+)\.(\d+)\.(\d+)', said).groups())
    t.equal(host['qemu']['version'], major * 1000000 + minor * 1000 + micro, 'version of QEMU')
    t.equal(os.path.realpath(host['qemu']['emulator']), os.path.realpath(rig.QEMU), 'emulator')
    t.has(host['qemu']['offers'], 'memory-backend-memfd', 'offers')
    # Debian's QEMU has an object for each variant; -object help lists what can be made.
    listed = subprocess.run([rig.QEMU, '-object', 'help'], stdout=subprocess.PIPE, text=True,
                            check=True).stdout.split()
    t.equal('sw-protected-vm' in host['qemu']['offers'], 'sw-protected-vm' in listed, 'offers')
    version = subprocess.run([rig.PYTHON, '-c', 'import libvirt; print(libvirt.getVersion())'],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    t.equal(host['libvirt'], int(version), 'version of libvirt')
    t.equal(host['library'], os.path.realpath(rig.LIBRARY), 'library')
    t.equal(host['shim'], os.path.realpath(rig.SHIM), 'shim')


@suite.test('an emulator with guest_memfd of its own needs no shim')
def own_guest_memfd(t):
    # It is outside the source, which may be in a home directory that QEMU's user may not enter.
    with tools.directory() as directory:
        fake = shutil.copy(os.path.join(rig.SOURCE, 'tests', 'fake-emulators', 'answers'),
                           directory)
        _, host = tools.host_json('--emulator', fake)
    t.equal(host['qemu']['emulator'], fake, 'emulator')
    t.has(host['qemu']['offers'], 'memory-backend-memfd.guest-memfd', 'offers')
    t.equal(check_of(host, 'qemu-guest-memfd')['detail'], 'its own', 'detail')


@suite.test('emulators that do not answer: why, and no mode can be used')
def bad_emulators(t):
    for path, word in (('/nonexistent/qemu', '/nonexistent/qemu'), ('/bin/true', '/bin/true'),
                       ('/etc/passwd', '/etc/passwd')):
        status, host = tools.host_json('-e', path)
        t.equal(status, 3, 'exit status for ' + path)
        t.equal(check_of(host, 'qemu')['result'], 'FAIL', path)
        t.has(check_of(host, 'qemu')['detail'], word, 'detail')
        t.equal(host['qemu']['offers'], [], 'offers')
    status, host = tools.host_json(PATH='/nonexistent')
    t.equal(status, 3, 'exit status without PATH')
    t.has(check_of(host, 'qemu')['detail'], 'qemu-system-x86_64 is not in PATH', 'detail')


@suite.test('wrong usage: status 64 and what is wrong')
def usage(t):
    for args, message in ((('host', '--mode', 'secret'), "'secret' is not a mode"),
                          (('host', '--frobnicate'), '--frobnicate'),
                          (('host', 'file'), "unexpected argument 'file'"),
                          (('hots',), "'hots' is not a verb"),
                          (('help', 'hots'), "'hots' is not a verb"),
                          ((), 'Usage: virt-gmem')):
        status, out, err = tools.call(*args)
        t.equal(status, 64, 'exit status of %r' % (args,))
        t.equal(out, '', 'standard output')
        t.has(err, message, 'standard error')


@suite.test('--help and --version')
def help_and_version(t):
    for args, text in ((('--help',), 'Verbs:'), (('--version',), 'virt-gmem '),
                       (('help',), 'Verbs:'), (('-h',), 'Verbs:'),
                       (('host', '--help'), '--json'), (('run', '--help'), '--for')):
        status, out, err = tools.call(*args)
        t.equal((status, err), (0, ''), 'exit status and standard error of %r' % (args,))
        t.has(out, text, 'output')
    for verb in ('host', 'run', 'status'):
        t.equal(tools.call('help', verb), tools.call(verb, '--help'), 'help ' + verb)
    t.lacks(tools.call('run', '--help')[1], '--root', 'help')


@suite.test('without /dev/kvm: FAIL, the reason, status 3')
def no_kvm(t):
    done = tools.without_kvm(tools.TOOL, 'host')
    t.equal(done.returncode, 3, 'exit status')
    t.matches(done.stdout, r'(?m)^KVM: /dev/kvm +: FAIL \(/dev/kvm cannot be opened: No such file '
                           r'or directory; load the module', 'output')
    t.matches(done.stdout, r'(?m)^Mode: fully shared, .*: FAIL \(/dev/kvm cannot', 'output')


@suite.test('kernels without guest_memfd, or without one that the host can map')
def old_kernels(t):
    rig.need_guest_memfd()
    for faults, name, words in (
            ('cap=0,flags=0', 'kvm-guest-memfd', 'requires Linux 6.18'),
            ('flags=0', 'kvm-guest-memfd-mmap', '0x0 without 0x1; requires Linux 6.18'),
            ('flags=1', 'kvm-guest-memfd-init-shared', '0x1 without 0x2; requires Linux 6.18'),
            ('create=1', 'kvm-guest-memfd-create', 'Operation not permitted')):
        status, host = tools.host_json(LD_PRELOAD=tools.FAULTS, GMEM_TEST_FAULTS=faults)
        t.equal(status, 3, 'exit status with ' + faults)
        t.equal(check_of(host, name)['result'], 'FAIL', name)
        t.has(check_of(host, name)['detail'], words, name)
        t.has(host['modes']['fully-shared']['reason'], 'KVM of Linux', 'reason')


# On Debian, the primary group of QEMU's user is not the one that libvirt gives it. Here /dev/kvm belongs to group
# $0.
KVM_OF_GROUP = '''
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mknod -m 660 /mnt/kvm c $(stat -c '0x%t 0x%T' /dev/kvm)
    chgrp $0 /mnt/kvm
    mount --bind /mnt/kvm /dev/kvm
    sed 's/^\\(libvirt-qemu:[^:]*:[^:]*\\):[^:]*/\\1:64999/' /etc/passwd >/mnt/passwd
    sed '/libvirt-qemu/d' /etc/group >/mnt/group
    echo 'libvirt-qemu:x:64998:' >>/mnt/group
    echo 'more:x:64997:libvirt-qemu' >>/mnt/group
    mount --bind /mnt/passwd /etc/passwd
    mount --bind /mnt/group /etc/group'''


@suite.test("QEMU's user has its own primary group, too")
def groups(t):
    rig.need_guest_memfd()
    for group, allowed in ((64999, True), (64998, True), (64997, True), (64996, False)):
        script = KVM_OF_GROUP.replace('$0', str(group))
        done = tools.in_namespace(script, tools.TOOL, 'host')
        t.matches(done.stdout, r'(?m)^QEMU: its user may open /dev/kvm +: %s \(%s' % (
            ('PASS', 'libvirt-qemu') if allowed else ('WARN', 'user libvirt-qemu cannot open /dev/kvm: Perm')),
                  'with group %d' % group)


@suite.test("QEMU's user has its own primary group for `run`, too")
def groups_of_run(t):
    rig.need_guest_memfd()
    tools.need_tree_for_nobody()
    with tools.directory() as directory:
        script = KVM_OF_GROUP.replace('$0', '64999')
        done = tools.in_namespace(script, tools.TOOL, 'run', '--for', '1',
                                  tools.domain(directory + '/d.xml'))
        t.equal((done.returncode, done.stderr), (0, ''), 'exit status and standard error of run')
        t.lacks(done.stdout, 'QEMU runs as root', 'output of run')


@suite.test('an unprivileged user learns about himself')
def unprivileged(t):
    rig.need_kvm()
    tools.need_tree_for_nobody()
    allowed = subprocess.run(['/usr/bin/test', '-w', '/dev/kvm'], preexec_fn=tools.as_nobody,
                             check=False).returncode == 0
    done = subprocess.run([tools.TOOL, 'host'], preexec_fn=tools.as_nobody, env=tools.ENV,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if allowed:
        t.matches(done.stdout, r'(?m)^KVM: /dev/kvm +: PASS', 'output')
    else:
        t.matches(done.stdout, r'(?m)^KVM: /dev/kvm +: FAIL \(/dev/kvm cannot be opened: '
                               r'Permission denied; run as root', 'output')
        t.equal(done.returncode, 3, 'exit status')
    t.matches(done.stdout, r'(?m)^QEMU: emulator +: PASS', 'output')
    t.equal(done.stderr, '', 'standard error')


# A copy of sleep with the name of a daemon, with and without the library; it is in a process namespace, like the
# daemons of other tests.
DAEMONS = '''
    mount -t tmpfs -o mode=755,exec tmpfs /mnt
    mount -t proc proc /proc
    cp /usr/bin/sleep /mnt/$0
    for library in $1; do LD_PRELOAD=$library /mnt/$0 100 & done
    for try in $(seq 100); do
        case $(cat /proc/$!/comm) in $0) break ;; esac
        sleep 0.1
    done'''


@suite.test('daemons that run without the library')
def daemons(t):
    def line(name, preload, *wrapper):
        script = DAEMONS.replace('$0', name).replace('$1', preload)
        done = tools.in_namespace(script, *wrapper, tools.TOOL, 'host', processes=True)
        return re.search(r'(?m)^libvirt: its daemons .*?: (.*)$', done.stdout)[1]
    good, bad = rig.LIBRARY, '/'
    version = tools.call('--version')[1].split()[1]
    for name in ('libvirtd', 'virtqemud'):
        t.matches(line(name, good), r'^PASS \(%s \(process \d+\) has version %s\)$'
                  % (name, re.escape(version)), name + ' with it')
        t.matches(line(name, bad), r'^WARN \(%s \(process \d+\) runs without libvirt-gmem\.so, .* restart it, '
                  'with LD_PRELOAD=%s unless a drop-in .*\)$' % (name, re.escape(rig.LIBRARY)), name + ' without it')
        t.matches(line(name, '%s %s' % (good, bad)), r'^WARN \(.* runs without libvirt-gmem.so', 'one of two')
    t.equal(line('virtlogd', bad), 'PASS (none is running)', 'another daemon')
    nobody = ('setpriv', '--reuid=%d' % tools.NOBODY, '--clear-groups')
    if tools.nobody_may_look():
        t.matches(line('libvirtd', good, *nobody), r'^WARN \(libvirtd \(process \d+\) may not be '
                  r'inspected; run as root\)$', 'for an ordinary user')


@suite.test('a daemon in a container is not one of this host')
def contained(t):
    script = DAEMONS[:DAEMONS.index('    for library')].replace('$0', 'libvirtd') + """
    unshare --pid --fork --kill-child /mnt/libvirtd 100 &
    until grep -qsx libvirtd /proc/[0-9]*/comm; do sleep 0.1; done"""
    done = tools.in_namespace(script, tools.TOOL, 'host', processes=True)
    t.matches(done.stdout, r'(?m)^libvirt: its daemons .*?: PASS \(none is running\)$', 'line')


# The same with a copy of the library, which is then changed by $2.
REPLACED = DAEMONS.replace('for library in $1', 'cp $1 /mnt/libvirt-gmem.so\n'
                           '    for library in /mnt/libvirt-gmem.so') + '''
    until grep -q libvirt-gmem.so /proc/$!/maps; do sleep 0.1; done
    $2'''


@suite.test('a daemon whose library has been replaced or removed since')
def replaced(t):
    version = tools.call('--version')[1].split()[1]
    for change, stale in ((':', False), ('rm /mnt/libvirt-gmem.so', True),
                          ('cp $1 /mnt/new; mv /mnt/new /mnt/libvirt-gmem.so', True)):
        script = REPLACED.replace('$2', change).replace('$1', rig.LIBRARY).replace('$0', 'libvirtd')
        done = tools.in_namespace(script, tools.TOOL, 'host', processes=True)
        said = re.search(r'(?m)^libvirt: its daemons .*?: (.*)$', done.stdout)[1]
        t.matches(said, r'^WARN \(libvirtd \(process \d+\) has version %s, whose file has been '
                  r'replaced or removed since; restart the daemon\)$' % re.escape(version) if stale else
                  r'^PASS \(libvirtd \(process \d+\) has version %s\)$' % re.escape(version), change)


@suite.test("a session's daemon is named as such")
def session(t):
    tools.need_tree_for_nobody()
    script = DAEMONS.replace('$0', 'libvirtd').replace('$1', rig.LIBRARY).replace(
        'LD_PRELOAD', 'setpriv --reuid=%d --clear-groups env LD_PRELOAD' % tools.NOBODY)
    done = tools.in_namespace(script, tools.TOOL, 'host', processes=True)
    t.matches(done.stdout, r'(?m)^libvirt: its daemons .*?: PASS \(libvirtd \(process \d+, a session of '
              r'nobody\) has version', 'line')


@suite.test('a gmem.conf that is wrong')
def conf(t):
    rig.need_kvm()
    script = ("mount -t tmpfs -o mode=755 tmpfs /etc/libvirt; printf '%s' >/etc/libvirt/gmem.conf")
    for text, result in (('[convertible]\\nstart=private\\n', 'PASS'),
                         ('[convertible]\\nstart=secret\\n', 'WARN'), ('nonsense', 'WARN')):
        done = tools.in_namespace(script % text, tools.TOOL, 'host', '--json')
        host = json.loads(done.stdout)
        check = check_of(host, 'gmem-conf')
        t.equal(check['result'], result, text)
        t.has(check['detail'], '/etc/libvirt/gmem.conf', 'detail')
        if result == 'WARN' and tools.system_extension(235) & 2:
            t.equal(host['modes']['convertible'], {'usable': False, 'reason': check['detail']}, 'mode')
        done = tools.in_namespace(script % text, tools.TOOL, 'host', '--mode', 'convertible')
        t.matches(done.stdout, r'(?m)^gmem.conf +: %s' % result.replace('WARN', 'FAIL'), 'asked about')


@suite.test('away from its tree it looks where libraries get installed')
def moved(t):
    with tools.directory() as directory:
        copy = os.path.join(directory, 'virt-gmem')
        shutil.copy(tools.TOOL, copy)
        done = subprocess.run([copy, 'host'], env=tools.ENV, stdout=subprocess.PIPE, text=True,
                              check=False)
        run = subprocess.run([copy, 'run', '/dev/null'], env=tools.ENV, stderr=subprocess.PIPE,
                             text=True, check=False)
    if os.path.exists(re.search(r'(?m)^libvirt-gmem.so .*?(/\S+)', done.stdout)[1]):
        raise rig.Skip('libvirt-gmem is installed here')
    t.equal(done.returncode, 3, 'exit status')
    t.matches(done.stdout, r'(?m)^libvirt-gmem.so +: FAIL \(\S*/lib\S*/libvirt-gmem.so is missing',
              'output')
    t.matches(done.stdout, r'(?m)^qemu-gmem.so +: FAIL \(\S*/libvirt-gmem/qemu-gmem.so is missing',
              'output')
    t.equal(run.returncode, 1, 'exit status of run')
    t.matches(run.stderr, r'^error: \S*/libvirt-gmem.so is missing or unreadable \(No such file or '
              r'directory\); install libvirt-gmem\n$', 'run')


if __name__ == '__main__':
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
