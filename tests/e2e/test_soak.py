#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hundred clients for a long time, and the same with a stock daemon: no growth beyond stock's.

GMEM_SOAK_SECONDS is the duration, by default 60 (`make soak` sets ten minutes). Each daemon does as much as it
can in that time, so memory may grow more if more was done. But it must not grow in each call by what such a
domain takes: a copy of its XML is 3 KiB."""

import json
import os
import subprocess

from gmem_rig import (BUILD, KIB, LIBVIRTD_CONF, MIB, PYTHON, DaemonRig, Failure, Process, Suite, domain,
                      domain_uuid, library, need_guest_memfd, need_root, wait_for)

suite = Suite()

CLIENTS = 200
HEAP = os.path.join(BUILD, 'tests/standin/heap.so')
ASK, ANSWER = '/run/heap-ask', '/run/heap-answer'
SECONDS = int(os.environ.get('GMEM_SOAK_SECONDS', '60'))
# Raised XML is kept up to a limit (src/conf/gmemraised.h), and each thread has some freed memory.
SLACK = 4 * MIB
PER_CALL = KIB // 4

# All clients of a daemon, each with a connection and a thread of its own. Every tenth may only read; two at a
# time start their domain. Reads lines from standard input: the number of seconds to go on.
CLIENT = r'''
import json, libvirt, random, sys, threading, time
uri, private, count = sys.argv[1], sys.argv[2] == 'private', int(sys.argv[3])
template = open('/run/template.xml').read()
libvirt.registerErrorHandler(lambda *_: None, None)  # and no event loop: no keepalive
starters = threading.Semaphore(2)
begin, end = threading.Barrier(count + 1), threading.Barrier(count + 1)
until, calls, errors = [0], [0] * count, []

def wrong(what):
    errors.append(what[:500])

def write(conn, number, i):
    xml = template.replace('NAME', 'vm%d' % number).replace('UUID', '00000000-0000-4000-8000-%012d' % number)
    vm = conn.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    text = vm.XMLDesc()
    if ('<private/>' in text) != private or 'x-libvirt-gmem' in text:
        wrong(text)
    if ('x-libvirt-gmem' in conn.domainXMLToNative('qemu-argv', text)) != private:
        wrong('native')
    for bad in xml.replace('<vcpu', '<nonsense/><vcpu'), xml[:-20]:
        try:
            conn.defineXMLFlags(bad, 1)
            wrong('nonsense was accepted')
        except libvirt.libvirtError:
            pass
    if starters.acquire(blocking=False):
        try:
            vm.create()
            if ('<private/>' in vm.XMLDesc()) != private:
                wrong('running')
            vm.destroy()
        finally:
            starters.release()
    conn.getDomainCapabilities()
    vm.undefine()
    calls[number] += 8

def read(conn, number, i):
    for vm in conn.listAllDomains():
        try:
            text = vm.XMLDesc()
            if ('<private/>' in text) != private or 'x-libvirt-gmem' in text:
                wrong(text)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        calls[number] += 1
    try:
        conn.defineXML(template)
        wrong('a reader defined a domain')
    except libvirt.libvirtError:
        pass

def work(number):
    try:
        reader = number % 10 == 0
        conn = (libvirt.openReadOnly if reader else libvirt.open)(uri)
    except Exception as error:
        wrong('client %d: %r' % (number, error))
        conn = None
    i = 0
    while True:
        begin.wait()
        while conn and time.monotonic() < until[0]:
            try:
                (read if reader else write)(conn, number, i)
            except Exception as error:
                wrong('client %d: %r' % (number, error))
                break
            i += 1
        end.wait()

for number in range(count):
    threading.Thread(target=work, args=(number,), daemon=True).start()
for line in sys.stdin:
    until[0] = time.monotonic() + float(line)
    begin.wait()
    end.wait()
    print(json.dumps([sum(calls), errors]), flush=True)
'''


class Heaped(DaemonRig):
    """A daemon that reports the size of its heap, and has all of its worker threads: otherwise libvirt starts them as it
    happens to be busy."""

    def start_daemon(self, patient=True):
        self.write('/etc/libvirt/libvirtd.conf', LIBVIRTD_CONF + 'min_workers = 20\nmax_workers = 20\n')
        for name in ASK, ANSWER:
            if not os.path.exists(self.outer(name)):
                os.mkfifo(self.outer(name))
        super().start_daemon(patient)


class Crowd:
    """A daemon, and its clients."""

    def __init__(self, rig, private):
        self.rig = rig
        text = domain('NAME', cells=[17 * KIB, 19 * KIB], private=private)
        rig.write('/run/template.xml', text.replace(domain_uuid('NAME'), 'UUID'))
        self.process = rig.popen(
            [PYTHON, '-c', CLIENT, rig.uri, 'private' if private else 'stock', str(CLIENTS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=rig.environment())
        self.host = Process(rig.daemon.pid)

    def begin(self, seconds):
        self.process.stdin.write('%d\n' % seconds)
        self.process.stdin.flush()

    def end(self):
        """The number of calls so far, and errors."""
        line = self.process.stdout.readline()
        if not line:
            raise Failure('the clients ended with status %s' % self.process.wait())
        calls, errors = json.loads(line)
        wait_for(lambda: not self.rig.emulators(), 'guests to be gone')
        return calls, errors

    def heap(self):
        """The number of bytes that are in use in the daemon's heap, as reported by tests/standin/heap.c. Its
        resident memory depends on how many calls happened to be active at once."""
        with open(self.rig.outer(ASK), 'w', encoding='ascii'):
            pass
        with open(self.rig.outer(ANSWER), encoding='ascii') as answer:
            return int(answer.read())

    def measure(self):
        """The daemon's memory in bytes, its descriptors and its threads, once it is idle."""
        seen = []

        def settled():
            seen.append((len(self.host.descriptors), len(os.listdir('/proc/%d/task' % self.host.pid))))
            return len(seen) > 20 and len(set(seen[-20:])) == 1
        wait_for(settled, 'the daemon to come to rest')
        return (self.heap(), *seen[-1])


@suite.test('%d clients for %d s: no growth beyond that of a stock daemon' % (CLIENTS, SECONDS))
def _(check):
    need_guest_memfd()
    # mallinfo2() counts the first arena.
    heap = {'MALLOC_ARENA_MAX': '1', 'GMEM_HEAP_ASK': ASK, 'GMEM_HEAP_ANSWER': ANSWER}
    with Heaped((HEAP,), heap) as stock, Heaped((HEAP,) + library(), heap) as rig:
        crowds = [Crowd(stock, False), Crowd(rig, True)]
        before = after = None
        # Caches are filled first.
        for seconds in SECONDS // 3, SECONDS - SECONDS // 3:
            for crowd in crowds:
                crowd.begin(seconds)
            ended = [crowd.end() for crowd in crowds]
            before, after = after, [(*crowd.measure(), calls)
                                    for crowd, (calls, _) in zip(crowds, ended)]
            for crowd, (calls, errors) in zip(crowds, ended):
                check.equal(errors[:5], [], "what the clients of '%s' saw" % ':'.join(crowd.rig.preload))
                check.true(calls > CLIENTS, 'only %d calls' % calls)
        (usual, grown) = [[b - a for a, b in zip(*pair)] for pair in zip(before, after)]
        for name, numbers in ('stock', usual), ('here', grown):
            print('# %s: %+d KiB, %+d descriptors, %+d threads in %d calls'
                  % (name, numbers[0] // KIB, *numbers[1:]))
        check.true(grown[0] <= max(usual[0], 0) + SLACK + PER_CALL * grown[3],
                   'memory grew by %d KiB, and %d KiB without the library' % (grown[0] // KIB,
                                                                              usual[0] // KIB))
        for what, here, there in zip(('descriptors', 'threads'), grown[1:3], usual[1:3]):
            check.true(here <= max(there, 0) + 2, '%d %s more, and %d without the library'
                       % (here, what, there))
        check.equal(rig.stop_daemon(), 0, "libvirtd's status")


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
