# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_kernel.py: QEMU under restrictions of the kernel: a memory cgroup, and a refused guest_memfd."""

import contextlib
import os

from gmem_rig import PYTHON, QEMU, Skip, wait_for

# seccomp(2): ioctl(KVM_CREATE_GUEST_MEMFD) fails with this errno, and everything else is allowed. The
# offsets are those of struct seccomp_data: nr at 0, the low half of args[1] at 24.
NO_GUEST_MEMFD = '''#!%s
import ctypes, os, struct, sys
program = b''.join(struct.pack('HBBI', *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 3, 16), (0x20, 0, 0, 24), (0x15, 0, 1, 0xc040aed4),
    (0x06, 0, 0, 0x00050000 | %d), (0x06, 0, 0, 0x7fff0000)))
code = ctypes.create_string_buffer(program, len(program))
filter = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 6, ctypes.addressof(code)), 16)
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter, 0, 0):
    sys.exit('no seccomp')
os.execv(%r, [%r] + sys.argv[1:])
'''
# Memory cgroups of version 2 and version 1: where they are, and the files with the number of bytes that
# one is charged and with its limit.
CGROUPS = (('/sys/fs/cgroup', 'memory.current', 'memory.max'),
           ('/sys/fs/cgroup/memory', 'memory.usage_in_bytes', 'memory.limit_in_bytes'))


def no_guest_memfd(number):
    """A wrapper of QEMU for which creating a guest_memfd fails with that errno."""
    return NO_GUEST_MEMFD % (PYTHON, number, QEMU, QEMU)


@contextlib.contextmanager
def memory_cgroup(limit=None):
    """A memory cgroup with a limit of @limit bytes, and the file that contains what it is charged."""
    for top, usage, most in CGROUPS:
        path = os.path.join(top, 'gmem-test-%d' % os.getpid())
        try:
            os.mkdir(path)
        except OSError:
            continue
        try:
            if os.path.exists(os.path.join(path, usage)):
                if limit:
                    with open(os.path.join(path, most), 'w', encoding='ascii') as file:
                        file.write(str(limit))
                yield path, os.path.join(path, usage)
                return
        finally:
            def removed():
                with contextlib.suppress(OSError):
                    os.rmdir(path)
                return not os.path.exists(path)
            wait_for(removed, 'the cgroup to be empty')
    raise Skip('no memory cgroup can be made here')
