#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many calls at once, and many times over: no wrong answer, no crash, no growth."""

import threading

from gmem_checks import native_is_private, shows_private
from gmem_rig import (KIB, MIB, PYTHON, DaemonRig, EmbedRig, Process, Suite, domain, domain_uuid,
                      library, need_guest_memfd, need_root)

suite = Suite()

# A multi-threaded client: each thread has its own domains, and all share one connection.
THREADS = '''
import libvirt, sys, threading
uri, template, rounds, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
libvirt.virEventRegisterDefaultImpl()
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(uri)
errors = []

def work(number):
    try:
        for i in range(rounds):
            private = (number + i) % 3 != 0
            xml = template.replace('NAME', 'vm%d' % number).replace('UUID', 'UUID%02d' % number)
            xml = xml.replace('UUID', '00000000-0000-4000-8000-0000000000')
            if not private:
                xml = xml.replace('<private/>', '')
            domain = conn.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            dump = domain.XMLDesc()
            if ('<private/>' in dump) != private or 'x-libvirt-gmem' in dump:
                errors.append('dumpxml: ' + dump)
            native = conn.domainXMLToNative('qemu-argv', dump)
            if ('x-libvirt-gmem' in native) != private:
                errors.append('native: ' + native)
            try:
                conn.defineXMLFlags(xml.replace('<vcpu', '<nonsense/><vcpu'), 1)
                errors.append('nonsense was accepted')
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_XML_INVALID_SCHEMA:
                    errors.append(repr(error))
            if i %% 20 == 0:
                domain.create()
                if ('<private/>' in domain.XMLDesc()) != private:
                    errors.append('running: ' + domain.XMLDesc())
                domain.destroy()
            domain.undefine()
    except Exception as error:
        errors.append('thread %%d: %%r' %% (number, error))

all = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
[t.start() for t in all]
[t.join() for t in all]
print(errors)
conn.close()
'''.replace('%%', '%')


def template():
    xml = domain('NAME', cells=[17 * KIB, 19 * KIB])
    return xml.replace(domain_uuid('NAME'), 'UUID')


def threads(kind):
    @suite.test('%s: four threads define, dump, start and destroy' % kind.name)
    def _(check):
        need_guest_memfd()
        with kind(library()) as rig:
            preload = rig.preload if kind is EmbedRig else ()
            result = rig.run([PYTHON, '-c', THREADS, rig.uri, template(), '40', '4'], preload,
                             timeout=400)
            check.equal((result.stdout, result.returncode), ('[]\n', 0), 'errors')
            check.lacks(result.stderr, 'Traceback', "the client's words")
            check.equal(rig.emulators(), [], 'emulators')
            if kind is DaemonRig:
                check.equal(rig.stop_daemon(), 0, "libvirtd's status")


threads(EmbedRig)
threads(DaemonRig)


@suite.test('libvirtd: clients in processes of their own, domains running at once')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        errors = []

        def work(number):
            name = 'vm%d' % number
            try:
                client = rig.virsh() if number % 2 else rig.python()
                for _ in range(2):
                    client.define(domain(name, cells=[17 * KIB, (19 + number) * KIB]))
                    native_is_private(check, client.native(client.dumpxml(name)),
                                      [17 * MIB, (19 + number) * MIB])
                    client.start(name)
                    shows_private(check, client.dumpxml(name))
                    check.has(rig.emulator(name).maps, 'qemu-gmem.so', "QEMU's maps")
                    client.destroy(name)
                    client.undefine(name)
            except Exception as error:  # pylint: disable=broad-except
                errors.append('%s: %r' % (name, error))
        workers = [threading.Thread(target=work, args=(n,)) for n in range(5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        check.equal(errors, [], 'errors')
        check.equal(rig.emulators(), [], 'emulators')


def growth(kind, what, cycle, times):
    @suite.test('%s: %d times %s without growth' % (kind.name, times, what))
    def _(check):
        need_guest_memfd()
        # One heap for all threads: each of several heaps would return memory at any time, and more at
        # once than the leak that is looked for.
        heap = {'MALLOC_ARENA_MAX': '1'}
        options = {'environment': heap} if kind is DaemonRig else {}
        with kind(library(), **options) as rig:
            client = rig.python(environment=rig.environment(rig.preload, **heap)) \
                if kind is EmbedRig else rig.python()
            host = Process(rig.daemon.pid if kind is DaemonRig else client.process.pid)
            texts = (domain('vm', cells=[17 * KIB, 19 * KIB]), domain('vm', private=False))

            def cycles(count):
                for number in range(count):
                    cycle(check, client, texts[number % 4 == 3])
                return host.rss, sorted(link.split(':')[0] for link in host.descriptors.values()
                                        if 'inotify' not in link)
            # Caches are filled first, and the heap of every worker thread reaches its size.
            first, before = cycles(times // 2)
            last, after = cycles(times)
            check.equal(after, before, 'open files')
            # A copy of such a domain's XML is 3 KiB, so a leak of one copy in two cycles is found.
            check.true(last - first < times * 3 * KIB // 2,
                       'resident memory grew from %d to %d bytes' % (first, last))
            check.true(first > MIB, 'no resident memory was found')


def define_dump_undefine(check, client, xml):
    client.define(xml)
    dump = client.dumpxml('vm')
    check.true(('<private/>' in dump) == ('<private/>' in xml), 'wrong dumpxml')
    client.undefine('vm')


def refusals(check, client, xml):
    check.refused(lambda: client.define(xml.replace('<vcpu', '<nonsense/><vcpu'), validate=True))
    check.refused(lambda: client.define(xml.replace('<vcpu', '<memoryBacking><private/><hugepages/>'
                                                    '</memoryBacking><vcpu')
                                        .replace('<memoryBacking><private/></memoryBacking>', '')))
    client.native(xml)


for each in (EmbedRig, DaemonRig):
    growth(each, 'define, dump and undefine', define_dump_undefine, 1000)
growth(EmbedRig, 'refusals and native', refusals, 500)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
