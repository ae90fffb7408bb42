#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh domcapabilities with the library, compared with stock libvirt's answer."""

import difflib
import os
import re
import sys

from gmem_rig import (QEMU, DaemonRig, EmbedRig, Skip, Suite, domain, kvm_extension, library,
                      need_kvm, need_root)

suite = Suite()

CAP_VM_TYPES = 235
CAP_GUEST_MEMFD_FLAGS = 244

# Emulator, architecture, machine, virt type; '' is not passed.
QUESTIONS = [
    ('', '', '', ''),
    ('', 'x86_64', 'pc', 'kvm'),
    ('', 'x86_64', 'q35', 'kvm'),
    (QEMU, '', 'q35', ''),
    ('', 'x86_64', 'isapc', 'kvm'),
    ('', 'x86_64', 'microvm', 'kvm'),
    ('', 'x86_64', 'q35', 'qemu'),
    ('', 'i686', '', ''),
]
NOT_OURS = QUESTIONS[4:]

# An emulator that only libvirt can ask: libvirt makes it write a pid file.
DEAF = '''\
#!/bin/sh
case "$*" in
*-pidfile*) exec %s "$@" ;;
esac
echo 'deaf to you' >&2
exit 3
''' % QEMU


def modes():
    """What KVM and QEMU on this host support, determined without the code under test."""
    result = []
    if kvm_extension(CAP_VM_TYPES) >> 1 & 1:
        result.append('convertible')
    if kvm_extension(CAP_GUEST_MEMFD_FLAGS) & 3 == 3:
        result.append('fully-shared')
    return result


def options(question):
    names = ('--emulatorbin', '--arch', '--machine', '--virttype')
    return [word for name, value in zip(names, question) if value for word in (name, value)]


def ask(client, question):
    return client.virsh('domcapabilities', *options(question))


def enum(name, values, indent):
    if not values:
        return ["%s<enum name='%s'/>" % (indent, name)]
    return (["%s<enum name='%s'>" % (indent, name)] +
            ['%s  <value>%s</value>' % (indent, value) for value in values] +
            ['%s</enum>' % indent])


def check_raised(check, stock, raised, wanted):
    """@raised is @stock with what @wanted modes add, and nothing else."""
    private = enum('private', wanted, '    ')
    security = enum('sectype', ['sw-protected'], '      ')
    expected = private
    if 'convertible' in wanted:
        expected = expected + ["    <launchSecurity supported='yes'>"] + security + [
            '    </launchSecurity>']
    difference = [line for line in difflib.ndiff(stock.split('\n'), raised.split('\n'))
                  if line[0] in '+-']
    added = [line[2:] for line in difference if line[0] == '+']
    removed = [line[2:] for line in difference if line[0] == '-']
    # If two lines are equal, difflib cannot know which one is new.
    check.equal(sorted(added), sorted(expected), 'the new lines')
    check.true(not removed or ('convertible' in wanted and
                               removed == ["    <launchSecurity supported='no'/>"]),
               'lines are gone: %r' % removed)
    check.has(raised, '\n'.join(private) + '\n  </memoryBacking>\n', 'raised capabilities')


def stock_answers(rig):
    virsh = rig.virsh()
    answers = [ask(virsh, question) for question in QUESTIONS]
    rig.close()
    return answers


@suite.test('virsh on an embedded driver')
def _(check):
    need_kvm()
    stock = stock_answers(EmbedRig())
    with EmbedRig(preload=library()) as rig:
        for question, answer in zip(QUESTIONS, stock):
            check_raised(check, answer, ask(rig.virsh(), question),
                         [] if question in NOT_OURS else modes())


@suite.test('virsh and python on libvirtd')
def _(check):
    need_kvm()
    stock = stock_answers(DaemonRig())
    with DaemonRig(preload=library()) as rig:
        client = rig.python()
        for question, answer in zip(QUESTIONS, stock):
            raised = ask(rig.virsh(), question)
            check_raised(check, answer, raised, [] if question in NOT_OURS else modes())
            # virsh adds a newline to the answer.
            check.equal(client.call(None, 'getDomainCapabilities', *[v or None for v in question])
                        .rstrip('\n'), raised.rstrip('\n'), 'what python gets')


@suite.test('a client of a stock daemon sees the answer of that daemon, library or not')
def _(check):
    need_kvm()
    with DaemonRig() as rig:
        stock = ask(rig.virsh(), QUESTIONS[1])
        check.lacks(stock, "name='private'", 'the stock answer')
        check.equal(ask(rig.virsh(preload=library()), QUESTIONS[1]), stock, 'the answer')


@suite.test("libvirt's own refusals stay, and no emulator runs for a read-only client")
def _(check):
    need_kvm()
    refused = [
        ('-r', 'domcapabilities'),
        ('domcapabilities', '--machine', 'none'),
        ('domcapabilities', '--emulatorbin', '/nonexistent'),
        ('domcapabilities', '--emulatorbin', '/bin/true'),
        ('domcapabilities', '--virttype', 'nonsense'),
    ]

    def messages(rig):
        errors = [check.refused(lambda a=a: rig.virsh().virsh(*a)) for a in refused]
        return [re.sub('/qmp-[^/]*/', '/qmp/', error.message) for error in errors]
    with DaemonRig() as rig:
        stock = messages(rig)
    with DaemonRig(preload=library()) as rig:
        check.equal(messages(rig), stock, 'messages')
        check.true(not os.path.exists(rig.outer('/var/cache/libvirt/gmem')),
                   'an emulator was asked')


@suite.test('an emulator that libvirt can ask, and we cannot: no modes, and the log says why')
def _(check):
    need_kvm()
    path = '/var/lib/libvirt/deaf'
    question = (path, 'x86_64', 'q35', 'kvm')
    with DaemonRig() as rig:
        rig.write(path, DEAF, 0o755)
        stock = ask(rig.virsh(), question)
    with DaemonRig(preload=library()) as rig:
        rig.write(path, DEAF, 0o755)
        check_raised(check, stock, ask(rig.virsh(), question), [])
        check.matches(rig.read(rig.log), re.escape(path) + '.*deaf to you', "the daemon's log")
        check_raised(check, stock, ask(rig.virsh(), question), [])
        check.equal(rig.read(rig.log).count('deaf to you'), 2, 'times the emulator was asked')


@suite.test('what is offered starts, and nothing else does')
def _(check):
    need_kvm()
    with DaemonRig(preload=library()) as rig:
        virsh = rig.virsh()
        offered = ask(virsh, ('', 'x86_64', 'q35', 'kvm'))
        for mode, launch in (('fully-shared', None), ('convertible', 'sw-protected')):
            virsh.define(domain('vm', machine='q35', launch=launch))
            if '<value>%s</value>' % mode in offered:
                virsh.start('vm')
                check.equal(virsh.state('vm'), 'running', mode)
                virsh.destroy('vm')
            else:
                check.refused(lambda: virsh.start('vm'), part='unsupported configuration')
            virsh.undefine('vm')


@suite.test('virt-install writes the same domain with and without the library')
def _(check):
    need_kvm()
    if not os.access('/usr/bin/virt-install', os.X_OK):
        raise Skip('requires virt-install (Debian package virtinst)')
    arguments = ['/usr/bin/virt-install', '--connect', 'qemu:///system', '--name', 'guest',
                 '--uuid', '6f2cf7d4-0c41-4b5f-9a5a-4a0f1f1a7a11', '--memory', '64',
                 '--disk', 'none', '--network', 'none', '--osinfo', 'generic', '--import',
                 '--memorybacking', 'source.type=memfd,access.mode=shared', '--print-xml']
    with DaemonRig() as rig:
        stock = rig.run(arguments)
    check.equal(stock.returncode, 0, stock.stderr)
    check.has(stock.stdout, "<source type='memfd'/>".replace("'", '"'), 'the domain')
    with DaemonRig(preload=library()) as rig:
        check.equal(rig.run(arguments).stdout, stock.stdout, 'the domain')


if __name__ == '__main__':
    sys.exit(suite.run(skip=need_root()))
