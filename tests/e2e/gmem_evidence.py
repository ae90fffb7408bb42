# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_evidence.py: determines what a running QEMU's guest RAM really is, without asking QEMU.

QEMU could say anything about itself, so nothing here talks to it. Its command line says what was
asked for (/proc/PID/cmdline), its descriptors what it got (/proc/PID/fd), its address space what
it uses (/proc/PID/maps), and a duplicate of a descriptor, taken with pidfd_getfd(2), what is in it.
This requires the right to ptrace QEMU, which usually means root.

    with evidence.backends(pid) as found:            # or .close() at the end
        for backend in found:
            print(backend.id, backend.size, backend.fd, backend.link, backend.resident())
            print(backend.read(0x200000, 16))
    evidence.large_foreign_mappings(pid)             # must be empty

Backends are the machine's RAM in the order of guest addresses: the one that -machine names, the cells
by number, the DIMMs. They are matched to descriptors by size. Among those of the same size they are
matched by the pattern of tests/guest, if the guest has written it (backend.matched is 'pattern'),
otherwise by the numbers of the descriptors, which QEMU allocates in the order of its -object arguments
('order').
"""

import collections
import ctypes
import json
import mmap
import os
import re

PAGE = 4096
GIB4 = 1 << 32
LINK = '[kvm-gmem]'     # 'anon_inode:[kvm-gmem]' (Linux 6.18), '/[kvm-gmem] (deleted)' (7.2)
MAGIC = b'GMEMPAGE'

SYS_PIDFD_GETFD = 438

# Options of QEMU that take no value, as far as libvirt or a test writes them.
NO_VALUE = frozenset('''
    S s daemonize enable-fips enable-kvm enable-sync-profile h help full-screen mem-prealloc
    no-acpi no-fd-bootchk no-hpet no-quit no-reboot no-shutdown no-user-config nodefaults nographic
    nouserconfig old-param only-migratable preconfig semihosting singlestep snapshot usb version
    win2k-hack xen-attach xen-domid-restrict
'''.split())

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

Mapping = collections.namedtuple('Mapping', 'start end perms offset dev inode path')
Mapping.size = property(lambda self: self.end - self.start)
GuestMemfd = collections.namedtuple('GuestMemfd', 'fd link dev inode size')


class EvidenceError(Exception):
    """Something could not be determined; this is not evidence against guest_memfd."""


# ---------------------------------------------------------------------------------------------
# The command line


def command_line(pid):
    with open('/proc/%d/cmdline' % pid, 'rb') as f:
        return f.read().decode(errors='surrogateescape').split('\0')[:-1]


def options(argv):
    """Yields (name, value) as QEMU reads them: a value is never read as an option."""
    i = 1
    while i < len(argv):
        word = argv[i]
        i += 1
        if not word.startswith('-') or word == '-':
            continue
        name = word[2:] if word.startswith('--') else word[1:]
        if name in NO_VALUE or i == len(argv):
            yield name, None
        else:
            yield name, argv[i]
            i += 1


def properties(value, implied):
    """The value of an option, JSON or key=value, as a dictionary; nested JSON stays nested.

    Of QEMU's single-quoted strings, only those that do not contain either quote are supported."""
    if value.startswith('{'):
        return json.loads(value.replace("'", '"') if value.startswith("{'") else value)
    result = {}
    for part in value.replace(',,', '\0').split(','):
        key, equals, text = part.replace('\0', ',').partition('=')
        if equals:
            result[key] = text
        elif not result:
            result[implied] = key
        else:
            result[key] = 'on'
    return result


def size_in_bytes(value):
    if isinstance(value, int):
        return value
    match = re.fullmatch(r'(\d+)([bBkKmMgGtT]?)', value)
    if not match:
        raise EvidenceError('%r is not a size' % value)
    return int(match[1]) << {'': 0, 'b': 0, 'k': 10, 'm': 20, 'g': 30, 't': 40}[match[2].lower()]


def ram_objects(argv):
    """[(id, type, size)] of the memory backends that are the machine's RAM, by guest address."""
    objects, machine, cells, dimms = {}, [], [], []
    for name, value in options(argv):
        if value is None:
            continue
        if name == 'object':
            p = properties(value, 'qom-type')
            if p.get('qom-type', '').startswith('memory-backend-'):
                objects[p['id']] = (p['id'], p['qom-type'], size_in_bytes(p['size']))
        elif name in ('machine', 'M'):
            p = properties(value, 'type')
            if 'memory-backend' in p:
                machine = [p['memory-backend']]
        elif name == 'numa':
            p = properties(value, 'type')
            if p.get('type') == 'node' and 'memdev' in p:
                cells.append((int(p.get('nodeid', len(cells))), p['memdev']))
        elif name == 'device':
            p = properties(value, 'driver')
            if p.get('driver') == 'pc-dimm':
                # Modules without an address follow the previous one.
                address = int(str(p['addr']), 0) if p.get('addr') else 0
                dimms.append((address, len(dimms), p['memdev']))
    names = machine + [memdev for _, memdev in sorted(cells)] + [d[2] for d in sorted(dimms)]
    return [objects[name] for name in names]


# ---------------------------------------------------------------------------------------------
# Descriptors and mappings


def duplicate(pid, fd):
    """A duplicate, in this process, of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
        if copy < 0:
            error = ctypes.get_errno()
            raise EvidenceError('pidfd_getfd(%d, %d): %s' % (pid, fd, os.strerror(error)))
        return copy
    finally:
        os.close(pidfd)


def guest_memfds(pid):
    """Every guest_memfd that the process holds, each once, by descriptor number."""
    found = {}
    for fd in sorted(int(name) for name in os.listdir('/proc/%d/fd' % pid)):
        try:
            link = os.readlink('/proc/%d/fd/%d' % (pid, fd))
        except FileNotFoundError:
            continue
        if LINK not in link:
            continue
        copy = duplicate(pid, fd)
        try:
            status = os.fstat(copy)
        finally:
            os.close(copy)
        found.setdefault((status.st_dev, status.st_ino),
                         GuestMemfd(fd, link, status.st_dev, status.st_ino, status.st_size))
    return list(found.values())


def mappings(pid):
    result = []
    with open('/proc/%d/maps' % pid) as f:
        for line in f:
            fields = line.rstrip('\n').split(None, 5)
            start, end = (int(x, 16) for x in fields[0].split('-'))
            major, minor = (int(x, 16) for x in fields[3].split(':'))
            result.append(Mapping(start, end, fields[1], int(fields[2], 16),
                                  os.makedev(major, minor), int(fields[4]),
                                  fields[5] if len(fields) > 5 else ''))
    return result


class Backend:
    """One RAM backend. fd, link, dev, inode are None if it has no guest_memfd.

    id, type, size (bytes), pid; matched: how its descriptor was found: 'size', 'pattern', 'order';
    mapping: QEMU's mapping of the whole of it, or None.
    """

    def __init__(self, pid, name, kind, size):
        self.pid, self.id, self.type, self.size = pid, name, kind, size
        self.fd = self.link = self.dev = self.inode = self.mapping = self.matched = None
        self._copy = self._address = None

    def __repr__(self):
        return '<Backend %s: %d bytes, descriptor %s>' % (self.id, self.size, self.fd)

    def _attach(self, memfd, how, maps):
        self.fd, self.link, self.dev, self.inode = memfd.fd, memfd.link, memfd.dev, memfd.inode
        self.matched = how
        self.mapping = next((m for m in maps if (m.dev, m.inode) == (self.dev, self.inode) and
                             m.size == self.size and m.offset == 0 and 'w' in m.perms), None)

    def _map(self):
        if self.fd is None:
            raise EvidenceError('%s has no guest_memfd' % self.id)
        if self._address is None:
            self._copy = duplicate(self.pid, self.fd)
            self._address = _libc.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED, self._copy,
                                       0)
            if self._address in (None, ctypes.c_void_p(-1).value):
                self._address = None
                raise EvidenceError('mapping %s: %s' % (self.id, os.strerror(ctypes.get_errno())))
        return self._address

    def _residency(self, offset, size):
        vector = ctypes.create_string_buffer((size + PAGE - 1) // PAGE)
        if _libc.mincore(self._map() + offset, size, vector) < 0:
            raise EvidenceError('mincore of %s: %s' % (self.id, os.strerror(ctypes.get_errno())))
        return vector.raw

    def resident(self):
        """The number of its 4 KiB pages that are in memory (mincore(2) on a mapping of a
        duplicate)."""
        return sum(byte & 1 for byte in self._residency(0, self.size))

    def is_resident(self, offset):
        return bool(self._residency(offset & -PAGE, PAGE)[0] & 1)

    def read(self, offset, count):
        """Reads bytes through a duplicate; a page that does not exist yet is allocated by this
        (zeros)."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise EvidenceError('%s ends at %#x' % (self.id, self.size))
        return ctypes.string_at(self._map() + offset, count)

    def guest_address(self, offset):
        """The guest address in the guest's pattern on that page, or None if the pattern is not
        complete."""
        offset &= -PAGE
        if not self.is_resident(offset):
            return None
        page = self.read(offset, PAGE)
        address = int.from_bytes(page[8:16], 'little')
        inverted = int.from_bytes(page[4088:], 'little')
        return address if page[:8] == MAGIC and inverted == address ^ (1 << 64) - 1 else None

    def close(self):
        if self._address is not None:
            _libc.munmap(self._address, self.size)
        if self._copy is not None:
            os.close(self._copy)
        self._address = self._copy = None


class Backends(list):
    """A list that closes its members."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for backend in self:
            backend.close()


def _first_pattern(backend):
    # The guest's own pages are below 1 MiB; the BIOS reserves the last pages below 4 GiB.
    for offset in (0, 1 << 20, backend.size // 2 & -PAGE):
        address = backend.guest_address(offset) if offset < backend.size else None
        if address is not None:
            return address - offset
    return None


def _match(group, memfds, maps):
    if len(group) == 1 and len(memfds) == 1:
        group[0]._attach(memfds[0], 'size', maps)
        return
    bases = []
    for backend, memfd in zip(group, memfds):
        backend._attach(memfd, 'order', maps)
        bases.append(_first_pattern(backend))
        backend.close()
    if len(memfds) != len(group) or None in bases or len(set(bases)) != len(bases):
        return
    for backend, (_, memfd) in zip(group, sorted(zip(bases, memfds))):
        backend._attach(memfd, 'pattern', maps)


def backends(pid):
    """The RAM backends of a QEMU, by guest address; see Backend."""
    found = Backends(Backend(pid, *each) for each in ram_objects(command_line(pid)))
    memfds, maps = guest_memfds(pid), mappings(pid)
    for size in sorted({backend.size for backend in found}):
        _match([b for b in found if b.size == size], [m for m in memfds if m.size == size], maps)
    return found


def _resident(pid, mapping):
    """The number of resident bytes of the mapping, according to smaps; 0 if it no longer exists."""
    head = '%08x-%08x ' % (mapping.start, mapping.end)
    with open('/proc/%d/smaps' % pid) as f:
        for line in f:
            if line.startswith(head):
                return 1024 * next(int(line.split()[1]) for line in f if line.startswith('Rss:'))
    return 0


def large_foreign_mappings(pid, found=None):
    """Writable mappings of QEMU, other than of a backend's guest_memfd, as large as the smallest
    backend: where guest RAM could be kept instead.

    Since glibc 2.42 the stacks of all threads, 8 MiB each and hardly used, form one mapping. So only
    resident bytes of anonymous memory count, which is enough because the guest has written all of its
    RAM.
    """
    found = backends(pid) if found is None else found
    smallest = min(backend.size for backend in found)
    own = {(backend.dev, backend.inode) for backend in found if backend.fd is not None}
    return [m for m in mappings(pid)
            if 'w' in m.perms and m.size >= smallest and (m.dev, m.inode) not in own and
            (m.path or 's' in m.perms or _resident(pid, m) >= smallest // 2)]


# ---------------------------------------------------------------------------------------------
# What tests/guest wrote


def serial_ranges(text):
    """[(start, end, kind)] of the last boot from what the guest wrote on its serial port; kind is
    'usable', 'reserved' or 'dimm'."""
    lines = re.findall(r'gmem-guest: (?:e820 (\w+) (\w+) (usable|reserved)|(dimm) (\w+) (\w+))'
                       r'\r?\n', text)
    ranges = []
    for start, end, kind, dimm, dimm_start, dimm_end in lines:
        entry = (int(start or dimm_start, 16), int(end or dimm_end, 16), kind or dimm)
        if entry[0] == 0:
            ranges = []
        ranges.append(entry)
    return ranges


def end_of_low_ram(ranges):
    """Where RAM below 4 GiB ends: what is usable from 1 MiB up, and what the BIOS reserves of it."""
    end = 1 << 20
    for start, stop, kind in sorted(ranges):
        if start == end and end < GIB4 and kind != 'dimm':
            end = stop
    return end


def locate(found, ranges, address):
    """(backend, offset) for a guest address: RAM fills the addresses up to end_of_low_ram() and
    continues at 4 GiB; DIMMs are where the guest found them."""
    low = end_of_low_ram(ranges)
    dimms = sorted(r for r in ranges if r[2] == 'dimm')
    inner = found[:len(found) - len(dimms)]
    for backend, (start, end, _) in zip(found[len(inner):], dimms):
        if start <= address < end:
            return backend, address - start
    if low <= address < GIB4:
        raise EvidenceError('%#x is no RAM' % address)
    offset = address if address < low else address - GIB4 + low
    for backend in inner:
        if offset < backend.size:
            return backend, offset
        offset -= backend.size
    raise EvidenceError('%#x is beyond all RAM' % address)
