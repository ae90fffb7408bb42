#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domains that use neither element get the same answers and the same QEMU as from stock libvirt.

All sandboxes see the same paths, so that answers are compared as they are."""

import glob
import os
import re

from gmem_rig import (HERE, KIB, DaemonRig, EmbedRig, Failure, LibvirtError, Suite, domain,
                      library, need_kvm, need_root)

suite = Suite()


class Pairs:
    """For each kind of rig: one with stock libvirt and one with the library, and a client of
    each."""
    made = {}


def pair(kind):
    if kind not in Pairs.made:
        stock, ours = kind(), kind(library())
        Pairs.made[kind] = (stock, stock.python()), (ours, ours.python())
    return Pairs.made[kind]


def answer(call):
    try:
        return call()
    except LibvirtError as error:
        return 'refused: %r' % error


def masked(text):
    """The text without the numbers of descriptors, which also differ between two stock daemons."""
    return re.sub(r'(fd"?[=:]"?|set=\d+,fd=)\d+', r'\1N', text)


def answers(client, xml):
    """What a client sees of a domain, including errors."""
    seen = [('define --validate', answer(lambda: client.define(xml, validate=True))),
            ('define', answer(lambda: client.define(xml))),
            ('domxml-to-native', answer(lambda: client.native(xml)))]
    for name in client.names():
        for options in ((), ('--inactive', '--security-info'), ('--migratable',)):
            seen.append(('dumpxml ' + ' '.join(options),
                         answer(lambda options=options: client.dumpxml(name, *options))))
        dump = client.dumpxml(name)
        seen += [('domxml-to-native of the dump', answer(lambda: client.native(dump))),
                 ('define of the dump', answer(lambda: client.define(dump, validate=True))),
                 ('undefine', answer(lambda: client.undefine(name)))]
    seen.append(('domains', client.names()))
    return seen


def compare(check, stock, ours, xml):
    wanted = answers(stock, xml)
    got = answers(ours, xml)
    check.equal([what for what, _ in got], [what for what, _ in wanted], 'the list of answers')
    for (what, was), (_, now) in zip(wanted, got):
        if isinstance(was, str):
            was, now = masked(was), masked(now)
        check.equal(now, was, what)
    return dict(wanted)


class Corpus:
    paths = sorted(glob.glob(os.path.join(HERE, 'domains', '*.xml')))
    accepted = refused = 0


def read(path):
    with open(path, 'rb') as file:
        return file.read().decode('utf-8', 'surrogateescape')


def corpus(kind):
    for path in Corpus.paths:
        # Python only passes on UTF-8; virsh passes on any bytes, but cannot share an embedded
        # driver.
        foreign = re.search('[\udc80-\udcff]', read(path))
        if foreign and kind is EmbedRig:
            continue

        @suite.test('%s: %s' % (kind.name, os.path.basename(path)))
        def _(check, path=path, foreign=foreign):
            xml = read(path)
            (stock_rig, stock), (our_rig, ours) = pair(kind)
            if foreign:
                stock, ours = stock_rig.virsh(), our_rig.virsh()
            if 'dumpxml ' in compare(check, stock, ours, xml):
                Corpus.accepted += 1
            else:
                Corpus.refused += 1


corpus(EmbedRig)
corpus(DaemonRig)


@suite.test('the corpus has domains that are accepted and ones that are refused')
def _(check):
    check.true(len(Corpus.paths) >= 40, 'only %d files' % len(Corpus.paths))
    check.true(Corpus.accepted > 50, '%d were accepted' % Corpus.accepted)
    check.true(Corpus.refused > 20, '%d were refused' % Corpus.refused)

DIMM = dict(cells=[40 * KIB], dimm=64 * KIB)
PLAIN = {
    'pc': {},
    'q35': {'machine': 'q35', 'vcpus': 2},
    'two cells': {'cells': [40 * KIB, 24 * KIB]},
    'memfd': {'backing': "<source type='memfd'/><access mode='shared'/>"},
    'a dimm': DIMM,
    'arguments': {'arguments': ['-L', '-x-libvirt-gmem', '-snapshot'],
                  'environment': [('A', 'B C'),
                                  ('LD_PRELOAD', '/usr/lib/x86_64-linux-gnu/libz.so.1')]},
}


def running(kind, name, options):
    @suite.test('%s: running: %s' % (kind.name, name))
    def _(check):
        need_kvm()
        seen = []
        for rig, client in pair(kind):
            xml = domain('plain', private=False, serial='/run/serial', **options)
            client.define(xml)
            client.start('plain')
            emulator = rig.emulator('plain')
            if emulator is None:
                raise Failure('no QEMU')
            number = client.call('plain', 'ID')
            mask = lambda text, number=number: (  # noqa: E731
                masked(text).replace('domain-%d-' % number, 'domain-N-'))
            seen.append((
                [mask(word) for word in emulator.argv],
                {key: mask(value) for key, value in emulator.environ.items()},
                client.dumpxml('plain').replace("id='%d'" % number, "id='N'"),
                client.dumpxml('plain', '--inactive'),
                client.dumpxml('plain', '--migratable').replace("id='%d'" % number, "id='N'"),
                client.native(xml),
                emulator.maps.count('gmem')))
            client.destroy('plain')
            client.undefine('plain')
        for what, was, now in zip(('argv', 'environment', 'dumpxml', 'dumpxml --inactive',
                                   'dumpxml --migratable', 'domxml-to-native', 'maps'), *seen):
            check.equal(now, was, what)
        check.equal(seen[1][-1], 0, 'mappings of ours')


for each in PLAIN.items():
    running(EmbedRig, *each)
    running(DaemonRig, *each)


def unknown_launch_security(kind):
    @suite.test("%s: unknown launchSecurity types get stock libvirt's own error" % kind.name)
    def _(check):
        for launch in ('sw-protected2', 'SW-PROTECTED', ' sw-protected', 'tdx', 'sev-snp', ''):
            (_, stock), (_, ours) = pair(kind)
            xml = domain('vm', private=False).replace(
                '</domain>', "<launchSecurity type='%s'/></domain>" % launch)
            seen = compare(check, stock, ours, xml)
            if launch:
                check.has(str(seen['define']), 'refused', 'define with ' + launch)


unknown_launch_security(EmbedRig)
unknown_launch_security(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
