#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd under valgrind's memcheck: the life of a private domain, in each mode that the host supports.

A report of valgrind's counts if this library is in the stack. Reports with only libvirt and GLib in the stack
do not count, nor do leaks in children, whose threads are gone. valgrind does not support the clone(2) with
which an emulator is asked what it offers, so that answer is already in the cache, from a daemon without
valgrind. The tests of the probe run under AddressSanitizer instead."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../e2e'))

# pylint: disable=wrong-import-position
from gmem_rig import (KIB, LIBVIRTD, DaemonRig, LibvirtError, Suite, domain, library,  # noqa: E402
                      need_guest_memfd, need_root)

suite = Suite()

VALGRIND = ['/usr/bin/valgrind', '--tool=memcheck', '--leak-check=full', '--show-leak-kinds=definite',
            '--errors-for-leak-kinds=definite', '--num-callers=40', '--log-file=/run/memcheck.%p']
OURS = re.compile(r'\(gmem\w+\.c:\d+\)|libvirt-gmem\.so')
LEAK = re.compile(r'lost in loss record')
IMAGE = '/run/saved'
SNAPSHOT = "<domainsnapshot><memory snapshot='external' file='/run/memory'/></domainsnapshot>"


class MemcheckRig(DaemonRig):
    """A rig whose daemon runs under valgrind, except for the first one."""

    wrapper = []

    def popen(self, argv, **options):
        return super().popen(self.wrapper + argv if argv[0] == LIBVIRTD else argv, **options)


def live(check, rig, client, mode):
    """Everything that is done with a domain of that mode; what the host does not support is refused, which is
    checked, too."""
    xml = domain('vm', cells=[17 * KIB, 19 * KIB], slots=mode == 'fully-shared',
                 launch='sw-protected' if mode == 'convertible' else None)
    client.define(xml)
    for options in (), ('--inactive',), ('--inactive', '--security-info'):
        check.has(client.dumpxml('vm', *options), '<private/>', 'dumpxml')
    try:
        client.native(xml)
        client.start('vm')
    except LibvirtError as error:
        print('# %s: %s' % (mode, error.message))
        check.equal(mode, 'convertible', 'the mode that the host does not have')
        client.undefine('vm')
        return
    client.dumpxml('vm')
    if mode == 'fully-shared':
        client.save('vm', IMAGE)
        client.call(None, 'saveImageGetXMLDesc', IMAGE, 0)
        client.restore(IMAGE)
        client.call('vm', 'snapshotCreateXML', SNAPSHOT, 0)
        name = client.call('vm', 'snapshotListNames')[0]
        client.call(['vm', 'snapshot', name], 'getXMLDesc', 0)
        client.call(['vm', 'snapshot', name], 'delete', 2)
        os.unlink(rig.outer('/run/memory'))
    client.destroy('vm')
    client.undefine('vm')


def bad(client):
    """Refused domains, which take other paths through the code."""
    for xml in ('<domain', domain('x', backing="<access mode='private'/>"),
                domain('x', arguments=('-x-libvirt-gmem', 'x')), domain('x', machine='none', kind='qemu')):
        try:
            client.define(xml)
        except LibvirtError:
            pass


def reports(text, leaks):
    """The reports in a log of valgrind's that have this library in the stack."""
    blocks = re.sub(r'(?m)^==\d+== ?', '', text).split('\n\n')
    return [block for block in blocks if re.search(r'(?m)^ +at 0x', block) and OURS.search(block)
            and (leaks or not LEAK.search(block))]


@suite.test('no error and no leak of this library under valgrind')
def _(check):
    need_guest_memfd()
    with MemcheckRig(library()) as rig:
        client = rig.python()
        live(check, rig, client, 'fully-shared')
        live(check, rig, client, 'convertible')
        client.close()
        rig.stop_daemon()
        rig.wrapper = VALGRIND
        rig.start_daemon()
        client = rig.python()
        for _ in range(2):
            live(check, rig, client, 'fully-shared')
            live(check, rig, client, 'convertible')
            bad(client)
        client.close()
        number = rig.run(['cat', '/run/libvirtd.pid']).stdout.strip()
        check.equal(rig.stop_daemon(), 0, "the daemon's end")
        logs = glob.glob(rig.outer('/run/memcheck.*'))
        own = rig.read('/run/memcheck.' + number)
        check.has(own, 'ERROR SUMMARY', "the daemon's log")
        check.has(own, 'LEAK SUMMARY', "the daemon's log")
        check.true(len(logs) > 10, 'children: %d logs' % len(logs))
        check.equal(reports(own, True), [], 'reports of the daemon')
        for log in logs:
            with open(log, encoding='utf-8', errors='replace') as file:
                check.equal(reports(file.read(), False), [], 'reports of a child')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
