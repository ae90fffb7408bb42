#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domains as users and their tools write them, in three forms: plain, with <private/>, and with
<launchSecurity type='sw-protected'/>. userdomains/table.ini says what each form has to give.

Every form is defined, dumped and converted to native, and compared with stock libvirt's answers for the plain
form. What can start is started, with changes that suit any host: images are empty, networks are QEMU's own, and
sizes are small."""

import configparser
import glob
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import gmem_evidence
from gmem_checks import OPTION, carrier_values, split_native, without_private
from gmem_rig import (HERE, KIB, MIB, DaemonRig, LibvirtError, Skip, Suite, domain, kvm_extension,
                      library, libvirt_version, need_guest_memfd, need_root)

suite = Suite()

FILES = os.path.join(HERE, 'userdomains')
IMAGES = '/var/lib/libvirt/images'
LAUNCH = "<launchSecurity type='sw-protected'/>"
# The table has the error messages of libvirt 9.0. With another version, a domain with a device that its QEMU
# was built without, for example, may be refused, if stock libvirt refuses it with the same message.
SAME = libvirt_version() == (9, 0)
MODES = {'private': 'fully-shared', 'sw-protected': 'convertible'}
CELL = 64 * KIB  # KiB of each cell and module, or of all RAM, in domains that are started

UNDEFINE_NVRAM = 4

KVM_CAP_VM_TYPES = 235
KVM_X86_SW_PROTECTED_VM = 1

for prefix, uri in (('qemu', 'http://libvirt.org/schemas/domain/qemu/1.0'),
                    ('nova', 'http://openstack.org/xmlns/libvirt/nova/1.1')):
    ET.register_namespace(prefix, uri)


class Rigs:
    """A stock daemon and one with the library."""
    made = ()

    @classmethod
    def clients(cls):
        if not cls.made:
            cls.made = tuple((rig, rig.python()) for rig in (DaemonRig(), DaemonRig(library())))
            for rig, _ in cls.made:
                os.makedirs(rig.outer('/var/lib/libvirt/filesystems'), exist_ok=True)
                os.makedirs(rig.outer(IMAGES), exist_ok=True)
                subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2',
                                rig.outer('/var/lib/libvirt/empty.qcow2'), '1M'], check=True)
        return cls.made


def form_of(xml, form):
    """The plain domain with the element of @form."""
    if form == 'sw-protected':
        return xml.replace('</domain>', '  %s\n</domain>' % LAUNCH)
    if '<memoryBacking>' in xml:
        return xml.replace('<memoryBacking>', '<memoryBacking>\n    <private/>', 1)
    return xml.replace('  <vcpu', '  <memoryBacking>\n    <private/>\n  </memoryBacking>\n  <vcpu', 1)


def plain_again(xml):
    """The XML without the element of either form; sw-protected also shows <private/>, which it implies."""
    root = ET.fromstring(xml)
    for launch in root.findall('launchSecurity'):
        root.remove(launch)
    return masked(without_private(ET.tostring(root, encoding='unicode')))


def masked(text):
    """The text without what libvirt generates at every parsing or what differs between two stock daemons."""
    text = re.sub(r'52:54:00(:[0-9a-f]{2}){3}', 'MAC', text)
    text = re.sub(r'(of process |domain-)\d+', r'\1N', text)
    text = re.sub(r'base=\d{4}-[\dT:-]+', 'base=NOW', text)
    return re.sub(r'(fd"?[=:]"?|set=\d+,fd=)\d+', r'\1N', text)


def answer(call):
    """The error message, or 'done'."""
    try:
        said = call()
        return masked(said) if isinstance(said, str) else 'done'
    except LibvirtError as error:
        return 'refused: ' + masked(error.message)


def small(root):
    """Sets sizes that any host has; returns those of the RAM backends, in bytes."""
    cells = root.findall('cpu/numa/cell')
    modules = root.findall("devices/memory[@model='dimm']/target/size")
    for cell in cells:
        cell.set('memory', str(CELL))
        cell.set('unit', 'KiB')
    for size in modules:
        size.text, size.attrib['unit'] = str(CELL), 'KiB'
    count = max(1, len(cells)) + len(modules)
    root.find('memory').text = str(count * CELL)
    root.find('memory').set('unit', 'KiB')
    current = root.find('currentMemory')
    if current is not None:
        root.remove(current)
    return [CELL * KIB] * count


def startable(rig, xml):
    """(@xml, sizes of RAM backends): the domain changed so that a small host can run it."""
    root = ET.fromstring(xml)
    sizes = small(root)
    processor = root.find('cpu')
    if processor is not None:  # 'host' is more than KVM supports if it runs in a guest itself
        processor.attrib.clear()
        for child in list(processor):
            if child.tag not in ('topology', 'numa'):
                processor.remove(child)
    for parent, unfit in (('features', 'hyperv'), ('clock', "timer[@name='hypervclock']")):
        for child in root.findall('%s/%s' % (parent, unfit)):
            root.find(parent).remove(child)
    for interface in root.findall('devices/interface'):
        if interface.get('type') in ('network', 'bridge', 'ethernet'):
            interface.set('type', 'user')
            for child in list(interface):
                if child.tag not in ('mac', 'model', 'alias', 'rom'):
                    interface.remove(child)
    for path in re.findall(IMAGES + r'/[\w.-]+', xml):
        if path.endswith('.qcow2'):
            shutil.copy(rig.outer('/var/lib/libvirt/empty.qcow2'), rig.outer(path))
        else:
            rig.write(path, MIB * '\0')
    return ET.tostring(root, encoding='unicode'), sizes


def start(check, form, wanted, xml, plain):
    """A domain that starts according to the table does, and its RAM is guest_memfd; for any other domain, stock
    libvirt reports the same error."""
    (stock_rig, stock), (rig, ours) = Rigs.clients()
    if form == 'sw-protected' and not kvm_extension(KVM_CAP_VM_TYPES) >> KVM_X86_SW_PROTECTED_VM & 1:
        check.refused(lambda: ours.create(startable(rig, xml)[0]), part='KVM_X86_SW_PROTECTED_VM')
        return
    if form == 'private':
        need_guest_memfd()
    adapted, sizes = startable(rig, xml)
    name = ET.fromstring(adapted).findtext('name')
    if wanted != 'starts':
        beside = answer(lambda: stock.create(startable(stock_rig, plain)[0]))
        if beside != 'done':
            for said in beside, answer(lambda: ours.create(adapted)):
                check.has(said, wanted.partition(': ')[2] if SAME else 'refused: ', 'the message')
            return
        stock.destroy(name)
    ours.create(adapted)
    try:
        pid = rig.emulator(name).pid
        check.equal(sorted(each.size for each in gmem_evidence.guest_memfds(pid)), sizes,
                    'sizes of guest_memfds')
        if form == 'private':
            with gmem_evidence.backends(pid) as found:
                check.equal([each.size for each in found], sizes, "sizes of QEMU's RAM backends")
                check.true(all(each.mapping for each in found), 'RAM that is not mapped')
    finally:
        ours.destroy(name)


def undefine(client, name):
    if name in client.names():
        client.call(name, 'undefineFlags', UNDEFINE_NVRAM)


def plain_form(check, xml):
    """The plain form is the same as with stock libvirt, byte for byte."""
    seen = []
    for _, client in Rigs.clients():
        said = [answer(lambda client=client: client.define(xml)),
                answer(lambda client=client: client.native(xml))]
        for name in client.names():
            said.append(answer(lambda client=client, name=name: client.dumpxml(name)))
            undefine(client, name)
        seen.append(said)
    check.equal(seen[1], seen[0], 'what is said of the plain form')


def private_form(check, form, wanted, plain):
    (_, stock), (_, ours) = Rigs.clients()
    xml = form_of(plain, form)
    name = ET.fromstring(xml).findtext('name')
    if wanted.startswith('refused: '):
        check.refused(lambda: ours.define(xml), message=wanted.partition(': ')[2])
        check.equal(ours.names(), [], 'domains after a refusal')
        return
    try:
        refused = answer(lambda: stock.define(plain))
        if refused != 'done':
            if SAME:
                check.has(refused, wanted.partition('host refuses: ')[2] or '?', "stock libvirt's refusal")
            check.equal(answer(lambda: ours.define(xml)), refused, 'the refusal')
            return
        ours.define(xml)
        dump = ours.dumpxml(name, '--security-info')
        check.equal(plain_again(dump), plain_again(stock.dumpxml(name, '--security-info')),
                    'dumpxml but for the element')
        shown = {each: bool(ET.fromstring(dump).findall(each))
                 for each in ('memoryBacking/private', 'launchSecurity')}
        check.equal(list(shown.values()), [True, form == 'sw-protected'], 'the elements in dumpxml')
        check.lacks(dump, OPTION, 'dumpxml')
        native = answer(lambda: ours.native(xml))
        if native.startswith('refused: '):
            check.equal(native, answer(lambda: stock.native(plain)), 'the native command line')
        else:
            check.has(' '.join(carrier_values(split_native(native)[1])), 'mode=' + MODES[form],
                      'the native command line')
        check.equal(answer(lambda: ours.native(dump)), native, 'the native command line of the dump')
    finally:
        for client in stock, ours:
            undefine(client, name)
    if not wanted.startswith('not started: '):
        start(check, form, wanted, xml, plain)


@suite.test('a cell without memory, which libvirt defines and QEMU refuses, is named by its element')
def _(check):
    need_guest_memfd()
    if libvirt_version() >= (12, 0):
        raise Skip('this libvirt gives such a cell no memory backend')
    ours = Rigs.clients()[1][1]
    check.refused(lambda: ours.create(domain('empty-cell', cells=[CELL, 0])),
                  part="memory backend 'ram-node1' (<cell id='1'>) has a size of 0, which QEMU refuses; "
                       'give it memory')


def read_table():
    table = configparser.ConfigParser(interpolation=None, delimiters=('=',))
    table.read(os.path.join(FILES, 'table.ini'), encoding='utf-8')
    return table


TABLE = read_table()
PATHS = sorted(glob.glob(os.path.join(FILES, '*.xml')))


@suite.test('the table has a row for every file')
def _(check):
    check.equal(sorted(TABLE.sections()),
                [os.path.basename(path)[:-len('.xml')] for path in PATHS], 'rows')


def register(path):
    name = os.path.basename(path)[:-len('.xml')]
    with open(path, encoding='utf-8') as file:
        plain = re.sub(r'^<\?xml.*?\?>\s*', '', file.read())

    @suite.test(name + ': plain')
    def _(check):
        plain_form(check, plain)

    for form in MODES:
        @suite.test('%s: %s' % (name, form))
        def _(check, form=form):
            if not SAME and (name, form) == ('virt-install-uefi', 'sw-protected'):
                raise Skip('which firmware fits is chosen by the rules of libvirt 9.0')
            private_form(check, form, TABLE[name][form], plain)


for each in PATHS:
    register(each)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
