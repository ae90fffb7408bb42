# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench_calls.py: what the daemon's calls cost on an ordinary domain, in instructions.

The daemon runs under callgrind, which counts while a call is dispatched. What a call costs is what the real function
costs; what the library adds is its own instructions, and all that it makes others do: the functions that it calls,
except for the real one."""

import glob
import os
import time

import bench_rig
from bench_rig import rig

DISPATCH = 'virNetServerProgramDispatch'
OUT = '/run/callgrind.out'
DISK = ("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/run/disk.img'/>"
        "<target dev='vdb' bus='virtio'/><alias name='ua-disk'/></disk>")
CONFIG, LIVE, INACTIVE = 2, 1, 2


class Daemon(rig.DaemonRig):
    """A daemon under callgrind."""

    dumps = ()

    def popen(self, argv, **options):
        if argv[0] == rig.LIBVIRTD:
            argv = ['valgrind', '-q', '--tool=callgrind', '--combine-dumps=yes', '--dump-line=no',
                    '--toggle-collect=' + DISPATCH, '--dump-after=' + DISPATCH,
                    *self.dumps, '--callgrind-out-file=%s.%%p' % OUT, *argv]
        return super().popen(argv, **options)

    def dump(self):
        """The daemon's file; each of its children has one, too."""
        return max(glob.glob(self.outer(OUT) + '.*'), key=os.path.getsize)

    def parts(self):
        with open(self.dump(), encoding='utf-8', errors='replace') as file:
            return sum(line.startswith('part:') for line in file)


class Forking(Daemon):
    """Its children have one part from fork() to our execve(), and one from there to the real one."""

    dumps = ('--dump-before=fork', '--dump-before=__libc_fork', '--dump-before=execve')

    def children(self):
        return set(glob.glob(self.outer(OUT) + '.*'))


def read(path):
    """[{'ours': instructions, 'total': instructions, 'called': {function that the library calls: instructions}}], one
    for each dispatch."""
    parts, names, objects = [], {}, {}
    objects_of = {'ob': None, 'cob': None}
    function = calls = None
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            what, _, name = line.rstrip('\n').partition('=')
            number, _, text = name.partition(' ')
            if line.startswith('part:'):
                parts.append({'total': 0, 'ours': 0, 'called': {}})
            elif what in objects_of:
                if text:
                    objects[number] = text
                objects_of[what] = objects[number]
            elif what in ('fn', 'cfn'):
                if text:
                    names[number] = text
                function = names[number]
            elif what == 'calls':
                calls = True
            elif line[0] in '+-*0123456789':
                cost, part = int(line.split()[1]), parts[-1]
                ours = 'gmem' in os.path.basename(objects_of['ob'])
                callee = objects_of['cob'] or objects_of['ob']
                if not calls:
                    part['total'] += cost
                    part['ours'] += cost * ours
                elif ours and 'gmem' not in os.path.basename(callee):
                    part['called'][function] = part['called'].get(function, 0) + cost
                if calls:
                    calls = objects_of['cob'] = None
    return parts


def steps(plain):
    """(domain, method, arguments …), in an order in which libvirt can do them."""
    return (
        (None, 'defineXML', plain), ('vm', 'XMLDesc', 0), (None, 'domainXMLToNative', 'qemu-argv', plain, 0),
        ('vm', 'rename', 'vm2', 0), ('vm2', 'rename', 'vm', 0),
        ('vm', 'setMaxMemory', 65536), ('vm', 'setMemoryFlags', 65536, CONFIG),
        ('vm', 'setMemoryParameters', {'hard_limit': 9007199254740991}, CONFIG),
        ('vm', 'setLifecycleAction', 1, 1, CONFIG),
        ('vm', 'attachDeviceFlags', DISK, CONFIG), ('vm', 'updateDeviceFlags', DISK, CONFIG),
        ('vm', 'detachDeviceFlags', DISK, CONFIG),
        ('vm', 'create'), ('vm', 'attachDevice', DISK), ('vm', 'detachDeviceFlags', DISK, LIVE),
        ('vm', 'memoryPeek', 0, 16, 1), ('vm', 'startDirtyRateCalc', 1, 0), ('vm', 'coreDump', '/run/core', 0),
        ('vm', 'managedSave', 0), ('vm', 'managedSaveGetXMLDesc', 0), ('vm', 'create'),
        ('vm', 'save', '/run/save.img'), (None, 'saveImageGetXMLDesc', '/run/save.img', 0),
        (None, 'restore', '/run/save.img'), ('vm', 'destroy'), (None, 'createXML', plain, 0), ('vm', 'destroy'))


def counted(home, client, calls):
    """The parts of the last of two rounds of @calls, [(method, part)]: the first time, things are bound, and the
    emulator is asked."""
    log = []
    for _ in range(2):
        log = []
        for domain, method, *arguments in calls:
            before = home.parts()
            client.call(domain, method, *arguments)
            time.sleep(0.05)  # the answer comes before the dump
            log.append((method, before, home.parts()))
    parts = read(home.dump())
    # The others look the domain up.
    return [(method, max(parts[before:after], key=lambda part: part['total'])) for method, before, after in log]


def dispatched(has_library, xml):
    """What the daemon executes for a call over its socket: {method: [(all instructions, ours)]}."""
    calls = ((None, 'defineXML', xml), ('vm', 'XMLDesc', 0), (None, 'domainXMLToNative', 'qemu-argv', xml, 0))
    results = {}
    with Daemon(rig.library() if has_library else (), environment={'LD_BIND_NOW': '1'}) as home:
        client = rig.PythonClient(home, home.uri)
        for call in calls:
            for method, part in counted(home, client, [call] * 5):
                results.setdefault(method, []).append((part['total'], part['ours']))
    return results


def measure():
    """[(call, instructions of the real function, ours, all that the library adds, the calls of libvirt among that)]."""
    with Daemon(rig.library(), environment={'LD_BIND_NOW': '1'}) as home:
        home.run(['truncate', '-s', '1M', '/run/disk.img'])
        client = rig.PythonClient(home, home.uri)
        log = counted(home, client, steps(bench_rig.domain('vm', False)))
    return [row for row in (of_call(method, part) for method, part in log) if row]


def executed():
    """[(the call in which a child executes a program, instructions of the child before that, ours, all that the
    library adds)]."""
    rows = []
    with Forking(rig.library(), environment={'LD_BIND_NOW': '1'}) as home:
        client = rig.PythonClient(home, home.uri)
        for domain, method, *arguments in (
                (None, 'defineXML', bench_rig.domain('vm', False)), ('vm', 'create'), ('vm', 'save', '/run/save.img')):
            before = home.children()
            client.call(domain, method, *arguments)
            time.sleep(0.5)
            for path in sorted(home.children() - before):
                own, more = read(path)[-2:]
                if more['total']:
                    rows.append((method, own['total'], more['ours'], more['total']))
        client.call('vm', 'undefine')
    return rows


def of_call(method, part):
    called = sorted(part['called'].items(), key=lambda item: -item[1])
    libvirt = [name for name, _ in called if name.startswith('vir')]
    names = {'defineXML': 'virDomainDefineXML', 'XMLDesc': 'virDomainGetXMLDesc',
             'domainXMLToNative': 'virConnectDomainXMLToNative',
             'saveImageGetXMLDesc': 'virDomainSaveImageGetXMLDesc'}
    real = names.get(method, 'virDomain' + method[0].upper() + method[1:])
    if real not in part['called']:
        return None
    cost = part['called'].pop(real)
    return (method, cost, part['ours'], part['ours'] + sum(part['called'].values()),
            ', '.join(name for name in libvirt if name != real))
