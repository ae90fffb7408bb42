#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""NUMA, allocation, locked memory and huge pages, on the real host: what starts, what is refused, and
what the kernel then says about QEMU's memory.

This host may have only one NUMA node. So the location of pages says nothing, and the policies are checked in the
kernel's description of QEMU's mappings (numa_maps). tests/nested has hosts with two nodes."""

import contextlib
import functools
import glob
import itertools
import json
import os
import re
import resource
import shlex
import subprocess
import tempfile

import gmem_evidence
from gmem_checks import Guest, evidence, shows_private
from gmem_rig import (KIB, MIB, QEMU, SOURCE, DaemonRig, EmbedRig, Failure, Skip, Suite, domain,
                      huge_pages, huge_pool, library, need_guest_memfd, need_kvm, need_root,
                      wait_for)
from gmem_standin import HAS_VM_TYPE, OBJECT, StandIn, client_of, fake_host

suite = Suite()

CONFIG_UNSUPPORTED = 67
PAUSED = 1
PAGE = gmem_evidence.PAGE
HUGE_MOUNT = '/run/huge%d'      # in the sandbox; the number is the page's size in KiB
HUGE_SIZES = (2048, 1048576)
GOLDEN = os.path.join(SOURCE, 'tests/qemuxml2argvdata')

NO_POLICY = ('cells bound to different host nodes require a kernel that keeps a NUMA policy on '
             'guest_memfd')


@functools.lru_cache(maxsize=None)
def rig_and_client():
    need_guest_memfd()
    rig = EmbedRig(library())
    return rig, rig.python()


def tune(memory='', *memnodes):
    return '<numatune>%s%s</numatune>' % (
        "<memory mode='%s' nodeset='0'/>" % memory if memory else '',
        ''.join("<memnode cellid='%d' mode='%s' nodeset='0'/>" % each for each in memnodes))


@contextlib.contextmanager
def running(client, rig, xml, name='vm', flags=0):
    """The domain, defined and started, and removed at the end."""
    client.define(xml)
    try:
        client.call(name, 'createWithFlags', flags)
        yield rig.emulator(name)
    finally:
        if rig.emulator(name):
            client.destroy(name)
        client.undefine(name)


def start_guest(check, xml_options, sizes, look=None):
    """Starts a private domain that runs the payload and checks all evidence; @look is called with the
    emulator."""
    rig, client = rig_and_client()
    rig.write('/run/serial', '')
    xml = domain('vm', boot=rig.guest_image('vm'), serial='/run/serial', **xml_options)
    with running(client, rig, xml) as emulator:
        guest = Guest(rig, '/run/serial')
        guest.wait_pass()
        evidence(check, emulator, [size * MIB for size in sizes], guest.text)
        shows_private(check, client.dumpxml('vm'))
        if look:
            look(emulator)


def process_policy(pid):
    """The policy of a mapping that has not been bound: that of QEMU's own binary."""
    with open('/proc/%d/numa_maps' % pid, encoding='utf-8') as file:
        return next(line.split()[1] for line in file if 'file=%s ' % QEMU in line)


# If there is no cgroup for this (as in these tests), libvirt gives QEMU the policy of the domain, and
# guest_memfd's pages follow it; but restrictive only works by cgroup.
@suite.test('numatune: strict, preferred, interleave and restrictive for the whole domain')
def _(check):
    words = {'strict': 'bind:0', 'preferred': 'prefer:0', 'interleave': 'interleave:0',
             'restrictive': 'default'}
    for mode, word in words.items():
        def look(emulator, mode=mode, word=word):
            got = process_policy(emulator.pid)
            check.true(got == word or mode == 'preferred' and got.startswith('prefer'),
                       '%s: QEMU runs under the policy %s' % (mode, got))
            backends = [json.loads(word) for word in emulator.argv
                        if word.startswith('{"qom-type":"memory-backend')]
            check.equal([b.get('host-nodes') for b in backends],
                        [None if mode == 'restrictive' else [0]] * 2, mode + ': host-nodes')
        start_guest(check, {'cells': [19 * KIB, 25 * KIB], 'body': tune(mode)}, [19, 25], look)


@suite.test('memnode: like the whole domain it starts, other than that only where KVM can')
def _(check):
    same = {'cells': [19 * KIB, 25 * KIB], 'body': tune('strict', (0, 'strict'), (1, 'strict'))}
    start_guest(check, same, [19, 25])
    rig, client = rig_and_client()
    for body in (tune('strict', (1, 'preferred')), tune('', (0, 'strict')),
                 tune('interleave', (0, 'strict'), (1, 'interleave'))):
        options = {'cells': [19 * KIB, 25 * KIB], 'body': body}
        if numa_policy_kept():
            start_guest(check, options, [19, 25])
            continue
        client.define(domain('vm', **options))
        try:
            check.refused(lambda: client.start('vm'), CONFIG_UNSUPPORTED, part=NO_POLICY)
            check.equal(rig.emulator('vm'), None, 'emulator of a refused domain')
        finally:
            client.undefine('vm')


@suite.test('memnodes that agree, without a <memory>: a client is told, an autostart cannot know')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(domain('vm', cells=[19 * KIB, 25 * KIB],
                             body=tune('', (0, 'strict'), (1, 'strict'))))
        if not numa_policy_kept():
            check.refused(lambda: client.start('vm'), CONFIG_UNSUPPORTED, part=NO_POLICY)
        client.call('vm', 'setAutostart', 1)
        client.close()
        rig.stop_daemon()
        rig.run(['rm', '-f', '/run/libvirt/qemu/autostarted'])
        rig.start_daemon()
        client = rig.python()
        wait_for(lambda: client.state('vm') == 'running', 'autostart')
        check.equal([m.size for m in gmem_evidence.guest_memfds(rig.emulator('vm').pid)],
                    [19 * MIB, 25 * MIB], "sizes of QEMU's guest_memfds")
        client.destroy('vm')


def numa_policy_kept():
    """What virt-gmem reports about this host's KVM."""
    build = os.environ.get('GMEM_BUILD') or os.path.join(SOURCE, 'build')
    result = subprocess.run([os.path.join(build, 'tools/virt-gmem'), 'host', '--json'],
                            stdout=subprocess.PIPE, check=False)
    return json.loads(result.stdout)['kvm']['numa-policy']


@suite.test('cells without CPUs')
def _(check):
    xml_cells = ("<cpu><numa><cell id='0' cpus='0' memory='19' unit='MiB'/>"
                 "<cell id='1' memory='25' unit='MiB'/><cell id='2' memory='17' unit='MiB'/>"
                 "</numa></cpu>")
    start_guest(check, {'memory': 61 * KIB, 'body': xml_cells}, [19, 25, 17])


@suite.test('dimms on nodes, bound as the whole domain is')
def _(check):
    dimm = ("<memory model='dimm'><source><nodemask>0</nodemask></source>"
            "<target><size unit='MiB'>%d</size><node>%d</node></target></memory>")
    start_guest(check, {'cells': [19 * KIB, 25 * KIB], 'slots': True, 'body': tune('strict'),
                        'devices': dimm % (66, 0) + dimm % (70, 1)}, [19, 25, 66, 70])


def resident(emulator):
    with gmem_evidence.backends(emulator.pid) as found:
        return [backend.resident() * PAGE // MIB for backend in found]


@suite.test('allocation immediate, with threads: all pages are there before the guest runs')
def _(check):
    rig, client = rig_and_client()
    for allocation, whole in (("<allocation mode='immediate' threads='3'/>", True),
                              ("<allocation mode='immediate'/>", True),
                              ("<allocation mode='ondemand' threads='3'/>", False),
                              ("<allocation threads='3'/>", False)):
        xml = domain('vm', cells=[33 * KIB, 47 * KIB], backing=allocation)
        with running(client, rig, xml, flags=PAUSED) as emulator:
            there = resident(emulator)
            if whole:
                check.equal(there, [33, 47], allocation + ': resident MiB')
            else:
                check.true(sum(there) < 8, '%s: %s MiB are resident' % (allocation, there))
            wanted = '"prealloc-threads":3' in str(emulator.argv)
            check.equal(wanted, 'threads' in allocation, allocation + ': threads')


def status_kib(pid, key):
    with open('/proc/%d/status' % pid, encoding='utf-8') as file:
        return int(re.search(r'^%s:\s+(\d+) kB' % key, file.read(), re.M)[1])


@suite.test('locked memory: guest_memfd can be locked, and is all there')
def _(check):
    need_guest_memfd()
    # libvirt sets the limit of locked memory to <hard_limit>. If the test may not raise the limit, as in many
    # containers, QEMU does not require it, because it keeps CAP_IPC_LOCK.
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    kib = 4 * KIB * KIB if hard == resource.RLIM_INFINITY else hard // 1024
    limit = "<memtune><hard_limit unit='KiB'>%d</hard_limit></memtune>" % kib
    xml = domain('vm', cells=[33 * KIB, 47 * KIB], backing='<locked/>', body=limit)
    with EmbedRig(library()) as rig:
        rig.write(rig.config, rig.read(rig.config) + 'clear_emulator_capabilities = 0\n')
        client = rig.python()
        with running(client, rig, xml, flags=PAUSED) as emulator:
            check.true(status_kib(emulator.pid, 'VmLck') >= 80 * KIB,
                       'only %d KiB are locked' % status_kib(emulator.pid, 'VmLck'))
            check.equal(resident(emulator), [33, 47], 'resident MiB')
        with running(client, rig, xml.replace('<locked/>', ''), flags=PAUSED) as emulator:
            check.true(status_kib(emulator.pid, 'VmLck') < 80 * KIB, 'locked without <locked/>')
        client.close()


# ---------------------------------------------------------------------------------------------
# Huge pages


def huge_rig(rig=None):
    """A rig with mounts of huge pages, for one test."""
    rig = rig or EmbedRig(library())
    for size in HUGE_SIZES:
        mount = HUGE_MOUNT % size
        result = rig.run(['sh', '-c', 'mkdir $0 && mount -t hugetlbfs -o pagesize=$1 none $0',
                          mount, '%dK' % size])
        if result.returncode:
            raise Skip('huge pages cannot be mounted: ' + result.stderr)
    rig.write(rig.config, rig.read(rig.config) + 'hugetlbfs_mount = [ %s ]\n'
              % ', '.join('"%s"' % (HUGE_MOUNT % size) for size in HUGE_SIZES))
    return rig


def page(size, nodeset=None):
    return "<page size='%d' unit='KiB'%s/>" % (
        size, '' if nodeset is None else " nodeset='%s'" % nodeset)


def huge_kib(pid):
    """The huge pages that the kernel counts for the process, mapped or not yet mapped, in KiB."""
    return status_kib(pid, 'HugetlbPages')


@suite.test('an ordinary domain on huge pages is none of ours: 2 MiB, some cells, memfd')
def _(check):
    need_kvm()
    shapes = [
        ('all', {'memory': 64 * KIB, 'backing': '<hugepages>%s</hugepages>' % page(2048)}, 64),
        ('a cell', {'cells': [32 * KIB, 34 * KIB],
                    'backing': '<hugepages>%s</hugepages>' % page(2048, '1')}, 34),
        ('memfd', {'memory': 64 * KIB, 'backing':
                   "<hugepages>%s</hugepages><source type='memfd'/>" % page(2048)}, 64),
    ]
    with huge_pages(2048, 40), huge_rig() as rig:
        client = rig.python()
        for name, options, mib in shapes:
            with running(client, rig, domain('vm', private=False, **options),
                         flags=PAUSED) as emulator:
                check.equal(huge_kib(emulator.pid), mib * KIB, name + ': KiB of huge pages')
                check.lacks(str(emulator.argv), 'libvirt-gmem', name + ': argv')
        client.close()


@suite.test('an ordinary domain on a page of 1 GiB')
def _(check):
    need_kvm()
    with huge_pages(1048576, 1), huge_rig() as rig:
        client = rig.python()
        xml = domain('vm', private=False, memory=1024 * KIB,
                     backing='<hugepages>%s</hugepages>' % page(1048576))
        with running(client, rig, xml, flags=PAUSED) as emulator:
            check.equal(huge_kib(emulator.pid), 1024 * KIB, 'KiB of huge pages')
        client.close()


@suite.test('fully shared memory is refused huge pages, of all cells and of one')
def _(check):
    _, client = rig_and_client()
    message = ('unsupported configuration: <private/> cannot be used with <hugepages>: guest_memfd '
               'has pages of 4 KiB only; remove <hugepages>')
    for pages in ('<hugepages/>', '<hugepages>%s</hugepages>' % page(2048, '1'),
                  '<hugepages>%s</hugepages>' % page(1048576)):
        xml = domain('vm', cells=[32 * KIB, 34 * KIB], backing=pages)
        check.refused(lambda xml=xml: client.define(xml), CONFIG_UNSUPPORTED, message)
    # A page of this size is called a huge page here, but is not one.
    start_guest(check, {'cells': [19 * KIB, 25 * KIB],
                        'backing': '<hugepages>%s</hugepages>' % page(4)}, [19, 25])


@suite.test('convertible on huge pages: sizes that are not multiples are refused by cell, size and page')
def _(check):
    _, client = rig_and_client()
    refused = ("unsupported configuration: <launchSecurity type='sw-protected'/> requires %s to be "
               "a multiple of its huge page size (%d KiB); use %d KiB or other pages")
    for options, what, size, better in (
            ({'cells': [32 * KIB, 33 * KIB], 'backing': '<hugepages/>'},
             "<cell id='1'> (33792 KiB)", 2048, 34816),
            ({'memory': 1536 * KIB, 'backing': '<hugepages>%s</hugepages>' % page(1048576)},
             'guest RAM (1572864 KiB)', 1048576, 2097152),
            ({'cells': [32 * KIB], 'dimm': 66 * KIB,
              'backing': '<hugepages>%s</hugepages>' % page(1048576, '0')},
             "<cell id='0'> (32768 KiB)", 1048576, 1048576)):
        xml = domain('vm', private=False, launch='sw-protected', **options)
        check.refused(lambda xml=xml: client.define(xml), CONFIG_UNSUPPORTED,
                      refused % (what, size, better))


@suite.test('convertible on huge pages: the definition is kept, and stock rules do not get in the way')
def _(check):
    _, client = rig_and_client()
    for allocation in ('', "<allocation mode='ondemand'/>", "<allocation mode='immediate'/>",
                       "<allocation threads='2'/>", "<allocation mode='ondemand' threads='2'/>"):
        xml = domain('vm', private=False, launch='sw-protected', cells=[32 * KIB, 34 * KIB],
                     backing='<hugepages>%s</hugepages>%s' % (page(2048, '1'), allocation))
        client.define(xml, validate=True)
        shown = client.dumpxml('vm')
        client.undefine('vm')
        found = re.findall(r'<allocation[^>]*>', shown)
        check.equal(found, [allocation] if allocation else [], 'allocation that is shown')


def golden_backends():
    """{name: its RAM backends} of golden command lines in convertible mode that use huge pages."""
    result = {}
    for path in sorted(glob.glob(os.path.join(GOLDEN, 'shim-convertible-*.args'))):
        if path.endswith('.stock.args'):
            continue
        with open(path, encoding='utf-8') as file:
            words = shlex.split(file.read().replace('\\\n', ' '))
        backends = [json.loads(word) for word in words
                    if word.startswith('{"qom-type":"memory-backend')]
        huge = [b for b in backends if '/huge' in b.get('mem-path', '') or b.get('hugetlb')]
        if huge:
            result[os.path.basename(path)[:-len('.args')]] = huge
    return result


def huge_taken(backend, directory):
    """The huge pages in KiB that a QEMU with that backend as its RAM holds before the guest runs."""
    backend = dict(backend)
    if 'mem-path' in backend:
        backend['mem-path'] = directory
    for key in ('host-nodes', 'policy'):
        backend.pop(key, None)
    pidfile = os.path.join(directory, '..', 'pid')
    argv = [QEMU, '-accel', 'kvm', '-S', '-nodefaults', '-display', 'none', '-object',
            json.dumps(backend), '-machine', 'q35,memory-backend=' + backend['id'], '-m',
            'size=%dk' % (backend['size'] // 1024), '-pidfile', pidfile, '-daemonize']
    result = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode:
        raise Failure(result.stderr.decode())
    with open(pidfile, encoding='utf-8') as file:
        pid = int(file.read())
    try:
        return huge_kib(pid), huge_pool(2048, 'resv_hugepages') * 2048
    finally:
        os.kill(pid, 15)
        wait_for(lambda: not os.path.exists('/proc/%d' % pid), 'QEMU to end')


@suite.test('convertible on huge pages: the shared half is reserved, but taken only where asked for')
def _(check):
    need_kvm()
    found = golden_backends()
    check.true(found, 'no golden command line is on huge pages')
    with huge_pages(2048, 300), tempfile.TemporaryDirectory(prefix='gmem-huge-') as top:
        directory = os.path.join(top, 'huge')
        os.mkdir(directory)
        subprocess.run(['mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', directory],
                       check=True)
        try:
            for name, backends in found.items():
                for backend in backends:
                    if backend['size'] > 512 * MIB or backend.get('hugetlbsize', 2 * MIB) > 2 * MIB:
                        continue
                    taken, reserved = huge_taken(backend, directory)
                    whole = backend['size'] // 1024
                    what = '%s, %s' % (name, backend['id'])
                    check.true('reserve' not in backend, what + ' says whether to reserve')
                    if backend.get('prealloc'):
                        check.has(name, 'immediate', 'the name of what is preallocated')
                        check.equal(taken, whole, what + ': KiB taken')
                    else:
                        check.equal(backend.get('prealloc'), False, what + ': prealloc')
                        check.equal(taken, 0, what + ': KiB taken')
                        check.equal(reserved, whole, what + ': KiB reserved')
        finally:
            subprocess.run(['umount', directory], check=True)


@suite.test('convertible on huge pages, on a QEMU stand-in: what is taken, and what the log says')
def _(check):
    need_kvm()
    with huge_pages(2048, 40), huge_rig(fake_host(EmbedRig, HAS_VM_TYPE)) as rig:
        StandIn(rig, OBJECT)
        client = client_of(rig)
        shapes = [
            # name, KiB of its RAM on huge pages, the rest of <memoryBacking>
            ('a cell', 34 * KIB, '<hugepages>%s</hugepages>' % page(2048, '1')),
            ('all cells', 66 * KIB, '<hugepages>%s</hugepages>' % page(2048)),
            ('memfd', 66 * KIB, "<hugepages>%s</hugepages><source type='memfd'/>" % page(2048)),
        ]
        allocations = [('', False), ("<allocation mode='ondemand'/>", False),
                       ("<allocation mode='immediate' threads='2'/>", True)]
        for (shape, huge, backing), (allocation, taken) in itertools.product(shapes, allocations):
            what = '%s, %s' % (shape, allocation or 'no allocation')
            xml = domain('vm', private=False, launch='sw-protected', cells=[32 * KIB, 34 * KIB],
                         emulator='/run/emulator', backing=backing + allocation)
            with running(client, rig, xml, flags=PAUSED) as emulator:
                check.equal(huge_kib(emulator.pid), huge if taken else 0,
                            what + ': KiB of huge pages taken')
                check.true(taken or huge_pool(2048, 'resv_hugepages') * 2048 >= huge,
                           what + ': not reserved')
                check.has(rig.read(rig.domain_log % 'vm').rpartition('starting up')[2],
                          'libvirt-gmem: guest RAM of %d KiB can take up to %d KiB of host memory: a '
                          'shared half, %d KiB of it on huge pages, and a private half in pages of '
                          '4 KiB\n' % (66 * KIB, 132 * KIB, huge), what + ": the domain's log")
        client.close()


@suite.test('convertible on a page of 1 GiB, started on a QEMU stand-in')
def _(check):
    need_kvm()
    with huge_pages(1048576, 1), huge_rig(fake_host(EmbedRig, HAS_VM_TYPE)) as rig:
        StandIn(rig, OBJECT)
        client = client_of(rig)
        xml = domain('vm', private=False, launch='sw-protected', memory=1024 * KIB,
                     emulator='/run/emulator', backing='<hugepages>%s</hugepages>' % page(1048576))
        with running(client, rig, xml, flags=PAUSED) as emulator:
            check.equal(huge_kib(emulator.pid), 0, 'KiB of huge pages taken')
            check.equal(huge_pool(1048576, 'resv_hugepages'), 1, 'pages reserved')
            check.has(rig.read(rig.domain_log % 'vm'), ' 1048576 KiB of it on huge pages', 'the log')
        client.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
