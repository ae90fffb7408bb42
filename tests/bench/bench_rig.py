# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench_rig.py: the measurements of the benchmarks, for libvirt in four configurations.

Each configuration is a sandbox of tests/e2e/gmem_rig.py in which bench-client runs. Two have an ordinary
domain: stock libvirt, and libvirt with the library. Two have the same domain with private memory: stock
libvirt, which is given the lowered XML with two more arguments to print, and libvirt with the library, which
is given what a user writes. So the ratio of each pair is the cost of the library."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'e2e'))

import gmem_rig as rig  # pylint: disable=wrong-import-position
from callgrind import Counts  # pylint: disable=wrong-import-position

CLIENT = os.path.join(rig.BUILD, 'tests/bench/bench-client')
PIECES = os.path.join(rig.BUILD, 'tests/bench/bench-pieces')
SHIM = os.path.join(rig.BUILD, 'tests/bench/bench-shim')
MEMORY = os.path.join(rig.BUILD, 'tests/bench/bench-memory')
LOWER = os.path.join(rig.BUILD, 'tests/unit/conf/gmem-lower')

STOCK, LOADED, LOWERED, PRIVATE = CONFIGURATIONS = ('stock', 'loaded', 'lowered', 'private')

# Keeps memcpy() and memset() from using "rep movsb" and "rep stosb" (see tests/unit/test_linear.c).
TUNABLES = ('glibc.cpu.x86_rep_movsb_threshold=0x40000000:'
            'glibc.cpu.x86_rep_stosb_threshold=0x40000000')


def lowered(xml):
    """The XML that stock libvirt is given in place of @xml."""
    return subprocess.run([LOWER], input=xml, stdout=subprocess.PIPE, text=True, check=True).stdout


def domain(name, private, cells=1, devices=0, metadata=0):
    """A domain as users write it. @devices: the number of disks; @metadata: bytes of another program's
    metadata."""
    disks = ''.join(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source file='/var/lib/libvirt/images/%s-%d.qcow2'/>"
        "<target dev='sd%d' bus='scsi'/></disk>" % (name, i, i) for i in range(devices))
    body = ''
    if metadata:
        text = '<m:note>%s</m:note>' % ('x' * 45)
        body = "<metadata><m:all xmlns:m='urn:bench'>%s</m:all></metadata>" % (
            text * (metadata // len(text)))
    return rig.domain(name, machine='q35', private=private, devices=disks, body=body,
                      cells=[64 * rig.KIB] * cells if cells > 1 else None, vcpus=cells)


class Client:
    """bench-client in a rig."""

    def __init__(self, home, wrapper=(), preload=(), environment=None):
        env = home.environment(preload, **(environment or {}))
        self.home = home
        self.files = {}
        self.log = tempfile.TemporaryFile()
        self.process = home.popen([*wrapper, CLIENT, home.uri], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)

    def run(self, piece, calls, xml):
        """The nanoseconds that each of @calls calls took."""
        path = self.files.get(xml)
        if not path:
            path = self.files[xml] = '/run/bench-%d.xml' % len(self.files)
            self.home.write(path, xml)
        self.process.stdin.write('%s %d %s\n' % (piece, calls, path))
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise rig.Failure('bench-client ended with status %d:\n%s'
                              % (self.process.wait(), self.log.read().decode()[-1000:]))
        return [int(word) for word in line.split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def of_configuration(configuration, plain, private):
    """The XML that a configuration is given, and whether the configuration has the library."""
    return {STOCK: (plain, False), LOADED: (plain, True), LOWERED: (lowered(private), False),
            PRIVATE: (private, True)}[configuration]


def daemon_time(home):
    """Nanoseconds of processor time that the daemon's threads have used; 0 if there is no daemon."""
    daemon = getattr(home, 'daemon', None)
    # The number of a process's clock, as clock_getcpuclockid() would return it.
    return time.clock_gettime_ns(~daemon.pid << 3 | 2) if daemon else 0


def sandbox_time(home):
    """Nanoseconds of processor time that all processes of a sandbox have used, also those that have ended."""
    total = 0
    for pid in [home.first.pid] + [process.pid for process in home.processes()]:
        with contextlib.suppress(OSError), open('/proc/%d/stat' % pid, encoding='utf-8') as file:
            # Its own user and system time, and that of the children that it has waited for.
            total += sum(map(int, file.read().rpartition(')')[2].split()[11:15]))
    return total * 1000000000 // os.sysconf('SC_CLK_TCK')


def timed(home, clock, run):
    """[(elapsed, processor time of @clock(@home))] of each call that @run makes, in nanoseconds; it returns what was
    elapsed for each."""
    begin = clock(home)
    elapsed = run()
    used = (clock(home) - begin) / len(elapsed)
    return [(one, used) for one in elapsed]


def alternate(rounds, runs):
    """Calls each of runs, {configuration: function}, in turn, @rounds times; returns {configuration: all
    results}. Each round begins with another configuration, so that none always has the same place."""
    names = list(runs)
    results = {name: [] for name in names}
    for number in range(rounds):
        for i in range(len(names)):
            name = names[(number + i) % len(names)]
            results[name] += runs[name]()
    return results


def spread(values):
    """The distance between the quartiles, as a fraction of the median."""
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


def count(has_library, xmls, pieces, warm=3, calls=5):
    """The instructions of each of @pieces with the embedded driver: [(all, ours)]. Each is the mean of
    @calls calls in a row, because the chunks of memory that one call has freed are sorted in the next.
    @xmls: the XML for each piece."""
    with rig.EmbedRig() as home:
        # The environment contains its path, which therefore always has the same length.
        library = (home.tree(),) if has_library else ()
        # libvirt's own knowledge of the emulator is gathered, and stored, outside callgrind.
        first = Client(home, preload=library)
        for xml in dict.fromkeys(xmls):
            first.run('warm-define', 1, xml)
        first.close()
        out = '/run/callgrind.out'
        client = Client(home, ['valgrind', '-q', '--tool=callgrind', '--combine-dumps=yes',
                               '--dump-line=no', '--toggle-collect=benchMeasured',
                               '--dump-after=benchMeasured', '--callgrind-out-file=' + out],
                        library, {'LD_BIND_NOW': '1', 'GLIBC_TUNABLES': TUNABLES})
        for piece, xml in zip(pieces, xmls):
            client.run('warm-' + piece, warm, xml)
            client.run(piece, calls, xml)
        client.close()
        counts = Counts(home.outer(out))
    found = [(counts.total(part), counts.ours(part)) for part in counts.parts if part]
    return [tuple(round(statistics.mean(column)) for column in zip(*found[i:i + calls]))
            for i in range(0, len(found), calls)]


def fill(kind, mib, how, threads):
    """Nanoseconds of processor time to allocate memory, and then to write to it."""
    output = subprocess.run([MEMORY, kind, str(mib), how, str(threads)], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    return tuple(int(word) for word in output.split())
