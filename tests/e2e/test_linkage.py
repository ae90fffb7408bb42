#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the libraries export and import, and into which processes they are loaded."""

import os
import re
import subprocess

from gmem_rig import (KIB, LIBRARY, QEMU, SHIM, SOURCE, VHOST_USER, DaemonRig, EmbedRig, Suite, domain,
                      library, need_guest_memfd, need_root, wait_for)

suite = Suite()

FOREIGN = '/usr/lib/x86_64-linux-gnu/libz.so.1'

# Records what it sees of itself in /run/seen: LD_PRELOAD, argv, its memory map. The shell opens the
# map, because $$ would be wrong in the probe, which has a process namespace of its own.
RECORDER = '''\
#!/bin/sh
{ echo "preload=$LD_PRELOAD"; echo "argv=$0 $*"; cat </proc/self/maps; } >$(mktemp -p /run/seen)
'''


def tool(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def interposed(syms):
    """The names in the global section of a linker version script."""
    with open(os.path.join(SOURCE, syms), encoding='utf-8') as file:
        text = re.sub(r'#.*|/\*[^*]*\*/', '', file.read())
    return set(re.findall(r'(\w+);', re.search(r'global:(.*?)local:', text, re.S)[1]))


def exports(path):
    return {line.split()[-1].split('@')[0]
            for line in tool('nm', '-D', '--defined-only', path).splitlines()}


def needed(path):
    return re.findall(r'\(NEEDED\).*\[(.*)\]', tool('readelf', '-dW', path))


@suite.test('libvirt-gmem.so exports the interposed functions and nothing else')
def _(check):
    names = interposed('src/driver/libvirt-gmem.syms')
    check.true({'virDomainDefineXML', 'virDomainDefineXMLFlags', 'virDomainCreateXML',
                'virDomainCreateXMLWithFiles', 'virDomainGetXMLDesc', 'virDomainCreate',
                'virDomainCreateWithFlags', 'virDomainCreateWithFiles',
                'virConnectDomainXMLToNative', 'execve', 'execv'} <= names, 'a name is missing')
    check.equal(exports(LIBRARY), names, 'exports')


@suite.test('qemu-gmem.so exports the interposed functions and nothing else')
def _(check):
    check.equal(exports(SHIM), interposed('src/shim/qemu-gmem.syms'), 'exports')


@suite.test('vhost-user-gmem.so exports lseek and nothing else, and needs the C library alone')
def _(check):
    check.equal(exports(VHOST_USER), {'lseek', 'lseek64'}, 'exports')
    check.equal(needed(VHOST_USER), ['libc.so.6'], 'NEEDED')


@suite.test('libvirt.so.0 is needed, and nothing private of it')
def _(check):
    check.true('libvirt.so.0' in needed(LIBRARY), 'libvirt.so.0 is not DT_NEEDED')
    for path in (LIBRARY, SHIM):
        check.lacks(tool('readelf', '-VW', path), 'LIBVIRT_PRIVATE', path)
        check.lacks(tool('nm', '-D', path), 'LIBVIRT_PRIVATE', path)
    # If there were such an import, readelf would show it, as it does for libvirt's driver.
    for driver in ('/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so',):
        if os.path.exists(driver):
            check.has(tool('readelf', '-VW', driver), 'LIBVIRT_PRIVATE', driver)


@suite.test('what is imported from libvirt is in its oldest public API')
def _(check):
    # Every version of an import from libvirt must be a public one: LIBVIRT_x.y.z.
    versions = re.findall(r'\bvir\w+@+(\w+[\d.]*)', tool('nm', '-D', '--undefined-only', LIBRARY))
    check.true(versions, 'no versions of imports')
    for version in versions:
        check.matches(version, r'^LIBVIRT_\d', 'version of an import')


@suite.test('qemu-gmem.so needs the C library alone')
def _(check):
    others = [name for name in needed(SHIM)
              if not re.match(r'(libc\.so|ld-linux|libdl\.so|libpthread\.so|libasan|libubsan)', name)]
    check.equal(others, [], 'other libraries')


def seen(rig):
    """What the recorders saw: (LD_PRELOAD, argv, maps) of each process."""
    result = []
    directory = rig.outer('/run/seen')
    for name in sorted(os.listdir(directory)):
        text = rig.read('/run/seen/' + name)
        head, _, maps = text.partition('\n')
        result.append((head.partition('=')[2], *maps.split('\n', 1)))
        os.unlink(os.path.join(directory, name))
    return result


def recording(rig):
    os.mkdir(rig.outer('/run/seen'))
    os.chmod(rig.outer('/run/seen'), 0o777)
    rig.write('/run/emulator', RECORDER + 'exec %s "$@"\n' % QEMU, 0o755)
    rig.write('/etc/libvirt/hooks/qemu', RECORDER, 0o755)
    rig.write('/etc/libvirt/hooks/daemon', RECORDER, 0o755)


def clean(check, processes, what, preload=''):
    check.true(processes, 'no %s was seen' % what)
    for found, argv, maps in processes:
        check.equal(found, preload, 'LD_PRELOAD of ' + argv)
        check.lacks(maps, 'libvirt-gmem.so', 'maps of ' + argv)
        check.lacks(maps, 'qemu-gmem.so', 'maps of ' + argv)
        check.has(maps, 'libc.so', 'maps of ' + argv)


def processes_of(kind, foreign):
    """@foreign: another library in LD_PRELOAD before and after ours, which must stay."""
    preload = [FOREIGN, LIBRARY] if foreign else [LIBRARY]

    @suite.test('%s: who maps the libraries%s' % (
        kind.name, ', beside a foreign one' if foreign else ''))
    def _(check):
        need_guest_memfd()
        library()
        with kind(preload, prepare=recording) as rig:
            inherited = FOREIGN if foreign else ''
            client = rig.python()
            host = rig.daemon if kind is DaemonRig else client.process
            with open('/proc/%d/maps' % host.pid, encoding='utf-8') as file:
                check.has(file.read(), LIBRARY, "the driver's process")
            if kind is DaemonRig:
                said = re.findall(r'libvirt-gmem: .*version .*', rig.read(rig.log))
                check.equal(len(said), 1, 'lines of the daemon about its version: %r' % said)

            client.define(domain('plain', private=False, emulator='/run/emulator'))
            client.define(domain('vm', cells=[21 * KIB, 19 * KIB], emulator='/run/emulator'))
            client.native(client.dumpxml('vm'))
            probes = seen(rig)
            hooks = [p for p in probes if 'hooks' in p[1]]
            probes = [p for p in probes if 'emulator' in p[1]]
            # Our own probe finds out whether the shim gets into the emulator.
            own = [p for p in probes if 'none,accel=tcg:kvm' in p[1]]
            for found, argv, maps in own:
                check.equal(found, ':'.join(filter(None, [inherited, SHIM])), 'LD_PRELOAD of ' + argv)
                check.lacks(maps, 'libvirt-gmem.so', 'maps of ' + argv)
            check.true(own, 'no probe of ours was seen')
            clean(check, [p for p in probes if p not in own], "libvirt's probe of the emulator",
                  inherited)
            check.true(any('-qmp' in argv or '-help' in argv for _, argv, _ in probes),
                       'no probe was seen')

            client.start('plain')
            plain = rig.emulator('plain')
            started = seen(rig)
            clean(check, [p for p in started if 'emulator' in p[1]], 'emulator', inherited)
            hooks += [p for p in started if 'hooks' in p[1]]
            check.lacks(plain.maps, 'gmem.so', "the plain domain's QEMU")
            check.equal(plain.environ.get('LD_PRELOAD', ''), inherited, 'its LD_PRELOAD')

            client.start('vm')
            private = rig.emulator('vm')
            started = seen(rig)
            hooks += [p for p in started if 'hooks' in p[1]]
            emulators = [p for p in started if 'guest=vm' in p[1]]
            check.equal(len(emulators), 1, 'emulators of the private domain')
            check.equal(sorted(emulators[0][0].split(':')), sorted(filter(None, [inherited, SHIM])),
                        'LD_PRELOAD of the private domain')
            check.lacks(emulators[0][2], 'libvirt-gmem.so', "maps of the private domain's emulator")
            check.has(private.maps, SHIM, "the private domain's QEMU")
            check.lacks(private.maps, 'libvirt-gmem.so', "the private domain's QEMU")
            if foreign:
                check.has(private.maps, 'libz.so', "the private domain's QEMU")

            # Other programs that libvirt starts while a domain ends.
            client.destroy('vm')
            client.destroy('plain')
            if kind is DaemonRig:
                wait_for(lambda: any('release' in p[1] for p in hooks) or
                         hooks.extend(seen(rig)), 'the hook for release')
                clean(check, hooks, 'hook', inherited)
                with open('/proc/%d/environ' % rig.daemon.pid, 'rb') as file:
                    check.has(file.read().decode(), 'LD_PRELOAD=', 'what the daemon was given')


for each in (EmbedRig, DaemonRig):
    processes_of(each, False)
    processes_of(each, True)


@suite.test("the user's own LD_PRELOAD in <qemu:env> stays beside the shim")
def _(check):
    need_guest_memfd()
    with EmbedRig(library()) as rig:
        client = rig.python()
        client.define(domain('vm', memory=21 * KIB, environment=[('LD_PRELOAD', FOREIGN)]))
        check.has(client.native(client.dumpxml('vm')), 'LD_PRELOAD=%s:%s ' % (FOREIGN, SHIM),
                  'the native text')
        client.start('vm')
        emulator = rig.emulator('vm')
        # The shim has removed its own entry from QEMU's environment.
        check.equal(emulator.environ.get('LD_PRELOAD'), FOREIGN, 'LD_PRELOAD')
        check.has(emulator.maps, 'libz.so', 'maps')
        check.has(emulator.maps, SHIM, 'maps')
        client.destroy('vm')


@suite.test('programs that have nothing to do with libvirt run as ever with the library preloaded')
def _(check):
    with EmbedRig(library()) as rig:
        for argv in (['true'], ['sh', '-c', 'echo x | cat'], ['/usr/bin/python3', '-c', 'print(1)'],
                     ['env', '-i', 'true'], ['virsh', '--version']):
            was = rig.run(argv)
            now = rig.run(argv, preload=rig.preload)
            check.equal((now.returncode, now.stdout, now.stderr),
                        (was.returncode, was.stdout, was.stderr), ' '.join(argv))
        out = rig.run(['sh', '-c', 'sh -c "echo \\$LD_PRELOAD"'], preload=rig.preload).stdout
        check.equal(out, LIBRARY + '\n', 'LD_PRELOAD two programs on')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
