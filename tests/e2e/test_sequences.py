#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Long random sequences of steps: whatever a user does with a domain, dumpxml shows <private/> if and only if the
guest's RAM is guest_memfd, and dumpxml --inactive shows what the user wrote last.

The same steps, without <private/>, are taken on a stock host: the library changes neither the answers nor the
documents of an ordinary domain. GMEM_SEED and GMEM_STEPS in the environment select other and longer sequences."""

import contextlib
import os
import random
import re

from gmem_checks import canonical
from gmem_evidence import guest_memfds
from gmem_rig import (KIB, DaemonRig, LibvirtError, Suite, domain, library, need_guest_memfd,
                      need_root)

suite = Suite()

SEED = int(os.environ.get('GMEM_SEED', '9'))
STEPS = int(os.environ.get('GMEM_STEPS', '50'))
MEMORY = 32 * KIB
LIVE, CONFIG = 1, 2
DISK = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source file='/run/%s.qcow2'/><target dev='vda' bus='virtio'/></disk>")
DIMM = ("<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>")
BALLOON = "<memballoon model='none'/>"
SHARED = "<source type='memfd'/><access mode='shared'/>"
PRIVATE, ORDINARY = 'private', 'ordinary'


def xml_of(name, mode, title):
    """A domain as its user writes it."""
    xml = domain(name, cells=[MEMORY], slots=True, private=mode == PRIVATE,
                 backing=SHARED if mode == ORDINARY else '', devices=DISK % name)
    return xml.replace('</uuid>', '</uuid>\n<title>%s</title>' % title).replace(
        BALLOON, "<memballoon model='virtio'/>")


class Walker:
    """Takes steps on one host, and remembers what was defined there."""

    def __init__(self, rig):
        self.rig = rig
        self.client = rig.python()

    def call(self, *arguments):
        return self.client.call(*arguments)

    def again(self):
        self.client.close()
        self.rig.stop_daemon()
        self.rig.start_daemon()
        self.client = self.rig.python()

    def disk(self, name):
        made = self.rig.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '/run/%s.qcow2' % name, '1M'])
        if made.returncode:
            raise RuntimeError(made.stderr)

    def close(self):
        self.client.close()
        self.rig.close()


def steps(name, mode, number):
    """Every step by name: a function of a walker."""
    file = '/run/%s.saved' % name
    snapshot = [name, 'snapshot', 's']
    return {
        'define as private': lambda w: w.client.define(xml_of(name, PRIVATE, number)),
        'define as ordinary': lambda w: w.client.define(xml_of(name, ORDINARY, number)),
        'define again': lambda w: w.client.define(w.client.dumpxml(name, '--inactive')),
        'start': lambda w: w.client.start(name),
        'create': lambda w: w.client.create(xml_of(name, mode, number)),
        'destroy': lambda w: w.client.destroy(name),
        'save': lambda w: w.client.save(name, file),
        'restore': lambda w: w.client.restore(file),
        'managedsave': lambda w: w.call(name, 'managedSave', 0),
        'managedsave-remove': lambda w: w.call(name, 'managedSaveRemove', 0),
        'start --force-boot': lambda w: w.call(name, 'createWithFlags', 8),
        'snapshot': lambda w: w.call(name, 'snapshotCreateXML',
                                     '<domainsnapshot><name>s</name></domainsnapshot>', 0),
        'revert': lambda w: w.call(snapshot, 'getName') and w.call(
            name, 'revertToSnapshot', snapshot, 0),
        'revert --force': lambda w: w.call(name, 'revertToSnapshot', snapshot, 4),
        'delete the snapshot': lambda w: w.call(snapshot, 'delete', 0),
        'attach --config': lambda w: w.call(name, 'attachDeviceFlags', DIMM, CONFIG),
        'attach --live': lambda w: w.call(name, 'attachDeviceFlags', DIMM, LIVE),
        'attach': lambda w: w.call(name, 'attachDeviceFlags', DIMM, 0),
        'detach --config': lambda w: w.call(name, 'detachDeviceFlags', DIMM, CONFIG),
        'setmem --config': lambda w: w.call(name, 'setMemoryFlags', MEMORY // 2, CONFIG),
        'suspend': lambda w: w.call(name, 'suspend'),
        'resume': lambda w: w.call(name, 'resume'),
        'reset': lambda w: w.client.reset(name),
        'desc': lambda w: w.call(name, 'setMetadata', 0, 'by step %d' % number, None, None, 0),
        'undefine': lambda w: w.client.undefine(name),
        'undefine all': lambda w: w.call(name, 'undefineFlags', 1 | 2),
        'restart the daemon': lambda w: w.again(),
    }


# Steps that do not make sense in that state; one step in ten is taken all the same.
NO_DOMAIN = ('define as private', 'define as ordinary', 'create', 'restore')
OFF = ('start', 'start', 'start', 'define as private', 'define as ordinary', 'define again', 'revert',
       'restore', 'attach --config', 'detach --config', 'managedsave-remove', 'undefine all', 'snapshot',
       'start --force-boot', 'delete the snapshot', 'setmem --config')
ON_ONLY = ('destroy', 'save', 'managedsave', 'managedsave', 'revert', 'snapshot', 'attach', 'reset',
           'attach --live', 'suspend', 'resume', 'define as private', 'define as ordinary',
           'define again', 'attach --config', 'desc', 'undefine', 'restart the daemon')
# Steps after which the configuration may differ from what was defined last.
FORGETS = ('revert', 'revert --force', 'desc', 'create', 'restore', 'undefine', 'undefine all')


def likely(walker, name, kinds, known):
    """The steps to choose from, by the domain's state."""
    try:
        some = ON_ONLY if walker.client.state(name) in ('running', 'paused') else OFF
    except LibvirtError:
        some = NO_DOMAIN
    return [s for s in some if s in known and (s[10:] in kinds or not s.startswith('define as '))]


def answer(walker, step):
    """The result of a step, without what differs in every run; an error is a result, too."""
    try:
        step(walker)
        return None
    except LibvirtError as error:
        return error


def documents(walker, name):
    """The XML that is shown: of the running domain, and of the definition."""
    shown = {}
    for what, options in (('live', ()), ('inactive', ('--inactive',))):
        with contextlib.suppress(LibvirtError):
            shown[what] = walker.client.dumpxml(name, *options)
    return shown


def truth(check, walker, name, trail):
    """<private/> is shown if and only if the RAM is guest_memfd."""
    emulator = walker.rig.emulator(name)
    shown = documents(walker, name).get('live', '')
    if emulator is None or ' id=' not in shown[:200]:
        return
    check.equal('<private/>' in shown, bool(guest_memfds(emulator.pid)),
                'dumpxml of %s and its RAM, after %s' % (name, trail))
    check.lacks(shown, 'x-libvirt-gmem', 'dumpxml')


def masked(xml):
    """The text without what differs between two runs of one host."""
    xml = re.sub(r"<domain type='kvm' id='\d+'", "<domain type='kvm'", xml)
    return re.sub(r"\n *<(label|imagelabel)>.*", '', xml)


def beside(check, walkers, name, answers, trail):
    """Two hosts gave the same results, and show the same XML."""
    check.equal(str(answers[0]), str(answers[1]), 'the answer after %s' % trail)
    ours, stock = (documents(walker, name) for walker in walkers)
    check.equal({what: masked(text) for what, text in ours.items()},
                {what: masked(text) for what, text in stock.items()}, 'documents after %s' % trail)


def walk(check, name, seed, kinds, walkers, count):
    """Takes the same steps with every walker; <private/> is checked with the first one."""
    choose = random.Random(seed)
    trail, defined = [], None
    for walker in walkers:
        walker.disk(name)
    for number in range(count):
        known = steps(name, choose.choice(kinds), number)
        known = {s: f for s, f in known.items()
                 if s[10:] in kinds or not s.startswith('define as ')}
        some = likely(walkers[0], name, kinds, known)
        step = choose.choice(sorted(known) if choose.random() < 0.1 else some)
        trail.append(step)
        before = documents(walkers[0], name).get('inactive')
        answers = [answer(walker, known[step]) for walker in walkers]
        trail[-1] += ' (refused)' if answers[0] is not None else ''
        shown = documents(walkers[0], name).get('inactive')
        if answers[0] is not None and step != 'attach' and 'revert' not in step:
            check.equal(shown, before, 'dumpxml --inactive after %s' % trail)
        # A domain that is not persistent yet is shown as it runs.
        elif step == 'define again' and '<alias ' not in before:
            check.equal(canonical(shown), canonical(before), 'dumpxml after %s' % trail)
        if answers[0] is None and step.startswith('define as '):
            defined = step[10:], number
        elif answers[0] is None and step in FORGETS:
            defined = None
        if defined:
            check.equal(('<private/>' in shown, re.findall('<title>(.*)</title>', shown)),
                        (defined[0] == PRIVATE, [str(defined[1])]),
                        'dumpxml --inactive after %s' % trail)
        truth(check, walkers[0], name, trail)
        if len(walkers) > 1:
            beside(check, walkers, name, answers, trail)
    return trail


def finish(walkers, name):
    for walker in walkers:
        for step in ('destroy', 'undefineFlags'):
            with contextlib.suppress(LibvirtError):
                walker.call(name, step, *([1 | 2] if step == 'undefineFlags' else []))


@suite.test('a domain that is now private and now ordinary: never untrue')
def _(check):
    need_guest_memfd()
    walker = Walker(DaemonRig(library()))
    trail = walk(check, 'mixed', SEED, (PRIVATE, ORDINARY), [walker], STEPS)
    check.true(len([s for s in trail if '(refused)' not in s]) > STEPS // 3, 'refused: %s' % trail)
    finish([walker], 'mixed')
    walker.close()


@suite.test('an ordinary domain, step by step beside stock: the same answers and documents')
def _(check):
    walkers = [Walker(DaemonRig(library())), Walker(DaemonRig(()))]
    walk(check, 'plain', SEED + 1, (ORDINARY,), walkers, STEPS // 2)
    finish(walkers, 'plain')
    for walker in walkers:
        walker.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
