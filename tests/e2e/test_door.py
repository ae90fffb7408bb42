#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A call that libvirt denies to a read-only client does not cost the daemon more than without the library, and has
no effect; the table of functions says which calls these are. Also: which driver serves a connection, whatever
its URI is, and how a client's text appears in the log."""

import contextlib
import glob
import json
import os
import re
import select
import subprocess
import time

import gmem_door
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, LIBVIRTD, MIB, PATIENCE, PYTHON, SOURCE, DaemonRig,
                      EmbedRig, Failure, PythonClient, Suite, domain, library, need_guest_memfd,
                      need_root)

suite = Suite()

READ_ONLY = 'qemu+unix:///system?socket=/run/libvirt/libvirt-sock-ro'
NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
LINK = '/run/links/link'
SHAPES = '/run/shapes'


# ---------------------------------------------------------------------------------------------
# The table


def source(name):
    with open(os.path.join(SOURCE, 'src/driver', name), encoding='utf-8') as file:
        return file.read()


def table():
    """{function: what it requires} from gmemreal.h, without the functions of libc."""
    text = source('gmemreal.h').replace('\\\n', '')
    return dict(re.findall(r'\bX\((vir\w+),\s*([^)]+?)\)', text))


def needs(need, flags):
    """Whether a call with @flags requires more than a read-only connection."""
    import libvirt
    if need == 'GMEM_WRITER':
        return True
    return any(flags & getattr(libvirt, name) for name in re.findall(r'VIR_\w+', need))


@suite.test('the table has every function that the library stands in front of')
def _(check):
    exported = set(re.findall(r'\b(vir\w+);', source('libvirt-gmem.syms')))
    check.equal(sorted(table()), sorted(exported), 'names in gmemreal.h')
    doorless = {name for name in exported if name.startswith('virConnectOpen')} | {'virStateReload'}
    check.equal(sorted(gmem_door.CALLS), sorted(exported - doorless), 'names that are called here')
    check.equal({table()[name] for name in doorless}, {'GMEM_ANYBODY'}, 'what these need')


@suite.test('each of them asks at the door, by its own name')
def _(check):
    asked = {}
    for name in sorted(os.listdir(os.path.join(SOURCE, 'src/driver'))):
        for function, body in re.findall(r'^GMEM_INTERPOSED [^;{]*?\b(vir\w+)\([^{]*\)\n{\n(.*?)^}$',
                                         source(name), re.M | re.S):
            asked[function] = re.findall(r'GMEM_DOOR\((\w+),', body)
    for function in gmem_door.CALLS:
        check.equal(asked.get(function), [function], 'the doors of ' + function)


def tool(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


@suite.test('nobody makes a connection past the three functions that open one')
def _(check):
    users = [path for path in (LIBVIRTD, '/usr/sbin/virtqemud') if os.path.exists(path)]
    users += glob.glob('/usr/lib/*/libvirt/connection-driver/*.so')
    for path in users:
        names = re.findall(r' (virConnectOpen(?!EnsureACL)\w*|virGetConnect)@', tool('nm', '-D', path))
        check.true(set(names) <= set(table()), '%s imports %s' % (path, names))
    # libvirt.so's own calls go through a name that is bound when it is loaded, and so reach our function.
    loaded = re.search(r'libvirt\.so\.0 => (\S+)', tool('ldd', users[0]))[1]
    check.matches(tool('readelf', '-rW', loaded), r'R_X86_64_JUMP_SLOT .* virConnectOpen@', loaded)


# ---------------------------------------------------------------------------------------------
# Clients


def furnish(rig, client):
    """Defines what gmem_door.py requires. @client: python3-libvirt with write access."""
    disk = rig.guest_image('vm', disk=True)
    text = domain('vm', private=False, kind='qemu', boot=disk)
    client.define(text)
    text = client.dumpxml('vm')
    client.call('vm', 'snapshotCreateXML', "<domainsnapshot><name>s</name><state>shutoff</state>"
                "<creationTime>1</creationTime>%s</domainsnapshot>" % text, 1)
    client.call('vm', 'checkpointCreateXML', "<domaincheckpoint><name>c</name>"
                "<creationTime>1</creationTime>%s</domaincheckpoint>" % text, 1)


class DoorClient:
    """gmem_door.py as a process in @rig."""

    def __init__(self, rig, argv, opens, uri, preload=(), shapes=('<domain/>',)):
        with open(gmem_door.__file__, encoding='utf-8') as file:
            rig.write('/run/door.py', file.read())
        for number, text in enumerate(shapes):
            rig.write('%s/%03d' % (SHAPES, number), text)
        # A file system that records when a link was followed.
        rig.run(['sh', '-c', 'mkdir -p /run/links && mount -t tmpfs -o mode=755,relatime tmpfs '
                 '/run/links && ln -s /run/door.py ' + LINK])
        self.process = rig.popen([*argv, PYTHON, '-I', '/run/door.py', opens, uri, LINK, SHAPES],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env=rig.environment(preload))
        if self.answer() != 'ready':
            raise Failure('no client')

    def answer(self, timeout=PATIENCE):
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.process.kill()
            raise Failure('no answer within %d s' % timeout)
        line = self.process.stdout.readline()
        if not line:
            raise Failure('the client ended')
        return json.loads(line)

    def call(self, function, flags=None, number=0, **options):
        self.process.stdin.write(json.dumps([function, flags, number]) + '\n')
        self.process.stdin.flush()
        return self.answer(**options)

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@suite.test('embed: what the table says is what libvirt says to a read-only client')
def _(check):
    answers = []
    for preload in (), library():
        with EmbedRig(preload) as rig:
            client = rig.python()
            furnish(rig, client)
            client.close()
            client = DoorClient(rig, [], 'virConnectOpenReadOnly', rig.uri, preload)
            answers.append({})
            for function, arguments in gmem_door.CALLS.items():
                for flags in [0] + [1 << bit for bit in range(32)]:
                    answers[-1][function, flags] = client.call(function, flags)
                    if 'flags' not in arguments:
                        break
            client.close()
    rows = table()
    check.true(len(answers[0]) > 1000, 'only %d calls' % len(answers[0]))
    for call, said in answers[0].items():
        check.equal(said[0] == gmem_door.OPERATION_DENIED, needs(rows[call[0]], call[1]),
                    'whether %s with flags 0x%x is denied (%s)' % (*call, said[1]))
        check.equal(answers[1][call], said, 'the answer to %s with flags 0x%x' % call)
    check.true(any(code == 0 for code, _ in answers[0].values()), 'nothing is allowed')


# ---------------------------------------------------------------------------------------------
# Hostile documents


def document(extra='', backing='<private/>', root='', before='', name='a'):
    return ("%s<domain type='kvm'%s><name>%s</name><memory>1048576</memory><memoryBacking>%s"
            "</memoryBacking><os><type arch='x86_64'>hvm</type></os>%s</domain>"
            % (before, root, name, backing, extra))


def shapes():
    """Documents that are small for libvirt and were large for us, or might be."""
    def many(number, format_):
        return ''.join(format_ % i for i in range(number))

    qemu = " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
    nested = ["<!ENTITY e0 'xxxxxxxxxx'>"] + [
        "<!ENTITY e%d '%s'>" % (i, '&e%d;' % (i - 1) * 10) for i in range(1, 12)]
    file = "file='%s'" % LINK
    return {
        'attributes': document(root=many(120000, " a%d='1'")),
        'domains in a snapshot': "<domainsnapshot><name>s</name><memory snapshot='external' %s/>"
                                 "%s</domainsnapshot>" % (file, document() * 2500),
        'domains and namespaces': "<domainsnapshot%s>%s</domainsnapshot>" % (
            many(3000, " xmlns:a%d='u'"), document() * 2500),
        'namespaces': document(root=many(20000, " xmlns:a%d='u'")),
        'arguments': document("<qemu:commandline>%s</qemu:commandline>"
                              % many(50000, "<qemu:arg value='%d'/>"), root=qemu),
        'entities': document('&e1;' * 50000, before='<!DOCTYPE domain [%s]>'
                             % many(20000, "<!ENTITY e%d 'x'>")),
        'nested entities': document('&e11;', before='<!DOCTYPE domain [%s]>' % ''.join(nested)),
        'external entities': document('&e;' * 1000, before="<!DOCTYPE domain SYSTEM '%s' ["
                                      "<!ENTITY e SYSTEM 'file://%s'>]>" % (LINK, LINK)),
        'levels': document('<a>' * 200 + 'x' + '</a>' * 200) + ' ' * 100000,
        'too many levels': document('<a>' * 100000 + '</a>' * 100000),
        'no end': document('<a>' * 100000)[:-9],
        'cells and node sets': document(
            '<cpu><numa>%s</numa></cpu>' % ("<cell memory='4'/>" * 1000),
            backing="<private/><hugepages><page size='4' nodeset='%s'/></hugepages>"
            % ','.join(['0-16383'] * 3000)),
        'pages': document(backing='<private/><hugepages>%s</hugepages>'
                          % many(10000, "<page size='4' nodeset='%d'/>")),
        'memory devices': document("<devices>%s</devices>" % (
            "<memory model='dimm'><target><size>4</size><node>0</node></target></memory>" * 5000)),
        'a name': document(name='n' * MIB),
        'a comment': document('<!--%s-->' % ('-=' * (MIB // 2))),
        'CDATA': document('<![CDATA[<]]>' * 50000),
        'instructions': document('<?a b?>' * 100000),
        'metadata': document("<metadata>%s</metadata>" % many(
            10000, "<a:a xmlns:a='u%d' href='../private'/>")),
        'inclusions': document("<xi:include href='%s' parse='text'/>" % LINK * 10000,
                               root=" xmlns:xi='http://www.w3.org/2001/XInclude'"),
        'an encoding': document('\x7f' * 200000, before="<?xml version='1.0' encoding='UTF-7'?>"),
        'a forged line': document("<launchSecurity type='x&#10;2026-11-25 18:00:00.000+0000: 1: error "
                                  ": virFake:1 : forged%s'/>" % ('y' * MIB)),
    }


def processor(pid):
    """The processor time that the process has used, in seconds with the precision of nanoseconds."""
    return time.clock_gettime((~pid << 3) | 2)


def peak(pid):
    """The peak of its memory, in bytes."""
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        return int(re.search(r'^VmHWM:\s*(\d+) kB', file.read(), re.M)[1]) * KIB


def measure(rig, client, function, texts):
    """The answers to all shapes, and the processor time that the daemon took for them."""
    begin = processor(rig.daemon.pid)
    answers = [client.call(function, number=number, timeout=20) for number in range(len(texts))]
    return answers, processor(rig.daemon.pid) - begin


@contextlib.contextmanager
def read_only(preload, texts):
    """A daemon, and a client of its read-only socket that runs as nobody."""
    with DaemonRig(preload) as rig:
        client = rig.python()
        furnish(rig, client)
        client.close()
        yield rig, DoorClient(rig, NOBODY, 'virConnectOpen', READ_ONLY, shapes=texts)


def touched(rig):
    """Whether anybody has followed the link since the last call."""
    path = '/proc/%d/root%s' % (rig.first.pid, LINK)
    before = os.lstat(path).st_atime
    os.utime(path, (1, 2), follow_symlinks=False)
    return before != 1


@suite.test("the read-only socket: no call of anybody's costs more than without the library")
def _(check):
    names, texts = zip(*shapes().items())
    rows = table()
    check.true(len(texts) >= 20, 'only %d shapes' % len(texts))
    with read_only((), texts) as (stock, other), read_only(library(), texts) as (rig, client):
        touched(rig)
        rig.run(['cat', LINK])
        check.true(touched(rig), 'that the link was followed is not seen here')
        logged = len(rig.read(rig.log))
        # The first calls of each are more expensive.
        for each in (stock, other), (rig, client):
            measure(*each, 'virDomainDefineXML', texts)
        for function in gmem_door.CALLS:
            for _ in range(3):  # time is also charged while another process has evicted the caches
                wanted, usual = measure(stock, other, function, texts)
                got, cost = measure(rig, client, function, texts)
                if cost <= 2 * usual + 0.1:
                    break
            check.true(cost <= 2 * usual + 0.1, '%s cost %.3f s of processor time, and %.3f s without '
                       'the library' % (function, cost, usual))
            for number, name in enumerate(names):
                check.true(wanted[number][0] == gmem_door.OPERATION_DENIED or
                           rows[function] != 'GMEM_WRITER', '%s: %s' % (function, wanted[number]))
                check.equal(got[number], wanted[number], 'the answer to %s with %s' % (function, name))
        check.true(peak(rig.daemon.pid) <= peak(stock.daemon.pid) + 16 * MIB,
                   'the daemon took %d MiB, and %d MiB without the library'
                   % (peak(rig.daemon.pid) // MIB, peak(stock.daemon.pid) // MIB))
        check.true(not touched(rig), 'a file that the client named was looked for')
        check.lacks(rig.read(rig.log)[logged:], 'gmem', 'the log')


# ---------------------------------------------------------------------------------------------
# Which driver opened a connection, and by which name

REUSE = '''
import ctypes, sys
ctypes.CDLL('libvirt.so.0', mode=ctypes.RTLD_GLOBAL)
libvirt = ctypes.CDLL(None)
for name in 'virConnectOpen', 'virConnectOpenReadOnly', 'virConnectOpenAuth', 'virDomainDefineXML':
    getattr(libvirt, name).restype = ctypes.c_void_p
libvirt.virDomainGetXMLDesc.restype = libvirt.virGetLastErrorMessage.restype = ctypes.c_char_p
quiet = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: None)
libvirt.virSetErrorFunc(None, quiet)
libvirt.virEventRegisterDefaultImpl()
uri, xml = sys.argv[1].encode(), sys.stdin.read().encode()
keep = ctypes.c_void_p(libvirt.virConnectOpen(uri))  # the driver ends with its last connection
readers, seen = set(), [0, 0]
for turn in range(12):  # libvirt 9.0 registers the driver each time, and that a few times only
    writes = turn % 3 != 0
    if turn % 2:
        conn = libvirt.virConnectOpenAuth(uri, None, 0 if writes else 1)
    else:
        conn = (libvirt.virConnectOpen if writes else libvirt.virConnectOpenReadOnly)(uri)
    assert conn, libvirt.virGetLastErrorMessage()
    domain = libvirt.virDomainDefineXML(ctypes.c_void_p(conn), xml)
    if not writes:
        assert not domain, 'a reader defined a domain'
        readers.add(conn)
    else:
        seen[conn in readers] += 1
        assert domain, libvirt.virGetLastErrorMessage()
        text = libvirt.virDomainGetXMLDesc(ctypes.c_void_p(domain), 0)
        assert b'<private/>' in text and b'x-libvirt-gmem' not in text, text
        libvirt.virDomainFree(ctypes.c_void_p(domain))
    libvirt.virConnectClose(ctypes.c_void_p(conn))
print(*seen)
'''


@suite.test('embed: a connection that has the address of an earlier reader writes as any other')
def _(check):
    with EmbedRig(library()) as rig:
        result = rig.run([PYTHON, '-c', REUSE, rig.uri], rig.preload, stdin=domain('vm'))
        check.equal(result.returncode, 0, 'status, with ' + result.stderr[-2000:])
        check.true(int(result.stdout.split()[1]) > 0, 'no address was used again')


# The URIs that the daemon opens with its own QEMU driver; a client's libvirt sends what comes after "name=".
SPELLED = ['qemu:///system#%ff', 'qemu:///system#%00a', 'qemu:///system?a=%ff', 'qemu:/system',
           'qemu://@/system', 'qemu://u@/system',
           'qemu+unix:///system?socket=/run/libvirt/libvirt-sock&x=%ff',
           'qemu+unix:///system?name=qemu%3A///system%3Fsocket=/run/nowhere']


def spelled(check, rig, uris, preload=()):
    """Domains and guests are the same through each of @uris."""
    backing = "<source type='memfd'/><access mode='shared'/>"
    image = rig.guest_image('guest')
    for uri in uris:
        client = PythonClient(rig, uri, preload)
        client.define(domain('vm'))
        if client.names() == ['vm']:
            client.define(domain('guest', boot=image))
            client.start('guest')
        for name in 'vm', 'guest':
            text = client.dumpxml(name)
            check.has(text, '<private/>', 'by ' + uri)
            check.lacks(text, 'x-libvirt-gmem', 'by ' + uri)
        check.refused(lambda: client.call('guest', 'saveFlags', '/run/saved', domain(
            'guest', boot=image, private=False, backing=backing)),
                      ERR_CONFIG_UNSUPPORTED, part='cannot continue with')
        if preload:
            client.destroy('guest')
        client.close()


@suite.test('libvirtd: a URI that is spelled otherwise leads to the same domains')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        spelled(check, rig, SPELLED)


@suite.test('embed: a URI that is spelled otherwise leads to the same domains')
def _(check):
    need_guest_memfd()
    with EmbedRig(library()) as rig:
        spelled(check, rig, [rig.uri.replace('/e', '/%65') + '&a=%ff#%ff'], rig.preload)


# ---------------------------------------------------------------------------------------------
# The log

FORGED = '2026-11-25 18:00:00.000+0000: 1: error : virFake:1 : forged'


@suite.test("a client's text is no line of its own in a log, and no long one")
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        kind = "<launchSecurity type='%s'/></domain>"
        for text in 'x&#10;' + FORGED, 'y' * 3 * MIB:
            refusal = check.refused(lambda: client.define(
                domain('vm').replace('</domain>', kind % text)), ERR_CONFIG_UNSUPPORTED)
            check.has(refusal.message, text.replace('&#10;', '\n'), "the client's error")
        client.define(domain('vm', arguments=['-object', 'memory-backend-ram,size=1M,id=a\n' + FORGED]))
        check.refused(lambda: client.start('vm'))
        for log, part in (rig.log, '\\x0a' + FORGED), (rig.domain_log % 'vm', '\\x0a' + FORGED):
            lines = [line for line in rig.read(log).splitlines() if 'libvirt-gmem: ' in line]
            check.true(any(part in line for line in lines), '%s has no %r' % (log, part))
            check.true(max(map(len, lines)) <= 1024, 'a line of %d' % max(map(len, lines)))
            check.lacks(rig.read(log), 'y' * 1024, log)
            if log == rig.log:
                check.lacks(rig.read(log), '\n' + FORGED, log)


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
