#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_package.py: the Debian package: built, installed, upgraded, downgraded and removed while a daemon and a
private domain run.

This runs in mount and process namespaces, with this machine's root under an overlay in memory. dpkg, libvirtd and
QEMU are real; there is no systemd (tests/package/run-machine has it). GMEM_PACKAGES is the directory of packages
that have been built already; the log of the build is beside it.
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, 'tests', 'e2e'))

import gmem_rig as rig  # noqa: E402  pylint: disable=wrong-import-position

OUT = os.environ.get('GMEM_PACKAGES') or os.path.join(rig.BUILD, 'package')
LIBRARIES = '/usr/lib/x86_64-linux-gnu/libvirt-gmem'
LIBRARY = LIBRARIES + '/libvirt-gmem.so'
CHECK = '/usr/libexec/libvirt-gmem/check-daemon'
SCHEMA = '/usr/share/libvirt/schemas/gmem-domain.rng'
LOCAL = '/etc/apparmor.d/local/abstractions/libvirt-qemu'
TEMPLATE = '/etc/apparmor.d/libvirt/TEMPLATE.qemu'
# What is completed for the words after the program's name; zsh itself then selects what begins like the last word.
BASH = ('. /usr/share/bash-completion/completions/virt-gmem; COMP_WORDS=("$@"); '
        'COMP_CWORD=$(($# - 1)); _virt_gmem "$1" "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"')
ZSH = ('compadd() { shift; print -r -- $@ }; words=("$@"); CURRENT=$#; '
       'source /usr/share/zsh/vendor-completions/_virt-gmem')
TOOLS = ('dpkg-buildpackage', 'lintian', 'dh', 'rst2man', 'git', 'zsh')

# Makes an overlay over the root, and makes that the root: it runs as the first process of its namespaces.
ENTER = '''
set -e
mount -t tmpfs -o size=50%% tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
exec %s/tests/matrix/enter-root /mnt/root "$@"
'''

DOMAIN = '''<domain type='kvm'>
  <name>vm</name>
  <memory unit='MiB'>48</memory>
  <memoryBacking><private/></memoryBacking>
  <os><type arch='x86_64'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>'''

suite = rig.Suite()
daemon = None


def run(*argv, **env):
    """(exit status, standard output and error) of a command."""
    done = subprocess.run(argv, env=dict(os.environ, LC_ALL='C', DEBIAN_FRONTEND='noninteractive', **env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False)
    return done.returncode, done.stdout


def succeed(*argv, **env):
    status, said = run(*argv, **env)
    if status:
        raise rig.Failure('%r: exit status %d:\n%s' % (argv, status, said))
    return said


def package(version=None):
    """The path of the package; a package with another version and other libraries is made from it."""
    path = glob.glob(OUT + '/libvirt-gmem_*.deb')[0]
    if not version:
        return path
    tree, made = '/root/tree', '/root/%s.deb' % version
    shutil.rmtree(tree, ignore_errors=True)
    succeed('dpkg-deb', '-R', path, tree)
    control = tree + '/DEBIAN/control'
    with open(control, encoding='utf-8') as file:
        text = re.sub(r'(?m)^Version: .*', 'Version: ' + version, file.read())
    with open(control, 'w', encoding='utf-8') as file:
        file.write(text)
    for library in glob.glob(tree + LIBRARIES + '/*.so'):
        with open(library, 'ab') as file:
            file.write(version.encode())
    succeed('dpkg-deb', '-b', tree, made)
    return made


def is_back():
    """Whether libvirtd answers, and has connected to its QEMUs (gmem_rig.is_back() says what happens before)."""
    status, said = run('virsh', 'list', '--name')
    for name in said.split() if status == 0 else ():
        run('virsh', 'dommemstat', name)
    return status == 0


def start_daemon(**env):
    """Starts libvirtd, in place of the former one, and waits until it answers."""
    global daemon  # pylint: disable=global-statement
    if daemon:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
    with open('/var/log/libvirtd.log', 'ab') as log:
        daemon = subprocess.Popen([rig.LIBVIRTD], env=dict(os.environ, LC_ALL='C', **env), stdout=log,
                                  stderr=log, stdin=subprocess.DEVNULL)
    rig.wait_for(is_back, 'libvirtd to answer')


def maps(pid):
    with open('/proc/%d/maps' % pid, encoding='utf-8') as file:
        return file.read()


def emulator():
    """The pid of the domain's QEMU."""
    with open('/run/libvirt/qemu/vm.pid', encoding='utf-8') as file:
        return int(file.read())


def runs_on(t, pid, library, stale=True):
    """The daemon and QEMU @pid are unchanged, with the files that they have mapped."""
    t.equal(daemon.poll(), None, "the daemon's end")
    for process, path in ((daemon.pid, LIBRARY), (pid, library)):
        lines = [line for line in maps(process).splitlines() if path in line]
        t.true(lines, '%s is not mapped' % path)
        t.equal({line.endswith('(deleted)') for line in lines}, {stale}, path + ' has no name any more')
    t.equal(emulator(), pid, "QEMU's process")
    t.equal(succeed('virsh', 'domstate', 'vm').strip(), 'running', 'state')
    # QEMU's own main loop and a vCPU also answer.
    succeed('virsh', 'qemu-monitor-command', 'vm', '--hmp', 'info registers')


@suite.test('packages are built, and lintian has nothing to say')
def build(t):
    with open(OUT + '.log', encoding='utf-8') as file:
        said = file.read()
    with open(SOURCE + '/po/LINGUAS', encoding='utf-8') as file:
        languages = {word for line in file if not line.startswith('#') for word in line.split()}
    if os.environ['GMEM_PACKAGE_STATUS'] == '0':
        t.equal(set(re.findall(r'/locale/([^/]*)/LC_MESSAGES/libvirt-gmem\.mo', succeed('dpkg-deb', '-c', package()))),
                languages, 'languages of the package')
    t.equal(re.findall(r'(?m)^[EW]: .*', said), [], 'what lintian says')
    t.equal(os.environ['GMEM_PACKAGE_STATUS'], '0', 'exit status of build-deb, which said\n' + said)


@suite.test('installed under a daemon that runs: nothing is restarted, and it says what to do')
def install(t):
    shutil.rmtree('/etc/libvirt/qemu', ignore_errors=True)
    for path, text in (('qemu.conf', rig.QEMU_CONF.format(user='root', group='root', ownership=0)),
                       ('libvirtd.conf', rig.LIBVIRTD_CONF)):
        with open('/etc/libvirt/' + path, 'w', encoding='utf-8') as file:
            file.write(text)
    if os.path.exists('/etc/libvirt/gmem.conf'):
        os.unlink('/etc/libvirt/gmem.conf')
    start_daemon()
    said = succeed('dpkg', '-i', package())
    t.equal(daemon.poll(), None, "the daemon's end")
    t.has(said, 'libvirtd (process %d) runs without libvirt-gmem until it is restarted' % daemon.pid, 'dpkg')
    t.has(said, 'systemctl restart libvirtd', 'dpkg')
    t.has(succeed('virt-gmem', 'host', '--mode', 'fully-shared'), 'runs without libvirt-gmem.so', 'virt-gmem host')
    t.equal(run(CHECK, str(daemon.pid))[0], 1, 'exit status of check-daemon for that daemon')
    for name in ('libvirtd', 'virtqemud'):
        with open('/usr/lib/systemd/system/%s.service.d/libvirt-gmem.conf' % name, encoding='utf-8') as file:
            t.has(file.read(), 'Environment=LD_PRELOAD=%s\n' % LIBRARY, 'drop-in')
    for page in ('1/virt-gmem.1', '5/gmem.conf.5', '7/libvirt-gmem.7', '7/qemu-gmem.7'):
        t.true(os.path.exists('/usr/share/man/man%s.gz' % page), page + ' is missing')


@suite.test("AppArmor's parser accepts QEMU's profile, which lets it map its library")
def apparmor(t):
    if not shutil.which('apparmor_parser') or not os.path.exists(TEMPLATE):
        raise rig.Skip("requires apparmor, and libvirt's profiles")
    # As virt-aa-helper generates it from a domain's.
    with open(TEMPLATE, encoding='utf-8') as file:
        text = file.read().replace('LIBVIRT_TEMPLATE', 'libvirt-1b4e28ba-2fa1-11d2-883f-0016d3cca427')
    with open('/root/profile', 'w', encoding='utf-8') as file:
        file.write(text)
    # Neither loads it into a kernel, which may have no AppArmor, nor uses a cache.
    parser = ('apparmor_parser', '--skip-kernel-load', '--skip-cache', '--skip-read-cache')
    succeed(*parser, '/root/profile')
    t.equal(succeed(*parser, '--preprocess', '/root/profile').count('\n  %s/*.so mr,\n' % LIBRARIES), 1,
            'rules for the library')


@suite.test('virt-xml-validate knows the schema by its name, and a change of libvirt\'s makes it anew')
def schema(t):
    with open('/root/vm.xml', 'w', encoding='utf-8') as file:
        file.write(DOMAIN)
    succeed('virt-xml-validate', '/root/vm.xml', 'gmem-domain')
    os.unlink(SCHEMA)
    # dpkg does this when a package brings files there.
    succeed('dpkg-trigger', '--no-await', os.path.dirname(SCHEMA))
    succeed('dpkg', '--configure', '--pending')
    succeed('virt-xml-validate', '/root/vm.xml', 'gmem-domain')
    t.equal(run('virt-xml-validate', '/root/vm.xml', 'domain')[0], 3, "exit status for libvirt's own")


@suite.test('a library that is gone, unreadable or no library is found before the daemon starts')
def broken(t):
    def check(*words):
        status, said = run(CHECK, LD_PRELOAD=LIBRARY)
        t.equal(status, 1 if words else 0, 'exit status; it said\n' + said)
        for word in words:
            t.has(said, word, 'what check-daemon says')
    kept = '/root/kept.so'
    check()
    os.rename(LIBRARY, kept)
    check('the daemon must not run without the library: %s is missing' % LIBRARY)
    with open(LIBRARY, 'w', encoding='utf-8') as file:
        file.write('text\n')
    check('%s cannot be loaded' % LIBRARY)
    os.rename(kept, LIBRARY)
    os.chmod(LIBRARY, 0)
    check('%s is not readable for everybody' % LIBRARY)
    os.chmod(LIBRARY, 0o644)
    check()


@suite.test('the daemon has the library, and a private domain runs')
def start(t):
    rig.need_guest_memfd()
    start_daemon(LD_PRELOAD=LIBRARY)
    succeed(CHECK, str(daemon.pid))
    t.matches(succeed('virt-gmem', 'host', '--mode', 'fully-shared'), r'(?m)^libvirt: its daemons .*: PASS', 'host')
    succeed('virsh', 'define', '/root/vm.xml')
    succeed('virsh', 'start', 'vm')
    t.has(succeed('virsh', 'dumpxml', 'vm'), '<private/>', 'dumpxml')
    t.has(maps(emulator()), 'gmem', "QEMU's maps")
    runs_on(t, emulator(), '/qemu-gmem.so', stale=False)
    for words, wanted in ((('virt-gmem', 'hos'), 'host'), (('virt-gmem', 'status', 'v'), 'vm'),
                          (('virt-gmem', 'host', '--mode', 'c'), 'convertible'),
                          (('virt-gmem', 'status', '--pro'), '--prometheus')):
        t.equal(succeed('bash', '-c', BASH, 'bash', *words).strip(), wanted, 'bash completion of %r' % (words,))
        offered = succeed('zsh', '-fc', ZSH, 'zsh', *words).split()
        t.equal([word for word in offered if word.startswith(words[-1])], [wanted],
                'zsh completion of %r' % (words,))


@suite.test('upgraded and downgraded: what runs goes on with the files that it has')
def upgrade(t):
    rig.need_guest_memfd()
    pid = emulator()
    with open('/etc/libvirt/gmem.conf', 'a', encoding='utf-8') as file:
        file.write('[convertible]\nstart=private\n')
    for each in (package('99'), package()):
        said = succeed('dpkg', '-i', '--force-downgrade', each)
        runs_on(t, pid, '/qemu-gmem.so')
        t.has(said, 'libvirtd (process %d) has the libvirt-gmem that was installed before until it is '
              'restarted' % daemon.pid, 'dpkg')
        t.lacks(said, 'will not start', 'dpkg')
    with open('/etc/libvirt/gmem.conf', encoding='utf-8') as file:
        t.has(file.read(), '\nstart=private\n', 'what the administrator wrote')
    # The new library handles what the old one has started.
    start_daemon(LD_PRELOAD=LIBRARY)
    t.has(succeed('virsh', 'dumpxml', 'vm'), '<private/>', 'dumpxml')
    t.equal(emulator(), pid, "QEMU's process")


@suite.test('removed: the domains are listed, what runs goes on, and nothing stays')
def remove(t):
    rig.need_guest_memfd()
    pid = emulator()
    said = succeed('dpkg', '-r', 'libvirt-gmem')
    t.has(said, 'these domains will not start without the package:\n    vm\n', 'dpkg')
    t.has(said, 'virsh edit NAME', 'dpkg')
    t.has(said, 'libvirtd (process %d) has the library until it is restarted, which running domains survive: '
          'systemctl restart libvirtd' % daemon.pid, 'dpkg')
    runs_on(t, pid, '/qemu-gmem.so')
    for path in (LIBRARIES, SCHEMA, '/usr/libexec/libvirt-gmem', '/usr/bin/virt-gmem'):
        t.true(not os.path.exists(path), path + ' is still there')
    if os.path.exists(LOCAL):
        with open(LOCAL, encoding='utf-8') as file:
            t.lacks(file.read(), 'libvirt-qemu.d', LOCAL)
    succeed('dpkg', '-P', 'libvirt-gmem')
    t.true(not os.path.exists('/etc/libvirt/gmem.conf'), 'gmem.conf outlives a purge')


@suite.test('without the package: the domain does not start until virsh edit has made it ordinary')
def ordinary(t):
    rig.need_guest_memfd()
    start_daemon()
    succeed('virsh', 'destroy', 'vm')
    status, said = run('virsh', 'start', 'vm')
    t.equal(status, 1, 'exit status')
    t.has(said, '-x-libvirt-gmem: invalid option', 'virsh start')
    said = succeed('virsh', 'edit', 'vm', EDITOR='sed -i -e "/-x-libvirt-gmem/,+1d"')
    t.has(said, 'XML configuration edited', 'virsh edit')
    succeed('virsh', 'start', 'vm')
    t.lacks(succeed('virsh', 'dumpxml', 'vm'), 'gmem', 'dumpxml')
    succeed('virsh', 'destroy', 'vm')


def files():
    """All files in the directories where an installation puts some."""
    return {os.path.join(directory, name)
            for place in ('/usr/local', '/usr/share/libvirt', '/usr/lib/systemd', '/etc/apparmor.d', '/etc/libvirt')
            for directory, _, names in os.walk(place) for name in names}


@suite.test('make install and make uninstall do the same without dpkg')
def make(t):
    run('dpkg', '-P', 'libvirt-gmem')
    before = files()
    succeed('make', '-C', SOURCE, 'install', 'BUILD=/root/build')
    libraries = LIBRARIES.replace('/usr/', '/usr/local/')
    library = libraries + '/libvirt-gmem.so'
    t.equal(run(CHECK.replace('/usr/', '/usr/local/'), LD_PRELOAD=library), (0, ''), 'check-daemon')
    succeed('virt-xml-validate', '/root/vm.xml', 'gmem-domain')
    for path, text in (('/usr/local/lib/systemd/system/libvirtd.service.d/libvirt-gmem.conf', '=%s\n' % library),
                       ('/etc/apparmor.d/abstractions/libvirt-qemu.d/libvirt-gmem', ' %s/*.so mr,\n' % libraries)):
        with open(path, encoding='utf-8') as file:
            t.has(file.read(), text, path)
    succeed('make', '-C', SOURCE, 'uninstall', 'BUILD=/root/build')
    # The administrator's file remains, as with dpkg -r, and so does a file without lines for AppArmor.
    t.equal(sorted(files() - before - {LOCAL}), ['/etc/libvirt/gmem.conf'], 'what an uninstall leaves')


def inside():
    if os.path.exists('/dev/kvm'):
        with contextlib.suppress(LookupError):
            shutil.chown('/dev/kvm', group='kvm')
            os.chmod('/dev/kvm', 0o660)
    return suite.run(os.environ.get('GMEM_PACKAGE_SKIP'))


def main():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    with open('/etc/os-release', encoding='utf-8') as file:
        older = 'VERSION_ID="12"' in file.read()
    skip = (rig.need_root() or (missing and 'requires ' + ', '.join(missing)) or
            (not older and 'GMEM_PACKAGES' not in os.environ and 'is run by `make deb` on this release') or '')
    status = 0
    if not skip and 'GMEM_PACKAGES' not in os.environ:
        begin = time.monotonic()
        with open(OUT + '.log', 'wb') as log:
            status = subprocess.run([SOURCE + '/tools/build-deb', OUT], stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, check=False).returncode
        print('# built in %.0f s' % (time.monotonic() - begin), flush=True)
    os.environ.update(GMEM_PACKAGE_STATUS=str(status), GMEM_PACKAGE_SKIP=skip)
    if skip:
        return inside()
    return subprocess.run(['unshare', '--mount', '--propagation', 'private', '--pid', '--ipc', '--net', '--fork',
                           '--kill-child', '/bin/sh', '-c', ENTER % SOURCE, 'sh', rig.PYTHON, os.path.abspath(__file__),
                           '--inside'], check=False).returncode


if __name__ == '__main__':
    if '--inside' in sys.argv:
        sys.argv.remove('--inside')
        sys.exit(inside())
    sys.exit(main())
