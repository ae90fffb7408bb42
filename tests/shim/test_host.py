#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shim in a small program that it takes for QEMU: what real ones never do, or do too rarely."""

from gmem_shim_rig import (ACTOR, ACTOR_NO_PLT, FAULTS, SHIM, WRAPPER, config, environment, main, require,
                           require_in, require_kvm, require_not_in, run)

PAIR = ['-x-libvirt-gmem', config([2])]


def act(scene, pair=None, preload=(SHIM,), **more):
    return run([ACTOR, *(PAIR if pair is None else pair), '-name', scene],
               environment(preload, **more))


def argv_taken():
    status, out, err = run([ACTOR, '-S', *PAIR, '-name', 'argv'])
    require(status == 0, status, out, err)
    require_in('argv %s -S -name argv\n' % ACTOR, out)
    require_in('argc 4 terminated 1\n', out)
    require_in('environment follows 1 is passed 1\n', out)
    require_in('page size 4096\n', out)
    require_in('preload (none)\n', out)
    require_in('qemu-gmem: armed: mode fully-shared, 1 memory backends, 2097152 bytes', err)


def no_plt():
    """An emulator that is built with -fno-plt calls the shim, too."""
    status, out, err = run([ACTOR_NO_PLT, '-S', *PAIR, '-name', 'argv'])
    require(status == 0, status, out, err)
    require_in('qemu-gmem: armed: mode fully-shared, 1 memory backends, 2097152 bytes', err)


def not_imported(function):
    """The shim does not see what an emulator does by system call numbers."""
    def test():
        status, out, err = run(['%s-no-%s' % (ACTOR, function), '-S', *PAIR, '-name', 'argv'])
        require(status == 1, status, out, err)
        require(out == '', out)
        require_in("QEMU's calls do not all arrive at the shim: the emulator does not import %s() from the C "
                   'library' % function, err)
    return test


def others_stay():
    status, out, err = act('argv', preload=(FAULTS, SHIM))
    require(status == 0, status, out, err)
    require_in('preload %s\n' % FAULTS, out)
    status, out, err = act('argv', LD_PRELOAD='%s %s' % (SHIM, FAULTS))
    require_in('preload %s\n' % FAULTS, out)


def inert_without_pair():
    status, out, err = run([ACTOR, '-S', '-append', '-x-libvirt-gmem'])
    require(status == 0, status, out, err)
    require_in('argv %s -S -append -x-libvirt-gmem\n' % ACTOR, out)
    require_in('environment follows 1 is passed 1\n', out)
    require_in('preload %s\n' % SHIM, out)
    require(err == '', err)


def inert_backend():
    require_kvm()
    status, out, err = act('backend', pair=[])
    require(status == 0, status, out, err)
    require(out.count('backend memfd') == 2, out)


def untouched_in_wrapper():
    """A compiled wrapper that itself names memory backends and /dev/kvm is not a QEMU."""
    require_kvm()
    status, out, err = run([WRAPPER, '-device', 'memory-backend-memfd', *PAIR, '-name', 'argv'],
                           environment(GMEM_TEST_EMULATOR='/bin/echo'))
    require(status == 0, status, out, err)
    require_in(' '.join(PAIR), out)
    require_not_in('qemu-gmem', err)
    status, out, err = run([WRAPPER, *PAIR, '-name', 'argv'],
                           environment(GMEM_TEST_EMULATOR=ACTOR))
    require(status == 0, status, out, err)
    require_in('argv %s -name argv\n' % ACTOR, out)
    require_in('qemu-gmem: armed', err)


def errno_untouched():
    for pair in ([], PAIR):
        status, out, err = act('errno', pair=pair)
        require(status == 0, status, out, err)
        require_in('ftruncate 0 ftruncate64 0 fcntl 1 fcntl64 0 ioctl 0 memfd_create 1 '
                   'errno 4242\n', out)
        require_in('size 8192 waiting 4\n', out)
        require_in('seal 0 then seals 4\n', out)
        require_in('bad: ok ok ok ok ok ok ok\n', out)


def early():
    """A library's constructor calls through the shim before the shim's own constructor has run."""
    status, out, err = act('errno', preload=(SHIM, FAULTS))
    require(status == 0, status, out, err)
    require_in('faults: loaded\n', err)
    require_in('errno 4242\n', out)


def backend():
    require_kvm()
    status, out, err = act('backend')
    require(status == 0, status, out, err)
    require(out.count('backend guest_memfd errno 4242 close-on-exec 1\n') == 2, out)


def second_vm():
    require_kvm()
    status, out, err = act('second-vm')
    require(status == 0, status, out, err)
    require_in('second VM -1 errno 1\n', out)
    require_in('QEMU asks for a second KVM VM', err)


def runs(scene):
    def test():
        require_kvm()
        status, out, err = act(scene)
        require(status == 0, status, out, err)
        require(out.count('ran: exit reason 5 (hlt)\n') == 2, out)
        words = 'qemu-gmem: verified: mode fully-shared, 1 memory backends, 2097152 bytes of RAM\n'
        require(err.count(words) == 1, err)
    return test


def refused(scene, reason, pair=None):
    def test():
        require_kvm()
        # If the shim does not interfere, the same program runs its guest.
        status, out, err = act(scene, pair=[])
        require(status == 0, status, out, err)
        require_in('ran: exit reason 5 (hlt)\n', out)
        status, out, err = act(scene, pair=pair)
        require(status == 1, status, out, err)
        require_not_in('ran:', out)
        require_in('qemu-gmem: refusing to run the guest: ' + reason, err)
        require_not_in('verified', err)
    return test


def threads():
    require_kvm()
    status, out, err = act('threads')
    require(status == 0, status, out, err)
    require(out == 'children 100\n', out)


main([
    ('the pair is taken out of argv, the shim out of LD_PRELOAD', argv_taken),
    ('an emulator without a table of procedures (PLT) calls it, too', no_plt),
    ('an emulator that does not import ioctl() does not start', not_imported('ioctl')),
    ('an emulator that does not import mmap() does not start', not_imported('mmap')),
    ('other preloaded libraries stay in LD_PRELOAD', others_stay),
    ('without the option it is inert, whatever values say', inert_without_pair),
    ('inert, it leaves backends alone', inert_backend),
    ('a compiled wrapper keeps pair and preload', untouched_in_wrapper),
    ('calls that are not its own keep results and errno', errno_untouched),
    ('works before its constructor ran', early),
    ('backends become guest_memfd by both spellings, errno kept', backend),
    ('a second VM is refused', second_vm),
    ('a guest runs on its backend', runs('run')),
    ('a guest runs on its backend, KVM_SET_USER_MEMORY_REGION2', runs('run-region2')),
    ('memory made by system call: no KVM_RUN',
     refused('run-syscall', "the domain's RAM is 1 memory backends of 2097152 bytes in all, but "
             'QEMU made 0 guest_memfds of 0 bytes')),
    ('anonymous memory: no KVM_RUN',
     refused('run-anonymous', "the domain's RAM is 1 memory backends")),
    ('too few backends: no KVM_RUN',
     refused('run', "the domain's RAM is 2 memory backends of 4194304 bytes in all, but QEMU made "
             '1 guest_memfds of 2097152 bytes', ['-x-libvirt-gmem', config([2, 2])])),
    ('other sizes: no KVM_RUN',
     refused('run', "the domain's RAM is 1 memory backends of 1048576 bytes in all, but QEMU made "
             '1 guest_memfds of 2097152 bytes', ['-x-libvirt-gmem', config([1])])),
    ('a backend that the guest does not get: no KVM_RUN',
     refused('run-unused', 'the guest_memfd of 2097152 bytes at descriptor')),
    ('a backend that is not where the guest runs: no KVM_RUN',
     refused('run-elsewhere', 'the RAM at guest address 0 is not guest_memfd')),
    ('threads make backends while others use files and fork', threads),
])
