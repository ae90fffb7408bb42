#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What qemu-gmem.so exports to the process that it is loaded into, and what it requires from
that."""

import os
import re
import subprocess

from gmem_shim_rig import QEMU, SHIM, Skip, main, require

EXPORTS = ['__libc_start_main', 'fcntl', 'fcntl64', 'ftruncate', 'ftruncate64', 'ioctl',
           'madvise', 'mbind', 'memfd_create', 'mmap', 'mmap64']


def tool(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def nm(*options):
    return [line.split()[-1] for line in tool('nm', '-D', *options).splitlines()]


def exports():
    found = sorted(nm('--defined-only', SHIM))
    require(found == EXPORTS, 'exported:', found)


def no_versions():
    """A definition with a version of its own would not replace libc's."""
    out = tool('readelf', '-VW', SHIM)
    require('Version definition' not in out, out)


def needed():
    out = tool('readelf', '-dW', SHIM)
    libraries = re.findall(r'\(NEEDED\).*\[(.*)\]', out)
    require(libraries == ['libc.so.6'], 'needs', libraries)


def imports_plain():
    """It does not import from GLib or libvirt, and its own calls go through the table, never to its
    own functions."""
    names = [name.split('@')[0] for name in nm('--undefined-only', SHIM)]
    foreign = [name for name in names if re.match(r'g_|vir|xml|yajl|json', name)]
    require(not foreign, 'imports', foreign)
    own = sorted(set(names) & set(EXPORTS))
    require(not own, 'calls its own', own)


def glibc_of(path):
    return max(tuple(map(int, version.split('.'))) for name in nm('--undefined-only', path)
               for version in re.findall(r'@GLIBC_([\d.]+)$', name))


def old_glibc():
    """It must load with the C library that the QEMU of the same distribution was built with."""
    if not os.access(QEMU, os.R_OK):
        raise Skip('no %s' % QEMU)
    require(glibc_of(SHIM) <= glibc_of(QEMU), 'wants glibc', glibc_of(SHIM), 'QEMU', glibc_of(QEMU))


def covers_qemu():
    """QEMU calls the functions that the shim stands in front of by these names, and by no
    others."""
    if not os.access(QEMU, os.R_OK):
        raise Skip('no %s' % QEMU)
    names = {name.split('@')[0] for name in nm('--undefined-only', QEMU)}
    pattern = re.compile(r'__libc_start_main|_*(ioctl|memfd_create|ftruncate|fcntl)(64)?(_\w+)?')
    wanted = {name for name in names if pattern.fullmatch(name)}
    require(wanted and wanted <= set(EXPORTS), 'QEMU imports', sorted(wanted))


main([
    ('exports exactly the functions it stands in front of', exports),
    ('defines no symbol versions', no_versions),
    ('needs only the C library', needed),
    ('imports neither glib nor libvirt nor itself', imports_plain),
    ('wants no newer glibc than QEMU does', old_glibc),
    ('stands in front of all names that QEMU uses', covers_qemu),
])
