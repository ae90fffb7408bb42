#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold between the two command lines of each golden pair, checked without the code under test.

usage: test_argv_properties.py DIRECTORY
"""

import functools
import glob
import json
import os
import re
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position

OPTION = '-x-libvirt-gmem'
# Waking up from suspend-to-memory is a reset for the shim, so it is disabled; True: the machine is a
# q35.
NO_SUSPEND = {True: 'ICH9-LPC.disable_s3=1', False: 'PIIX4_PM.disable_s3=1'}
LAUNCH_OBJECT = {'qom-type': 'sw-protected-vm', 'id': 'lsec0'}
# All options without a value that libvirt writes for these domains.
FLAGS = {'-S', '-no-user-config', '-nodefaults', '-no-shutdown'}
PROPERTIES = {('object', 'convertible'): 'private', ('property', 'fully-shared'): 'guest-memfd',
              ('x-property', 'fully-shared'): 'x-guest-memfd'}
# Rows in which an object determines the kind of VM.
LAUNCHES = {'object': 'convertible', 'object-bare': 'convertible'}
PAIRS = 100


def properties_of(value, implied):
    """The properties of an option's value in either notation; sizes as numbers, booleans as bool."""
    if value.startswith('{'):
        return json.loads(value.replace("'", '"') if value.startswith("{'") else value)
    first, *rest = value.split(',')
    result = {implied: first}
    for part in rest:
        key, _, text = part.partition('=')
        result[key] = {'on': True, 'off': False}.get(text, text)
    if str(result.get('size', '')).endswith('M'):
        result['size'] = int(result['size'][:-1]) * 1024 * 1024
    return result


class Args:
    """A command line: a list of (option, value), and what it specifies about memory."""

    def __init__(self, path):
        with open(path, encoding='utf-8') as file:
            self.words = shlex.split(file.read().replace('\\\n', ' '))
        self.options = []
        words = iter(self.words[1:])
        for word in words:
            assert word.startswith('-'), 'a positional argument: %s' % word
            self.options.append((word, None if word in FLAGS else next(words)))
        self.backends = {}
        for value in self.values('-object'):
            properties = properties_of(value, 'qom-type')
            if properties['qom-type'].startswith('memory-backend-'):
                assert properties['id'] not in self.backends
                self.backends[properties['id']] = (value, properties)
        self.devices = [properties_of(value, 'driver') for value in self.values('-device')]

    def values(self, option):
        return [value for name, value in self.options if name == option]

    def keys(self, option):
        """A list of dictionaries, one for each use of an option in key=value notation."""
        result = []
        for value in self.values(option):
            first, *rest = value.split(',')
            result.append(dict([('', first)] + [part.split('=', 1) for part in rest]))
        return result

    @property
    def ram(self):
        """The IDs of the backends that are RAM, in the order in which they are used."""
        ids = [machine['memory-backend'] for machine in self.keys('-machine')
               if 'memory-backend' in machine]
        ids += [cell['memdev'] for cell in self.keys('-numa') if cell[''] == 'node']
        ids += [device['memdev'] for device in self.devices if device['driver'] == 'pc-dimm']
        return ids

    @property
    def files(self):
        return [device['memdev'] for device in self.devices
                if device['driver'] in ('nvdimm', 'virtio-pmem-pci', 'ivshmem-plain')]


# What is visible on a command line, and the shapes that have it; the others must not have it.
FEATURES = {
    'host nodes': ('host-nodes', 'preferred', 'interleave', 'memnode', 'mixed'),
    'huge pages': ('hugepages', 'huge-cell', 'huge-memfd', 'huge-immediate', 'huge-dimm'),
    'pc-dimm': ('dimm', 'dimms', 'huge-dimm', 'user-dimm', 'mixed'),
    'nvdimm': ('nvdimm', 'mixed'),
    'virtio-pmem-pci': ('virtio-pmem',),
    'ivshmem-plain': ('shmem',),
    'threads': ('immediate', 'huge-immediate', 'mixed'),
    'above 4 GiB': ('above-4g',),
    'eight cells': ('eight-cells',),
    'a cell without CPUs': ('cpuless',),
    'memory locked': ('locked',),
    'a vhost-user device': ('vhost-user',),
    'pflash': ('pflash', 'efi'),
    'a ROM': ('bios',),
    'two -machine': ('user-machine',),
    'a file for RAM': ('file',),
}
POLICIES = {'host-nodes': {'bind', 'preferred'}, 'preferred': {'preferred'},
            'interleave': {'interleave'}, 'memnode': {'bind', 'interleave'}, 'mixed': {'bind'}}


def features(stock):
    cells = [cell for cell in stock.keys('-numa') if cell[''] == 'node']
    ram = [stock.backends[name][1] for name in stock.ram]
    drivers = [device['driver'] for device in stock.devices]
    paths = [backend.get('mem-path', '') for backend in ram]
    found = {name for name in ('pc-dimm', 'nvdimm', 'virtio-pmem-pci', 'ivshmem-plain')
             if name in drivers}
    for name, present in (
            ('host nodes', any('host-nodes' in backend for backend in ram)),
            ('huge pages', any('/huge/' in path for path in paths) or
             any(backend.get('hugetlb') for backend in ram)),
            ('threads', any(backend.get('prealloc-threads') == 2 for backend in ram)),
            ('above 4 GiB', sum(backend['size'] for backend in ram) == 3584 * 1024 * 1024),
            ('eight cells', len(cells) == 8),
            ('a cell without CPUs', any('cpus' not in cell for cell in cells)),
            ('memory locked', 'mem-lock=on' in stock.values('-overcommit')),
            ('a vhost-user device', any(word.startswith('{"type":"vhost-user"')
                                        for word in stock.values('-netdev'))),
            ('pflash', any('pflash0=' in value for value in stock.values('-machine'))),
            ('a ROM', bool(stock.values('-bios'))),
            ('two -machine', len(stock.values('-machine')) == 2),
            ('a file for RAM', any(path and '/huge/' not in path for path in paths))):
        if present:
            found.add(name)
    return found


def check_shape(stock, shape):
    """That the recording is of the shape that its name says."""
    cells = [cell for cell in stock.keys('-numa') if cell[''] == 'node']
    ram = [stock.backends[name][1] for name in stock.ram]
    wanted = {name for name, having in FEATURES.items() if shape in having}
    assert features(stock) == wanted, 'wanted %r, got %r' % (wanted, features(stock))
    assert {backend['policy'] for backend in ram if 'policy' in backend} <= \
        POLICIES.get(shape, set())
    if shape == 'plain':
        assert not cells and len(ram) == 1
    if shape in ('cells', 'host-nodes'):
        assert len(cells) > 1 and len(set(backend['size'] for backend in ram)) > 1
    if shape in ('memfd', 'huge-memfd'):
        assert all(backend['qom-type'] == 'memory-backend-memfd' for backend in ram)
    if shape == 'anonymous':
        assert all(backend['qom-type'] == 'memory-backend-ram' for backend in ram)
    if shape == 'huge-cell':
        assert sum('/huge/' in backend.get('mem-path', '') for backend in ram) == 1
    if shape == 'dimms':
        assert len({device['node'] for device in stock.devices if device['driver'] == 'pc-dimm'}) > 1
    if shape == 'user-dimm':
        assert not stock.backends['users'][0].startswith('{')


def check_ram(stock, mode):
    assert stock.ram and len(set(stock.ram)) == len(stock.ram)
    assert sorted(stock.ram + stock.files) == sorted(stock.backends)
    for name in stock.ram if mode == 'fully-shared' else []:
        properties = stock.backends[name][1]
        assert properties['qom-type'] == 'memory-backend-memfd' and properties['share'] is True


def identity(value):
    return properties_of(value, 'qom-type')['id']


def backend_list(stock):
    """All memory backends in the order of the command line, in which QEMU creates them."""
    names = [identity(v) for n, v in stock.options if n == '-object'
             and properties_of(v, 'qom-type')['qom-type'].startswith('memory-backend')]
    assert sorted(names) == sorted(stock.backends)
    return ''.join(',%s=%s:%d' % ('backend' if name in stock.ram else 'other', name,
                                  stock.backends[name][1]['size']) for name in names)


def expected_options(stock, row, mode):
    """The options that the other command line must have, derived from the stock one."""
    added = PROPERTIES.get((row, mode))
    launch = LAUNCHES.get(row) == mode
    wanted = []
    for name, value in stock.options:
        if name == OPTION and not added and not launch:
            size = sum(stock.backends[backend][1]['size'] for backend in stock.ram)
            value = 'version=1,mode=%s,backends=%d,ram=%d' % (mode, len(stock.ram), size)
            if mode == 'convertible':
                wanted += [(name, value + ',start=shared' + backend_list(stock))]
                name, value = '-global', NO_SUSPEND['pc-q35' in stock.values('-machine')[0]]
        elif name == OPTION and launch:
            name, value = '-object', json.dumps(LAUNCH_OBJECT, separators=(',', ':'))
        elif name == OPTION:
            continue
        elif name == '-machine' and launch and value == stock.values('-machine')[0]:
            assert 'kernel_irqchip=split' in value.split(',')
            value += ',confidential-guest-support=lsec0'
        elif name == '-object' and added and identity(value) in stock.ram:
            # Compared as text, because nothing else may change, not even the order of members.
            assert added not in properties_of(value, 'qom-type')
            if value.startswith('{'):
                assert value.endswith('}')
                value = '%s,"%s":true}' % (value[:-1], added)
            else:
                value = '%s,%s=on' % (value, added)
        wanted.append((name, value))
    return wanted


def check_result(stock, ours, row, mode):
    added = PROPERTIES.get((row, mode))
    assert ours.words[0] == stock.words[0]
    assert ours.ram == stock.ram and ours.files == stock.files
    for name in ours.ram:
        before, after = stock.backends[name][1], dict(ours.backends[name][1])
        assert after['size'] == before['size']
        if added:
            assert after.pop(added) is True
        # Huge pages are not preallocated unless the user asks for it.
        if mode == 'convertible' and after.get('prealloc') is False:
            before = dict(before, prealloc=False)
        assert after == before
    for name in ours.files:
        assert ours.backends[name] == stock.backends[name]
    assert len(ours.values(OPTION)) == (0 if added or LAUNCHES.get(row) == mode else 1)
    for word in ours.words:
        if word.startswith('{'):
            properties_of(word, None)


def unwanted_prealloc(stock):
    """Whether the pair says that libvirt preallocates on its own initiative."""
    pair = json.loads(stock.values(OPTION)[0])
    return any(change['path'] == 'memoryBacking/allocation/@mode' for change in pair['added'])


def check(directory, name):
    row, mode, shape = re.fullmatch(
        r'(object|object-bare|property|x-property|shim)-(convertible|fully-shared)-(.+)', name).groups()
    stock = Args(os.path.join(directory, name + '.stock.args'))
    ours = Args(os.path.join(directory, name + '.args'))
    assert len(stock.values(OPTION)) == 1
    pair = json.loads(stock.values(OPTION)[0])
    assert pair['mode'] == mode
    check_shape(stock, shape)
    check_ram(stock, mode)
    wanted = expected_options(stock, row, mode)
    if mode == 'convertible' and unwanted_prealloc(stock):
        ram = stock.ram
        wanted = [(n, v.replace('"prealloc":true', '"prealloc":false')
                   if n == '-object' and identity(v) in ram else v) for n, v in wanted]
    assert ours.options == wanted, 'wanted %r\ngot %r' % (wanted, ours.options)
    check_result(stock, ours, row, mode)


def check_enough(names):
    assert len(names) >= PAIRS, names


def main():
    directory = sys.argv[1]
    names = sorted(os.path.basename(path)[:-len('.stock.args')]
                   for path in glob.glob(os.path.join(directory, '*.stock.args')))
    return gmem_tap.run([('there are pairs', functools.partial(check_enough, names))] +
                        [(name, functools.partial(check, directory, name)) for name in names])


if __name__ == '__main__':
    sys.exit(main())
