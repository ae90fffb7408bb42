#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""OpenStack Nova's own libvirt driver beside rules of gmem.conf: what Nova does with an instance never takes
its private memory away."""

import os
import re
import subprocess
import sys

from gmem_evidence import guest_memfds
from gmem_rig import (BUILD, MIB, PYTHON, DaemonRig, Served, Skip, Suite, library, need_guest_memfd,
                      need_root)

suite = Suite()

RULE = '[rule flavors]\nnova-flavor=gmem.*\nmode=fully-shared\n'
CONF = '/etc/libvirt/gmem.conf'
UUID = '44444444-4444-4444-8444-444444444444'
NAME = 'instance-00000001'
PORT = '<nova:port uuid="22222222-2222-4222-8222-222222222222"'
BALLOON = ('autodeflate', 'freePageReporting')
# From this version on, Nova writes these into a domain's metadata, and requests them for its balloon.
WRITES_SPECS = WRITES_BALLOON = 34
# Conditions of a rule, and where they find what they look for.
SPECS = {'gmem:memory': 'private', 'trait:CUSTOM_GMEM_FULLY_SHARED': 'required'}
CONDITIONS = (
    ('nova-extra-spec=gmem:memory=priv*', '<nova:extraSpec name="gmem:memory">private<'),
    ('nova-extra-spec=trait:CUSTOM_GMEM_FULLY_SHARED=required',
     '<nova:extraSpec name="trait:CUSTOM_GMEM_FULLY_SHARED">required<'),
    ('nova-image-property=hw_disk_bus=ide', '<nova:property name="hw_disk_bus">ide<'),
    ("nova-image-property=traits_required=['CUSTOM_GMEM_FULLY_SHARED']",
     '<nova:property name="traits_required">[\'CUSTOM_GMEM_FULLY_SHARED\']<'),
)
TOOL = os.path.join(BUILD, 'tools/virt-gmem')


def ordinary(xml):
    return re.sub('<memoryBacking>.*</memoryBacking>', '', xml, flags=re.S)


class Nova:
    """A compute host: its libvirtd, which is the only one with the library, and Nova's driver."""

    shared = None

    def __init__(self):
        need_guest_memfd()
        if subprocess.run([PYTHON, '-c', 'import nova.virt.libvirt.driver'], stderr=subprocess.PIPE,
                          check=False).returncode:
            raise Skip('requires python3-nova')
        self.host = DaemonRig(library())
        self.host.write(CONF, RULE, 0o600)
        self.host.run(['sh', '-c', 'ip link add nova0 type bridge && ip link set nova0 up && '
                       'ip tuntap add dev tap-nova1 mode tap'])
        self.client = self.host.python()
        self.ask = Served(self.host, 'gmem_nova.py', self.host.environment())
        self.release = self.ask('release')

    @classmethod
    def get(cls):
        if cls.shared is None:
            cls.shared = cls()
        return cls.shared

    def __call__(self, verb, *arguments):
        return self.ask(verb, *arguments)

    def runs(self, check, memory, shown='<private/>'):
        """The instance is running, on guest_memfd if @shown is in its XML."""
        check.equal(self.client.state(NAME), 'running', 'state')
        sizes = [m.size for m in guest_memfds(self.host.emulator(NAME).pid)]
        check.equal(sizes, [memory * MIB] if shown else [], "sizes of QEMU's guest_memfds")
        for options in ((), ('--inactive',)):
            xml = self.client.dumpxml(NAME, *options)
            check.equal('<private/>' in xml, bool(shown), '<private/> is in dumpxml')


@suite.test('spawn: a rule on the flavor gives private memory')
def _(check):
    nova = Nova.get()
    nova('make', UUID, 64, 'gmem.small', {'gmem:note': 'kept'})
    nova('spawn')
    nova.runs(check, 64)
    check.has(nova.client.dumpxml(NAME), '<nova:flavor name="gmem.small"', "Nova's metadata")
    check.has(nova.host.read(nova.host.log),
              "rule 'flavors' of '%s' gives domain '%s' <private/>" % (CONF, NAME), 'the log')


@suite.test("what Nova makes a domain of has no element; the domain has it, and Nova's balloon")
def _(check):
    nova = Nova.get()
    xml = nova('guest_create')
    check.lacks(xml, 'private', "Nova's XML")
    nova.runs(check, 64)
    nova.host.write('/run/nova.xml', xml)
    result = nova.host.run([TOOL, 'explain', '--rules', CONF, '/run/nova.xml'])
    check.equal((result.stdout, result.stderr), ("rule 'flavors' applies\nthe domain gets <private/>\n", ''),
                'virt-gmem explain')
    balloons = [re.search('<memballoon.*?>', text)[0] for text in (xml, nova.client.dumpxml(NAME, '--inactive'))]
    for name in BALLOON:
        wanted = ['%s="on"' % name] if nova.release >= WRITES_BALLOON else []
        for balloon in balloons:
            check.equal(re.findall(name + '=\\S+on.', balloon.replace("'", '"')), wanted, balloon)


@suite.test('attaching an interface, which replaces the metadata')
def _(check):
    nova = Nova.get()
    kind = nova('attach_interface')
    nova.runs(check, 64)
    element = {'bridge': "<source bridge='nova0'/>", 'tap': "<target dev='tap-nova1'"}[kind]
    check.has(nova.client.dumpxml(NAME), element, 'the interface')
    check.has(nova.client.dumpxml(NAME), PORT, 'the metadata')


@suite.test('suspend and resume')
def _(check):
    nova = Nova.get()
    nova('suspend')
    check.equal(nova.client.state(NAME), 'shut off', 'state')
    nova('resume')
    nova.runs(check, 64)


@suite.test('a suspend that is refused is an error, and leaves the instance in ERROR, but running')
def _(check):
    nova = Nova.get()
    defined = nova.client.dumpxml(NAME, '--inactive')
    nova.host.write(CONF, '', 0o600)
    nova.client.define(ordinary(defined))
    said, state = nova('suspend_as_asked')
    check.has(said, 'so a managed save image could not be restored', 'the error')
    check.equal(state, 'error', "the instance's state")
    nova.host.write(CONF, RULE, 0o600)
    nova.client.define(defined)
    nova.runs(check, 64)


@suite.test('hard reboot, after somebody took the element off by hand')
def _(check):
    nova = Nova.get()
    nova.client.define(ordinary(nova.client.dumpxml(NAME, '--inactive')))
    check.has(nova.client.dumpxml(NAME, '--inactive'), '<private/>', 'the rule holds, too')
    nova('hard_reboot')
    nova.runs(check, 64)


@suite.test('rescue and unrescue')
def _(check):
    nova = Nova.get()
    nova('rescue')
    nova.runs(check, 64)
    check.has(nova.client.dumpxml(NAME), 'disk.rescue', 'the disk')
    nova('unrescue')
    nova.runs(check, 64)


@suite.test('resize to another flavor of the rule, and to one that is ordinary')
def _(check):
    nova = Nova.get()
    nova('resize', 'gmem.large', 96, {})
    nova.runs(check, 96)
    nova('resize', 'm1.small', 64, {})
    nova.runs(check, 64, shown=None)


@suite.test('rules on extra specs, traits and image properties hold through all, where Nova writes those')
def _(check):
    nova = Nova.get()
    for condition, element in CONDITIONS:
        nova.host.write(CONF, '[rule one]\n%s\nmode=fully-shared\n' % condition, 0o600)
        nova('resize', 'm1.special', 64, SPECS)
        if nova.release < WRITES_SPECS:
            check.lacks(nova.client.dumpxml(NAME), element, 'dumpxml')
            nova.runs(check, 64, shown=None)
            continue
        check.has(nova.client.dumpxml(NAME), element, 'dumpxml')
        nova.runs(check, 64)
        for verbs in (['attach_interface'], ['suspend', 'resume'], ['hard_reboot'], ['rescue', 'unrescue']):
            for verb in verbs:
                nova(verb)
            nova.runs(check, 64)


@suite.test("Nova's own loader takes the provider file that virt-gmem writes")
def _(check):
    nova = Nova.get()
    result = nova.host.run([TOOL, 'host', '--nova-provider-config'])
    check.equal(result.stderr, '', 'standard error')
    nova.host.write('/run/providers/gmem.yaml', result.stdout)
    provider = nova('providers', '/run/providers')['$COMPUTE_NODE']
    check.equal(provider['traits']['additional'], ['CUSTOM_GMEM_FULLY_SHARED'], 'traits')


@suite.test('the end')
def _(check):
    nova = Nova.get()
    nova('destroy')
    check.equal(nova.client.names(), [], 'domains')
    check.equal(nova.ask.close(), 0, "Nova's status")
    nova.host.close()


if __name__ == '__main__':
    sys.exit(suite.run(need_root()))
