#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library in other processes: clients of a daemon, and programs that start an embedded driver."""

import re

from gmem_checks import native_is_private, shows_private
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, PYTHON, DaemonRig, EmbedRig, LibvirtError,
                      Sandbox, Suite, domain, library, need_guest_memfd, need_kvm, need_root)

suite = Suite()


def answer(call):
    try:
        return call()
    except LibvirtError as error:
        return 'refused: %s' % error.message


def conversation(client, raw):
    """A client's results for domains that the library would change."""
    told = []

    def tell(call):
        told.append(answer(call))
    for name, xml in (('vm', domain('vm')),
                      ('sw', domain('sw', private=False, launch='sw-protected')),
                      ('raw', raw)):
        tell(lambda xml=xml: client.define(xml, validate=True))
        tell(lambda xml=xml: client.native(xml))
        tell(lambda xml=xml: client.define(xml))
        tell(client.names)
        for options in ((), ('--inactive',), ('--migratable',)):
            tell(lambda name=name, options=options: client.dumpxml(name, *options))
        # How much of QEMU's output libvirt quotes is a matter of luck.
        started = str(answer(lambda name=name: client.start(name)))
        told.append(('start', started.startswith('refused'), rig_log(client, name)))
        tell(lambda name=name: client.destroy(name))
        tell(lambda name=name: client.undefine(name))
    return told


def rig_log(client, name):
    return 'invalid option' in client.sandbox.read(DaemonRig.domain_log % name)


def raw_domain():
    """A lowered domain, as stock libvirt shows it."""
    with EmbedRig(library()) as rig:
        client = rig.python()
        client.define(domain('raw', memory=21 * KIB))
        client.close()
        rig.preload = ()
        return rig.python().dumpxml('raw')


def unchanged(kind, with_library):
    @suite.test('%s with the library in it, of a libvirtd %s it: told what others are told' % (
        kind, 'with' if with_library else 'without'))
    def _(check):
        need_kvm()
        raw = raw_domain()
        told = []
        for preload in ((), library()):
            # Each has its own daemon, because ids and generated names count up.
            with DaemonRig(library() if with_library else ()) as rig:
                client = rig.virsh(preload) if kind == 'virsh' else rig.python(preload)
                told.append(conversation(client, raw))
                check.equal(rig.emulators(), [], 'emulators')
        for was, now in zip(*told):
            check.equal(now, was, 'an answer')
        text = str(told[0])
        check.true(('<private/>' in text) == with_library, '<private/> in the answers')
        check.true(('-x-libvirt-gmem' in text), 'no carrier in the answers: nothing was tried')


for each in ('virsh', 'python'):
    unchanged(each, False)
unchanged('virsh', True)


def on_the_way(name, wrapper):
    @suite.test('embedded, behind `%s`: the preload reaches the client' % name)
    def _(check):
        need_guest_memfd()
        with EmbedRig(library()) as rig:
            client = rig.python(wrapper=wrapper)
            client.define(domain('vm', memory=21 * KIB))
            shows_private(check, client.dumpxml('vm'))
            native_is_private(check, client.native(client.dumpxml('vm')), [21 * MIB])
            client.start('vm')
            check.has(rig.emulator('vm').maps, 'qemu-gmem.so', "QEMU's maps")
            client.destroy('vm')


on_the_way('timeout', ['timeout', '1000'])
on_the_way('env', ['env', 'GMEM_TEST=1'])
on_the_way('sh -c', ['sh', '-c', '"$@"; exit $?', 'sh'])


@suite.test('a client that has both an embedded driver and a daemon: each gets its own')
def _(check):
    need_kvm()
    script = ('import libvirt, sys\n'
              'libvirt.virEventRegisterDefaultImpl()\n'
              'libvirt.registerErrorHandler(lambda *_: None, None)\n'
              'xml = sys.stdin.read()\n'
              # The order matters: an embedded driver takes over all URIs of qemu from then on.
              'system = libvirt.open("qemu:///system")\n'
              'embed = libvirt.open("qemu:///embed?root=/run/e")\n'
              'test = libvirt.open("test:///default")\n'
              'for conn, kind in (system, "kvm"), (embed, "kvm"), (test, "test"), (system, "kvm"):\n'
              '    domain = conn.defineXML(xml.replace("kvm", kind))\n'
              '    print(domain.XMLDesc().count("<private/>"))\n')
    with DaemonRig() as rig:
        rig.write(EmbedRig.config, rig.read(rig.config))
        result = rig.run([PYTHON, '-c', script], library(), stdin=domain('vm'))
        check.equal((result.stdout, result.returncode), ('0\n1\n0\n0\n', 0),
                    'how often <private/> was shown')
        check.lacks(result.stderr, 'Traceback', "the client's words")


@suite.test("embedded: a refusal is told to the client's handler, and is the connection's last error")
def _(check):
    script = ('import libvirt, sys\n'
              'libvirt.virEventRegisterDefaultImpl()\n'
              'told = []\n'
              'libvirt.registerErrorHandler(lambda c, e: told.append((e[0], e[1], e[2])), None)\n'
              'conn = libvirt.open("qemu:///embed?root=/run/e")\n'
              'del told[:]\n'
              'try:\n'
              '    conn.defineXML(sys.stdin.read())\n'
              'except libvirt.libvirtError:\n'
              '    print(len(told), told[0] == conn.virConnGetLastError()[:3], told[0][0], told[0][2])\n')
    message = ("unsupported configuration: <private/> cannot be used with <source type='file'/>: "
               "guest_memfd is the source of guest RAM; remove it or use <source type='memfd'/>")
    # As with stock libvirt's own errors.
    for preload, wrong, told in (
            ((), '<nonsense/>', r'1 True \d+ '),
            (library(), '<nonsense/>', r'1 True \d+ '),
            (library(), domain('vm', backing="<source type='file'/>"),
             '1 True %d %s\n$' % (ERR_CONFIG_UNSUPPORTED, re.escape(message)))):
        with EmbedRig(preload) as rig:
            result = rig.run([PYTHON, '-c', script], preload, stdin=wrong)
            check.equal(result.returncode, 0, 'status, with ' + result.stderr)
            check.matches(result.stdout, '^' + told, 'what the client was told')


@suite.test("an auto-spawned session daemon of an ordinary user has the library")
def _(check):
    need_kvm()
    with Sandbox() as sandbox:
        sandbox.open_kvm()
        preload = [sandbox.tree()]
        script = 'mkdir -p /run/nobody/run && chown -R 65534:65534 /run/nobody && chmod 700 /run/nobody'
        check.equal(sandbox.run(['sh', '-c', script]).returncode, 0, 'status')
        home = sandbox.environment(preload, HOME='/run/nobody', XDG_RUNTIME_DIR='/run/nobody/run')
        as_user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        sandbox.write('/run/nobody/vm.xml', domain('vm'))

        def virsh(*arguments):
            result = sandbox.run([*as_user, 'virsh', '-q', '-c', 'qemu:///session', *arguments],
                                 env=home)
            check.equal((result.returncode, result.stderr.strip()), (0, ''), 'virsh %s' % arguments[0])
            return result.stdout
        virsh('define', '/run/nobody/vm.xml')
        shows_private(check, virsh('dumpxml', 'vm'))
        daemons = [p for p in sandbox.processes() if p.exe.endswith(('libvirtd', 'virtqemud'))]
        check.equal(len(daemons), 1, 'session daemons')
        check.has(daemons[0].maps, preload[0], "the daemon's maps")


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
