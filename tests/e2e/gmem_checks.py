# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_checks.py: checks that several end-to-end tests share: of dumped XML, native text, a guest's serial port."""

import re
import shlex
import xml.etree.ElementTree as ET

import gmem_evidence
from gmem_rig import PATIENCE, SHIM, Failure, wait_for

OPTION = '-x-libvirt-gmem'


def canonical(xml):
    """XML without regard to white space between elements and the order of attributes."""
    return ET.canonicalize(xml, strip_text=True)


def without_private(xml):
    """The XML with <private/> taken out, and with it a <memoryBacking> that has no other children."""
    root = ET.fromstring(xml)
    backing = root.find('memoryBacking')
    if backing is not None:
        for element in backing.findall('private'):
            backing.remove(element)
        if len(backing) == 0:
            root.remove(backing)
    return canonical(ET.tostring(root, encoding='unicode'))


def shows_private(check, xml, what='dumpxml', carriers=0):
    """The XML has <private/> where the user wrote it, and does not show the carrier.

    @carriers: how many arguments of the user's own look like the carrier's option."""
    root = ET.fromstring(xml)
    check.equal(len(root.findall('memoryBacking/private')), 1, 'number of <private/> in ' + what)
    private = root.find('memoryBacking/private')
    check.equal((private.attrib, len(private), private.text), ({}, 0, None), '<private/> in ' + what)
    check.equal(xml.count("value='%s'" % OPTION), carriers, 'arguments like the carrier in ' + what)
    check.lacks(xml, 'fully-shared', what)
    check.lacks(xml, 'convertible', what)
    if not carriers:
        check.lacks(xml, 'qemu:', what)


def split_native(text):
    """(environment, argv) from the answer of domxml-to-native."""
    words = shlex.split(text)
    environment = {}
    while words and re.match(r'[A-Za-z_][A-Za-z0-9_]*=', words[0]):
        name, _, value = words.pop(0).partition('=')
        environment[name] = value
    return environment, words


def carrier_values(argv):
    """The values of the carrier option in argv, which may hold the option's text elsewhere too."""
    return [argv[i + 1] for i, word in enumerate(argv[:-1])
            if word == OPTION and (i == 0 or argv[i - 1] not in ('-append', '-name'))]


def shim_config(sizes):
    return 'version=1,mode=fully-shared,backends=%d,ram=%d' % (len(sizes), sum(sizes))


def native_is_private(check, text, sizes):
    """The native command line is the one that QEMU would get; @sizes: of the RAM backends in bytes."""
    environment, argv = split_native(text)
    preload = environment.get('LD_PRELOAD', '').split(':')
    check.equal(preload, [SHIM], 'LD_PRELOAD in the native text')
    check.equal([each.partition(',argv=')[0] for each in carrier_values(argv)], [shim_config(sizes)],
                'the pair in the native text')
    check.lacks(text, 'libvirt-gmem.so', 'the native text')


class Guest:
    """The payload in a running domain, observed through its serial port (outer path)."""

    def __init__(self, sandbox, serial):
        self.sandbox = sandbox
        self.serial = serial

    @property
    def text(self):
        return self.sandbox.read(self.serial)

    def passes(self):
        return [(int(k), int(n)) for k, n in
                re.findall(r'^gmem-guest: pass (\d+) ok (\d+) pages\r?$', self.text, re.M)]

    def complaints(self):
        return re.findall(r'^gmem-guest: (?:pass \d+ BAD|stopped).*', self.text, re.M)

    def wait_pass(self, after=0):
        """Waits for a pass later than number @after; returns (number, pages)."""
        def later():
            if self.complaints():
                raise Failure('the guest complains:\n' + self.text)
            return [p for p in self.passes() if p[0] > after]
        try:
            # The guest touches each page, and there may be a million of them.
            return wait_for(later, 'pass %d of the guest' % (after + 1), 5 * PATIENCE)[-1]
        except Failure as failure:
            raise Failure('%s\n%s' % (failure, self.text)) from None


def _samples(start, end):
    """Page addresses spread over a range, including both ends."""
    pages = (end - start) // gmem_evidence.PAGE
    count = min(pages, 512)
    return sorted({start + pages * i // count * gmem_evidence.PAGE for i in range(count)} |
                  {end - gmem_evidence.PAGE})


def evidence(check, emulator, sizes, serial):
    """The domain's RAM is guest_memfd and nothing else, judged from outside QEMU.

    @sizes: of the RAM backends, in bytes and in their order; @serial: what the guest has written on
    its serial port, with at least one whole pass in it."""
    pid = emulator.pid
    with gmem_evidence.backends(pid) as found:
        check.equal([b.size for b in found], list(sizes), "sizes of QEMU's RAM backends")
        check.equal(len({(b.dev, b.inode) for b in found}), len(sizes), 'different files')
        for backend in found:
            check.true(backend.fd is not None, '%s has no guest_memfd' % backend.id)
            check.has(backend.link, '[kvm-gmem]', 'link of the descriptor of ' + backend.id)
            check.true(backend.mapping is not None, '%s is not mapped whole' % backend.id)
        check.equal(len(gmem_evidence.guest_memfds(pid)), len(sizes), "number of QEMU's guest_memfds")
        check.equal(gmem_evidence.large_foreign_mappings(pid, found), [],
                    'other writable mappings as large as a backend')
        ranges = gmem_evidence.serial_ranges(serial)
        touched = set()
        for start, end, kind in ranges:
            if kind == 'reserved' or start < 0x100000:
                continue
            for address in _samples(start, end):
                backend, offset = gmem_evidence.locate(found, ranges, address)
                named = backend.guest_address(offset)
                check.equal(named, address, 'guest address on the page at %#x of %s'
                            % (offset, backend.id))
                touched.add(backend.id)
        check.equal(touched, {b.id for b in found}, 'backends with the pattern')
        for backend in found:
            # All but what the BIOS reserves, and the guest's first MiB.
            missing = backend.size // gmem_evidence.PAGE - backend.resident()
            check.true(missing <= 512, '%d pages of %s are not resident' % (missing, backend.id))


def no_evidence(check, emulator):
    """The opposite: a domain on ordinary memory, to show that evidence() can fail."""
    check.equal(gmem_evidence.guest_memfds(emulator.pid), [], 'guest_memfds of an ordinary domain')
