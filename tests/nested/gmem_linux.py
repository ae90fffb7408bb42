# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_linux.py: a domain that boots Linux, for tests: a distribution's kernel, and a root in memory.

The kernel is Debian's for clouds (fetch-linux; GMEM_LINUX is its path, and its modules are beside it). User space
is busybox and a test's own script, in an initramfs that is written here."""

import glob
import os
import stat
import xml.etree.ElementTree as ET

from gmem_rig import KIB, Skip, domain

KERNEL = os.environ.get('GMEM_LINUX', '')
VERSION = os.path.dirname(KERNEL).rpartition('linux-image-')[2]
BUSYBOX = '/bin/busybox'
OVMF = os.environ.get('GMEM_OVMF', '/usr/share/OVMF')
VIRTIO = ('virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci')
# The kernel passes options that it does not know to the first process as its environment.
COMMAND_LINE = 'console=ttyS0 loglevel=4 panic=-1 mitigations=off tsc=reliable no_timer_check'

# The beginning of each script: all of busybox's programs, and a large part of memory in /tmp.
BEGIN = '''#!/bin/busybox sh
exec </dev/console >/dev/console 2>&1
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=90% tmpfs /tmp
'''


def need_linux():
    for path in (KERNEL, BUSYBOX):
        if not os.path.exists(path):
            raise Skip('no %s here' % (path or 'kernel for the guest'))


def content(path):
    with open(path, 'rb') as file:
        return file.read()


def initramfs(path, script, modules, programs=()):
    """A cpio archive of the "newc" kind, without the program cpio. @modules: in the order of their dependencies;
    some may be built into the kernel. @programs: files for /bin."""
    entries = [(name, stat.S_IFDIR | 0o755, b'', 0)
               for name in ('bin', 'dev', 'proc', 'sys', 'tmp', 'modules')]
    for number, name in enumerate(modules):
        for module in glob.glob(os.path.join(os.path.dirname(KERNEL), 'drivers', name + '.ko')):
            entries.append(('modules/%d' % number, stat.S_IFREG | 0o644, content(module), 0))
    entries += [('bin/' + os.path.basename(name), stat.S_IFREG | 0o755, content(name), 0)
                for name in (BUSYBOX, *programs)]
    entries += [('init', stat.S_IFREG | 0o755, script.encode(), 0),
                ('dev/console', stat.S_IFCHR | 0o600, b'', os.makedev(5, 1)),
                ('dev/urandom', stat.S_IFCHR | 0o666, b'', os.makedev(1, 9)),
                ('TRAILER!!!', 0, b'', 0)]
    with open(path, 'wb') as file:
        for number, (name, mode, data, device) in enumerate(entries, 1):
            head = '070701' + ''.join('%08x' % field for field in (
                number, mode, 0, 0, 1, 0, len(data), 0, 0, os.major(device), os.minor(device),
                len(name) + 1, 0))
            for part in (head.encode() + name.encode() + b'\0', data):
                file.write(part + b'\0' * (-len(part) % 4))


def linux(rig, name, cells, firmware='seabios', devices='', environment='', **options):
    """Domain XML that boots it from /run/initramfs of the rig, with its serial port on a socket. Returns the XML
    and the socket. @cells: MiB."""
    serial = '/run/%s.serial' % name
    root = ET.fromstring(domain(
        name, cells=[size * KIB for size in cells], vcpus=2,
        devices="<serial type='unix'><source mode='bind' path='%s'/></serial>" % serial + devices,
        **options))
    system = root.find('os')
    system.remove(system.find('boot'))
    if firmware == 'ovmf':
        loader = ET.SubElement(system, 'loader', readonly='yes', type='pflash')
        loader.text = OVMF + '/OVMF_CODE_4M.fd'
        ET.SubElement(system, 'nvram', template=OVMF + '/OVMF_VARS_4M.fd').text = '/run/nvram.fd'
    for tag, text in (('kernel', KERNEL), ('initrd', '/run/initramfs'),
                      ('cmdline', ' '.join([COMMAND_LINE, environment]).strip())):
        ET.SubElement(system, tag).text = text
    return ET.tostring(root, encoding='unicode'), rig.outer(serial)
