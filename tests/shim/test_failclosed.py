#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever prevents guest_memfd, real QEMU reports why, and does not start anything."""

import errno
import glob
import os
import shutil
import tempfile

from gmem_shim_rig import (FAULTS, FRONT, QEMU, SHIM, WRAPPER, Emulator, Skip, config, main, require,
                           require_in, require_kvm, require_not_in)

def fnv(*words):
    """The same as gmemArgvHash() of src/util/gmemargv.h."""
    number = 0xcbf29ce484222325
    for byte in b''.join(word.encode() + b'\0' for word in words):
        number = (number ^ byte) * 0x100000001b3 % (1 << 64)
    return number


GOOD = config([128])
SEAL = ',argv=' + ':'.join('%016x' % fnv(*option) for option in (
    ('object', 'memory-backend-memfd,id=ram0,share=on,size=128M'),
    ('machine', 'q35,memory-backend=ram0')))
CARRIER = '{"version":1,"mode":"fully-shared","added":[]}'


def stopped(*words, status=1, **more):
    """QEMU ends before there is a guest, and prints these words."""
    options = more.pop('options', ())
    with Emulator([128], *options, paused=False, guest=True, **more) as qemu:
        code, said = qemu.ends()
        require(code == status, 'exit status', code, said)
        for word in words:
            require_in(word, said)
        require_not_in('verified', said)
        require(qemu.serial_text() == '', 'the guest ran:', qemu.serial_text())
        return said


def kernel_refuses(faults, *words):
    def test():
        require_kvm()
        said = stopped('faults: loaded', *words, faults=faults)
        require_in('ioctl KVM_CREATE_GUEST_MEMFD of 134217728 bytes failed', said)
        require_in('this is Linux %s' % os.uname().release, said)
        # QEMU's own error for its ftruncate follows ours.
        require_in('failed to resize memfd to 134217728', said)
    return test


def pair_refused(pair, *words):
    def test():
        said = stopped('qemu-gmem: option -x-libvirt-gmem: ', *words, pair=pair)
        require_not_in('armed', said)
        require(said.count('\n') == 1, 'one line:', said)
    return test


def no_faults():
    """The preloaded fault injector itself does not change anything."""
    require_kvm()
    with Emulator([128], faults='') as qemu:
        qmp = qemu.connect()
        require_in('faults: loaded', qemu.said())
        require(qmp('query-status')['status'] in ('prelaunch', 'paused'))


def second_backend_fails():
    require_kvm()
    with Emulator([64, 64], paused=False, faults='create=12,after=1') as qemu:
        code, said = qemu.ends()
        require(code == 1, code, said)
        require_in('KVM_CREATE_GUEST_MEMFD of 67108864 bytes failed: Cannot allocate memory', said)


def hot_plug_fails():
    """Only the object-add fails; the domain continues to run."""
    require_kvm()
    with Emulator([128], maxmem=True, faults='create=24,after=1') as qemu:
        qmp = qemu.connect()
        qmp('cont')
        reply = qmp.raw('object-add', {'qom-type': 'memory-backend-memfd', 'id': 'mem0',
                                       'share': True, 'size': 67108864})
        require_in('Too many open files', reply.get('error', {}).get('desc', str(reply)))
        require(qmp('query-status')['status'] == 'running')
        require_in('KVM_CREATE_GUEST_MEMFD of 67108864 bytes failed: Too many open files',
                   qemu.said())


def no_kvm():
    stopped('QEMU has created no KVM VM; it must run with -accel kvm', 'failed to resize memfd',
            options=('-accel', 'tcg'),
            emulator=script('args=()\nskip=\nfor word; do\n'
                            '  [ "$word" = kvm ] && word=tcg\n  args+=("$word")\ndone\n'
                            'exec %s "${args[@]}"\n' % QEMU))


def hugepages():
    require_kvm()
    stopped('a memory backend asks for hugepages, and guest_memfd has none',
            backend=',hugetlb=on')


def private_mapping():
    """share=off would give the guest copies in ordinary memory, so guest_memfd refuses it."""
    require_kvm()
    stopped('unable to map backing store', backend=',share=off')


def ordinary_memory():
    """RAM that is not a memory-backend-memfd is detected, and not only by counting descriptors."""
    require_kvm()
    with Emulator([128], '-object', 'memory-backend-ram,id=plain,size=128M',
                  '-machine', 'memory-backend=plain') as qemu:
        qmp = qemu.connect()
        qmp.file.write('{"execute":"cont"}\n')
        qmp.file.flush()
        code, said = qemu.ends()
        require(code == 1, code, said)
        require_in('refusing to run the guest: the guest_memfd of 134217728 bytes', said)
        require(qemu.serial_text() == '', qemu.serial_text())


def wrong_totals(pair_sizes, words):
    def test():
        require_kvm()
        with Emulator([64, 64], pair=['-x-libvirt-gmem', config(pair_sizes)], guest=True) as qemu:
            qmp = qemu.connect()
            require_in('armed', qemu.said())
            qmp.file.write('{"execute":"cont"}\n')
            qmp.file.flush()
            code, said = qemu.ends()
            require(code == 1, code, said)
            require_in('refusing to run the guest: ' + words, said)
            require(qemu.serial_text() == '', 'the guest ran:', qemu.serial_text())
    return test


SCRIPTS = tempfile.mkdtemp(prefix='gmem-shim-scripts-')


def script(text, interpreter='/bin/bash', mode=0o755):
    path = os.path.join(SCRIPTS, 'emulator%d' % len(os.listdir(SCRIPTS)))
    with open(path, 'w') as file:
        file.write('#!%s\n%s' % (interpreter, text))
    os.chmod(path, mode)
    return path


def option_as_value(pair, verified):
    """The value of -append is a kernel command line, whatever it looks like."""
    def test():
        require_kvm()
        kernel = script('x' * 65536)
        with Emulator([128], '-kernel', kernel, '-append', '-x-libvirt-gmem', pair=pair) as qemu:
            qmp = qemu.connect()
            with open('/proc/%d/maps' % qemu.pid) as file:
                maps = file.read()
            require(('[kvm-gmem]' in maps) == verified, maps)
            qmp('cont')
            if verified:
                qemu.wait_said('verified')
            else:
                require_not_in('qemu-gmem', qemu.said())
            require(qmp('query-status')['running'])
    return test


def served_behind(emulator):
    def test():
        require_kvm()
        with Emulator([128], emulator=emulator(), pair=['-x-libvirt-gmem', GOOD + SEAL]) as qemu:
            qmp = qemu.connect()
            qmp('cont')
            qemu.wait_said('verified')
            require(qemu.said().count('armed') == 1, qemu.said())
    return test


def refused_behind(emulator, *words):
    def test():
        said = stopped('-x-libvirt-gmem: invalid option', *words, emulator=emulator())
        require_not_in('armed', said)
    return test


def preload_missing():
    said = stopped('-x-libvirt-gmem: invalid option', 'cannot be preloaded',
                   preload=('/nonexistent/qemu-gmem.so',))
    require_not_in('armed', said)


def preload_none():
    stopped('-x-libvirt-gmem: invalid option', preload=())


def in_front(function):
    """Another preloaded library takes QEMU's calls of one function, and makes the system call
    itself."""
    def test():
        said = stopped("qemu-gmem: QEMU's calls do not all arrive at the shim: calls of %s() do not "
                       "arrive at it, but at '%s'" % (function, FRONT), preload=(FRONT, SHIM),
                       variables={'GMEM_TEST_FRONT': function})
        require_not_in('armed', said)
        require(said.count('\n') == 1, 'one line:', said)
    return test


def served_with(find):
    """Other libraries that stand in front, and pass calls on."""
    def test():
        require_kvm()
        with Emulator([128], preload=(find(), SHIM),
                      variables={'ASAN_OPTIONS': 'detect_leaks=0'}) as qemu:
            qmp = qemu.connect()
            with open('/proc/%d/maps' % qemu.pid) as file:
                require_in(os.path.basename(os.path.realpath(find())), file.read())
            qmp('cont')
            qemu.wait_said('verified')
    return test


def library(pattern):
    def find():
        found = sorted(glob.glob('/usr/lib/x86_64-linux-gnu/' + pattern))
        if not found:
            raise Skip('no ' + pattern)
        return found[-1]
    return find


tests = [
    ('the fault injector without faults', no_faults),
    ('a kernel before guest_memfd',
     kernel_refuses('create=%d,cap=0' % errno.ENOTTY, 'Inappropriate ioctl for device',
                    'KVM has no guest_memfd (KVM_CAP_GUEST_MEMFD): Linux 6.18 or later')),
    ('a kernel whose guest_memfd cannot be mapped',
     kernel_refuses('create=%d,flags=0' % errno.EINVAL, 'Invalid argument',
                    'cannot be mapped (GUEST_MEMFD_FLAG_MMAP)')),
    ('a kernel whose guest_memfd cannot be shared',
     kernel_refuses('create=%d,flags=1' % errno.EINVAL, 'Invalid argument',
                    'cannot be shared from the start (GUEST_MEMFD_FLAG_INIT_SHARED)')),
    ('no memory', kernel_refuses('create=%d' % errno.ENOMEM, 'Cannot allocate memory',
                                 'KVM offers all that is needed')),
    ('no descriptors', kernel_refuses('create=%d' % errno.EMFILE, 'Too many open files')),
    ('the second backend fails', second_backend_fails),
    ('a hot-plugged backend fails', hot_plug_fails),
    ('no KVM', no_kvm),
    ('hugepages', hugepages),
    ('a private mapping', private_mapping),
    ('a second, ordinary backend is the RAM', ordinary_memory),
    ('fewer backends than configured',
     wrong_totals([64, 64, 64], "the domain's RAM is 3 memory backends of 201326592 bytes in all, "
                  'but QEMU made 2 guest_memfds of 134217728 bytes')),
    ('more RAM than configured',
     wrong_totals([64, 32], "the domain's RAM is 2 memory backends of 100663296 bytes")),
    ('less RAM than configured',
     wrong_totals([64, 128], "the domain's RAM is 2 memory backends of 201326592 bytes")),
]
for name, value, word in [
        ('the carrier of the XML', CARRIER, "is what the domain's XML carries"),
        ('garbage', 'garbage', "no version in 'garbage'"),
        ('an empty value', '', "no version in ''"),
        ('another version', GOOD.replace('version=1', 'version=2'), 'this shim knows version 1'),
        ('convertible mode', GOOD.replace('fully-shared', 'convertible'),
         'no start=shared or start=private, or no list of memory backends that make 1 of'),
        ('no list of options', GOOD + ',argv=', 'no list of numbers of 16 digits after argv='),
        ('short numbers of options', GOOD + ',argv=12', 'no list of numbers of 16 digits after argv='),
        ('options that are others', GOOD + ',argv=' + '0' * 16,
         "'-object memory-backend-memfd,id=ram0,share=on,size=128M' is not what libvirt-gmem gave"),
        ('options that are missing', GOOD + SEAL + ':' + '0' * 16,
         'of 3 options that make memory, which libvirt-gmem gave to the emulator, a wrapper has left '
         'only 2'),
        ('an unknown key', GOOD + ',numa=1', "',numa=1' is left over"),
        ('keys in another order', 'mode=fully-shared,version=1,backends=1,ram=134217728',
         'no version')]:
    tests.append(('configuration: ' + name, pair_refused(['-x-libvirt-gmem', value], word)))
for name in ('ioctl', 'memfd_create', 'ftruncate64', 'fcntl64', 'mmap64', 'madvise', 'mbind'):
    tests.append(('a preload in front makes system calls by itself: ' + name, in_front(name)))
for name, where in [('a tracer', lambda: FRONT), ('libasan', library('libasan.so.*')),
                    ('jemalloc', library('libjemalloc.so.*'))]:
    tests.append(('a preload in front passes calls on: ' + name, served_with(where)))
tests += [
    ('configuration: the same pair twice', pair_refused(['-x-libvirt-gmem', GOOD] * 2,
                                                        'it is given 2 times')),
    ('configuration: another pair, two dashes',
     pair_refused(['-x-libvirt-gmem', GOOD, '--x-libvirt-gmem', CARRIER], 'it is given 2 times')),
    ('configuration: the value is missing', lambda: (
        stopped("no version in '-m'", pair=['-x-libvirt-gmem']))),
    ('configuration: the option is last', lambda: (
        stopped('it has no value', pair=[], options=('-x-libvirt-gmem',)))),
    ('-append -x-libvirt-gmem alone', option_as_value([], False)),
    ('-append -x-libvirt-gmem beside the pair', option_as_value(['-x-libvirt-gmem', GOOD], True)),
    ('a bash wrapper that executes QEMU',
     served_behind(lambda: script('exec %s "$@"\n' % QEMU))),
    ('a bash wrapper around a sh wrapper', served_behind(
        lambda: script('exec %s -name wrapped "$@"\n'
                       % script('exec %s "$@"\n' % QEMU, '/bin/sh')))),
    ('a python wrapper', served_behind(
        lambda: script('import os, sys\nos.execv("%s", sys.argv)\n' % QEMU, '/usr/bin/python3'))),
    ('a compiled wrapper', served_behind(lambda: WRAPPER)),
    ('a wrapper that runs QEMU through env', served_behind(
        lambda: script('exec /usr/bin/env GMEM=1 %s "$@"\n' % QEMU))),
    ('a wrapper that clears the environment',
     refused_behind(lambda: script('exec /usr/bin/env -i %s "$@"\n' % QEMU))),
    ('a wrapper that clears LD_PRELOAD',
     refused_behind(lambda: script('LD_PRELOAD= exec %s "$@"\n' % QEMU))),
    ('a compiled wrapper behind env -u', refused_behind(
        lambda: script('exec /usr/bin/env -u LD_PRELOAD %s "$@"\n' % WRAPPER), 'wrapper:')),
    ('a wrapper that preloads something else', refused_behind(
        lambda: script('LD_PRELOAD=%s exec %s "$@"\n' % (FAULTS, QEMU)), 'faults: loaded')),
    ('the shim is missing', preload_missing),
    ('no preload', preload_none),
]
try:
    main(tests)
finally:
    shutil.rmtree(SCRIPTS)
