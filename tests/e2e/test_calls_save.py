#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that save and restore a private domain, and that read and write the XML in save images."""

import os
import re
import stat
import threading

from gmem_calls import (ELEMENTS, ERR_OPERATION_INVALID, Host, Pair, answer, convertible, other_mode,
                        plain, tests_of, titled)
from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, DaemonRig, Died, EmbedRig, LibvirtError, Skip,
                      Suite, domain, need_guest_memfd, need_root)

suite = Suite()

IMAGE = '/run/saved'
SECURE = 1      # VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
OPTION = '-x-libvirt-gmem'
PAUSED, FORCE_BOOT = 1, 8   # virDomainCreateFlags


class Saves:
    """What the tests of one rig share: the guest's last pass, and what it wrote when it booted."""

    def __init__(self, kind):
        self.pair = Pair(kind)
        self.last = 0
        self.boot = None

    def run(self):
        need_guest_memfd()
        self.pair.ours.run()
        self.boot = self.pair.ours.guest.text
        self.last = 1

    def saved(self, check, save):
        """Calls save() at a pass of the guest that is known afterwards."""
        host = self.pair.ours
        self.last = host.guest.wait_pass(self.last)[0]
        save()
        host.gone()
        check.equal(host.rig.emulators(), [], 'emulators')

    def restored(self, check):
        host = self.pair.ours
        self.last = host.goes_on(check, self.last)
        host.evidence(check, self.boot)


def save_to_pipe(host, name):
    """Saves a domain, and makes a pipe from which the image can be read once."""
    host.call(name, 'save', IMAGE)
    host.rig.run(['sh', '-c', 'rm -f /run/pipe; mkfifo /run/pipe; (exec >/dev/null 2>&1; '
                  'cat %s >/run/pipe) </dev/null &' % IMAGE])


def need_restore_from_pipe(kind):
    """Raises Skip if stock libvirt opens an image twice (11.3), which fails, or never ends."""
    states = []
    stock = Host(kind, ())

    def restore():
        try:
            stock.call(None, 'restore', '/run/pipe')
            states.append(stock.python.state('piped'))
        except (LibvirtError, Died):
            pass
    try:
        stock.python.define(stock.domain('piped', memory=21 * KIB, cells=None, private=False))
        stock.python.start('piped')
        save_to_pipe(stock, 'piped')
        waiting = threading.Thread(target=restore, daemon=True)
        waiting.start()
        waiting.join(20)
    finally:
        stock.rig.close()
    if states != ['running']:
        raise Skip('this libvirt restores out of no pipe')


def saves(kind):
    it = Saves(kind)
    pair = it.pair

    test = tests_of(suite, pair)

    def image(host, flags=0):
        return host.call(None, 'saveImageGetXMLDesc', IMAGE, flags)

    def managed(host, flags=0):
        return host.call('vm', 'managedSaveGetXMLDesc', flags)

    def migratable(host):
        return host.python.dumpxml('vm', '--security-info', '--migratable')

    def private_titled(check, xml, title, what):
        check.has(xml, '<title>%s</title>' % title, what)
        shows_private(check, xml)

    def modes(check, call, dump):
        """call(XML) is refused for XML of each other mode, and does not change anything."""
        host = pair.ours
        xml = dump()
        host.refused_mode(check, 'fully-shared', None, lambda: call(plain(xml)))
        host.refused_mode(check, 'fully-shared', 'convertible', lambda: call(convertible(xml)))
        check.equal(dump(), xml, 'what is shown after the refusals')

    @test('save')
    def _(check, host):
        it.run()
        it.saved(check, lambda: host.call('vm', 'save', IMAGE))
        pair.stock.python.define(pair.stock.domain(private=False))
        pair.stock.python.start('vm')
        pair.stock.call('vm', 'save', IMAGE)
        check.has(host.rig.read(IMAGE), OPTION, 'the save image itself')
        check.lacks(host.rig.read(IMAGE), '<private/>', 'the save image itself')

    @test('save-image-dumpxml')
    def _(check, host):
        for flags in (0, SECURE):
            xml = pair.shown(check, 'save-image-dumpxml', lambda host, f=flags: image(host, f))
        shows_private(check, xml)
        check.equal(host.virsh('save-image-dumpxml', IMAGE, '--security-info').rstrip(),
                    xml.rstrip(), "virsh's")

    @test('save-image-define')
    def _(check, host):
        for each in pair.both():
            each.call(None, 'saveImageDefineXML', IMAGE, titled(image(each), 'defined'), 0)
        check.has(image(host), '<title>defined</title>', 'save-image-dumpxml')
        pair.shown(check, 'save-image-dumpxml', image)

    @test('save-image-define: already lowered XML passes')
    def _(check, host):
        lowered = '<domain' + host.rig.read(IMAGE).partition('<domain')[2].partition(
            '</domain>')[0] + '</domain>\n'
        check.has(lowered, OPTION, 'the XML in the save image')
        host.call(None, 'saveImageDefineXML', IMAGE, titled(lowered, 'lowered'), 0)
        private_titled(check, image(host), 'lowered', 'save-image-dumpxml')

    @test('save-image-define: another mode is refused')
    def _(check, host):
        modes(check, lambda xml: host.call(None, 'saveImageDefineXML', IMAGE, xml, 0),
              lambda: image(host))

    @test('restore with XML: another mode is refused')
    def _(check, host):
        for call in (lambda xml: host.call(None, 'restoreFlags', IMAGE, xml, 0),
                     lambda xml: host.call(None, 'restoreParams', {'file': IMAGE, 'dxml': xml}, 0)):
            modes(check, call, lambda: image(host))
        check.equal(host.rig.emulators(), [], 'emulators')

    @test('restore with XML')
    def _(check, host):
        host.call(None, 'restoreFlags', IMAGE, titled(image(host), 'restored'), 0)
        it.restored(check)
        private_titled(check, host.python.dumpxml('vm'), 'restored', 'dumpxml')

    @test('save with XML: another mode is refused')
    def _(check, host):
        for call in (lambda xml: host.call('vm', 'saveFlags', IMAGE, xml, 0),
                     lambda xml: host.call('vm', 'saveParams', {'file': IMAGE, 'dxml': xml}, 0)):
            modes(check, call, lambda: migratable(host))
        check.equal(host.python.state('vm'), 'running', 'state')

    @test('save with XML')
    def _(check, host):
        xml = titled(migratable(host), 'saved')
        it.saved(check, lambda: host.call('vm', 'saveFlags', IMAGE, xml, 0))
        private_titled(check, image(host), 'saved', 'save-image-dumpxml')

    @test('restore')
    def _(check, host):
        host.call(None, 'restore', IMAGE)
        it.restored(check)
        shows_private(check, host.python.dumpxml('vm'))

    @test('save and restore with typed parameters')
    def _(check, host):
        xml = titled(migratable(host), 'parameters')
        it.saved(check, lambda: host.call('vm', 'saveParams', {'file': IMAGE, 'dxml': xml}, 0))
        private_titled(check, image(host), 'parameters', 'save-image-dumpxml')
        xml = titled(image(host), 'parameters again')
        host.call(None, 'restoreParams', {'file': IMAGE, 'dxml': xml}, 0)
        it.restored(check)
        private_titled(check, host.python.dumpxml('vm'), 'parameters again', 'dumpxml')
        # No XML, and a paused guest.
        it.saved(check, lambda: host.call('vm', 'saveParams', {'file': IMAGE}, 4))
        host.call(None, 'restoreParams', {'file': IMAGE}, 4)  # VIR_DOMAIN_SAVE_PAUSED
        check.equal(host.python.state('vm'), 'paused', 'state')
        host.call('vm', 'resume')
        it.restored(check)

    @test('managed save, and what it shows')
    def _(check, host):
        it.saved(check, lambda: host.call('vm', 'managedSave', 0))
        pair.stock.call(None, 'restore', IMAGE)
        # The stock domain has another title by now.
        pair.stock.call('vm', 'managedSave', 0)
        for flags in (0, SECURE):
            xml = pair.shown(check, 'managedsave-dumpxml', lambda host, f=flags: managed(host, f),
                             lambda text: titled(text, 'any'))
        shows_private(check, xml)

    @test('managed-save-define')
    def _(check, host):
        for each in pair.both():
            each.call('vm', 'managedSaveDefineXML', titled(managed(each), 'managed'), 0)
        check.has(managed(host), '<title>managed</title>', 'managedsave-dumpxml')
        pair.shown(check, 'managedsave-dumpxml', managed)

    @test('managed-save-define: another mode is refused')
    def _(check, host):
        modes(check, lambda xml: host.call('vm', 'managedSaveDefineXML', xml, 0),
              lambda: managed(host))

    def other_image(check, then, now, virsh=False):
        """The domain has a managed save image of another mode, and does not start."""
        host = pair.ours
        message = ('unsupported configuration: the managed save image is of a guest with %s, and the '
                   "domain is defined with %s now: remove the image, or start without it "
                   "('--force-boot')" % (ELEMENTS[then], ELEMENTS[now]))
        for method, arguments in (('create', []), ('createWithFlags', [0]),
                                  ('createWithFlags', [PAUSED]), ('createWithFiles', [[], 0])):
            check.refused(lambda m=method, a=arguments: host.call('vm', m, *a),
                          ERR_CONFIG_UNSUPPORTED, message)
        if virsh:
            check.refused(lambda: host.virsh('start', 'vm'), part=message)
        check.equal(host.call('vm', 'hasManagedSaveImage', 0), 1, 'is there a managed save')
        check.equal(host.rig.emulators(), [], 'emulators')

    def restarted(change):
        """Restarts libvirt, with the managed save image hidden during change(): what libvirt does meanwhile
        does not affect the image."""
        host = pair.ours
        path = host.rig.outer(host.rig.state_directory + '/save/vm.save')

        def again(move):
            host.python.close()
            if kind is DaemonRig:
                host.rig.stop_daemon()
            os.rename(*move)
            if kind is DaemonRig:
                host.rig.start_daemon()
            host.python = host.rig.python()
        again((path, path + '.aside'))
        change()
        again((path + '.aside', path))

    def not_defined(check, then, now, xml):
        """Defining it is refused, also with the same uuid in another spelling, or if the uuid cannot be
        determined."""
        host = pair.ours
        message = ("unsupported configuration: domain 'vm' has a managed save image of a guest with "
                   "%s, and cannot be defined with %s until 'virsh managedsave-remove' has removed the "
                   'image' % (ELEMENTS[then], ELEMENTS[now]))
        before = host.python.dumpxml('vm')
        shouted = re.sub('<uuid>(.*)</uuid>', lambda m: '<uuid> %s </uuid>' % m[1].upper().replace(
            '-', ''), xml)
        check.true(shouted != xml, 'the uuid is written as before')
        declared = re.sub('<uuid>(.*)</uuid>', '<uuid>&u;</uuid>', xml)
        declared = '<!DOCTYPE domain [<!ENTITY u "%s">]>' % re.search('<uuid>(.*)</uuid>', xml)[1] + declared
        # With the other mode's elements, the declaration is refused before this check.
        for text in [xml, shouted] + ([declared] if now is None else []):
            for method, arguments in (('defineXML', [text]), ('defineXMLFlags', [text, 0])):
                check.refused(lambda m=method, a=arguments: host.call(None, m, *a),
                              ERR_CONFIG_UNSUPPORTED, message)
        # Malformed, which libxml2 2.15 does not notice after a bad xml:id.
        check.refused(lambda: host.call(None, 'defineXML', xml.replace(
            '</domain>', "<metadata><x xml:id='1'/></metadata></domain>text")))
        check.equal(host.python.dumpxml('vm'), before, 'dumpxml')

    @test('a domain with a managed save is not defined with another mode')
    def _(check, host):
        xml = host.python.dumpxml('vm')
        for now, made in ((None, plain(xml)), ('convertible', convertible(xml))):
            not_defined(check, 'fully-shared', now, made)
        host.python.define(titled(xml, 'as before'))
        host.python.define(xml)

    @test('a managed save that cannot be read: no definition of another mode; a damaged one is none')
    def _(check, host):
        xml = domain('two', memory=21 * KIB)
        host.python.define(xml)
        host.python.start('two')
        host.call('two', 'managedSave', 0)
        path = host.rig.outer(host.rig.state_directory + '/save/two.save')
        os.rename(path, path + '.aside')
        # A file that exists but cannot be opened.
        os.mknod(path, stat.S_IFSOCK | 0o600)
        for call in (lambda: host.python.define(xml), lambda: host.python.define(plain(xml)),
                     lambda: host.python.start('two')):
            check.refused(call, part="two.save': No such device or address")
        os.unlink(path)
        with open(path, 'w', encoding='ascii') as file:
            file.write('no image')
        host.python.define(plain(xml))
        host.python.define(xml)
        os.rename(path + '.aside', path)
        check.refused(lambda: host.python.define(plain(xml)), ERR_CONFIG_UNSUPPORTED)
        host.call('two', 'managedSaveRemove', 0)
        host.python.undefine('two')

    @test('a guest that runs in another mode than it is defined with has no managed save')
    def _(check, host):
        xml = domain('two', memory=21 * KIB)
        host.python.define(xml)
        host.python.start('two')
        host.python.define(plain(xml))
        check.refused(lambda: host.call('two', 'managedSave', 0), ERR_CONFIG_UNSUPPORTED,
                      'unsupported configuration: the guest was started with <private/>, and the domain '
                      'is defined with %s now, so a managed save image could not be restored: save the '
                      "guest to a file ('virsh save'), or define the domain as it runs" % ELEMENTS[None])
        check.equal(host.python.state('two'), 'running', 'state')
        host.python.define(xml)
        host.call('two', 'managedSave', 0)
        host.call('two', 'managedSaveRemove', 0)
        host.python.define(plain(xml))
        host.python.undefine('two')

    @test('start from a managed save: the domain has become another mode')
    def _(check, host):
        xml = host.python.dumpxml('vm')
        restarted(lambda: host.python.define(plain(xml)))
        other_image(check, 'fully-shared', None, virsh=True)
        # Defining the former XML again is allowed.
        host.python.define(xml)

    @test('start from a managed save: it is its XML that counts')
    def _(check, host):
        for each in pair.both():
            each.python.define(titled(each.domain(private=each is host), 'defined').replace(
                '</devices>', "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
                '</devices>'))
        xml = pair.shown(check, 'dumpxml', lambda each: each.python.dumpxml('vm'))
        check.has(xml, '<rng ', 'dumpxml')
        for each in pair.both():
            each.python.start('vm')
        it.restored(check)
        xml = pair.shown(check, 'dumpxml', lambda each: re.sub(
            r" id='\d+'", '', each.python.dumpxml('vm')))
        check.lacks(xml, '<rng ', 'dumpxml')
        check.has(xml, '<title>managed</title>', 'dumpxml')
        host.python.define(host.domain())

    @test('virsh: save, edit the image, restore')
    def _(check, host):
        virsh = host.rig.virsh()
        xml = virsh.file(titled(migratable(host), 'a'))
        it.saved(check, lambda: host.virsh('save', 'vm', IMAGE, '--xml', xml))
        editor = '/run/home/editor'
        host.rig.write(editor, '#!/bin/sh\nexec sed -i -e "$GMEM_EDIT" "$1"\n', 0o755)

        def env(script):
            return host.rig.environment(virsh.preload, EDITOR=editor, VISUAL=editor,
                                        GMEM_EDIT=script)
        host.virsh('save-image-edit', IMAGE, env=env('s,<title>a<,<title>b<,'))
        xml = host.virsh('save-image-dumpxml', IMAGE, '--security-info')
        private_titled(check, xml, 'b', 'save-image-dumpxml')
        # virsh ignores the answer, and exits with 0.
        host.virsh('save-image-edit', IMAGE, env=env('/<private/d'))
        check.equal(host.virsh('save-image-dumpxml', IMAGE, '--security-info'), xml, 'the image')
        host.virsh('restore', IMAGE, '--xml', virsh.file(titled(xml, 'c')))
        it.restored(check)
        it.saved(check, lambda: host.virsh('managedsave', 'vm'))
        host.virsh('managedsave-edit', 'vm', env=env('s,<title>c<,<title>d<,'))
        xml = host.virsh('managedsave-dumpxml', 'vm')
        private_titled(check, xml, 'd', 'managedsave-dumpxml')
        check.refused(lambda: host.virsh('managedsave-define', 'vm', virsh.file(plain(xml))),
                      part=other_mode('fully-shared', None))

    @test('undefine with a managed save')
    def _(check, host):
        check.equal(host.call('vm', 'hasManagedSaveImage', 0), 1, 'is there a managed save')
        check.refused(lambda: host.call('vm', 'undefine'), ERR_OPERATION_INVALID)
        host.call('vm', 'undefineFlags', 1)  # VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        check.equal(host.python.names(), [], 'domains')
        # A new domain boots instead of being restored.
        host.run(cells=[44 * KIB])
        check.has(host.guest.text, 'boot found', "the guest's serial port")
        host.evidence(check, host.guest.text, sizes=[44 * MIB])
        host.python.destroy('vm')
        host.python.undefine('vm')

    @test('an ordinary save image does not become a private one')
    def _(check, host):
        host.python.define(host.domain('ordinary', private=False))
        host.python.start('ordinary')
        host.call('ordinary', 'save', IMAGE)
        xml = image(host)
        made = xml.replace('</currentMemory>', '</currentMemory><memoryBacking><private/>'
                           '</memoryBacking>')
        check.true(made != xml, 'nothing was put in')
        for call in (lambda: host.call(None, 'saveImageDefineXML', IMAGE, made, 0),
                     lambda: host.call(None, 'restoreFlags', IMAGE, made, 0),
                     lambda: host.call(None, 'restoreParams', {'file': IMAGE, 'dxml': made}, 0)):
            host.refused_mode(check, None, 'fully-shared', call)
        check.equal(image(host), xml, 'save-image-dumpxml')
        host.call(None, 'restoreFlags', IMAGE, titled(xml, 'x'), 0)
        check.has(host.python.dumpxml('ordinary'), '<title>x</title>', 'dumpxml')
        check.equal(host.python.state('ordinary'), 'running', 'state')
        for call in (lambda: host.call('ordinary', 'saveFlags', IMAGE, made, 0),
                     lambda: host.call('ordinary', 'saveParams', {'file': IMAGE, 'dxml': made}, 0)):
            host.refused_mode(check, None, 'fully-shared', call)
        host.call('ordinary', 'managedSave', 0)
        host.refused_mode(check, None, 'fully-shared',
                          lambda: host.call('ordinary', 'managedSaveDefineXML', made, 0))
        host.python.define(host.domain('vm', private=False, memory=21 * KIB, cells=None))
        host.python.start('vm')
        host.call('vm', 'managedSave', 0)
        made = host.domain('vm', memory=21 * KIB, cells=None)
        not_defined(check, None, 'fully-shared', made)
        restarted(lambda: host.python.define(made))
        other_image(check, None, 'fully-shared')
        host.call('vm', 'createWithFlags', FORCE_BOOT)
        check.equal(host.call('vm', 'hasManagedSaveImage', 0), 0, 'is there a managed save')
        check.equal([m.size for m in guest_memfds(host.rig.emulator('vm').pid)], [21 * MIB],
                    "sizes of QEMU's guest_memfds")
        host.python.destroy('vm')
        host.python.undefine('vm')
        host.call('ordinary', 'undefineFlags', 1)

    @test('restore out of a pipe, which can be read but once')
    def _(check, host):
        need_restore_from_pipe(kind)
        host.python.define(host.domain('piped', memory=21 * KIB, cells=None))
        host.python.start('piped')
        for each in (lambda: host.call(None, 'restore', '/run/pipe'),
                     lambda: host.call(None, 'restoreFlags', '/run/pipe', None, 0)):
            save_to_pipe(host, 'piped')
            each()
            check.equal(host.python.state('piped'), 'running', 'state')
            shows_private(check, host.python.dumpxml('piped'))
        host.python.destroy('piped')
        host.python.undefine('piped')

    @test('what is no save image gets the error that stock libvirt gives', starts=False)
    def _(check, host):
        for each in pair.both():
            each.rig.write('/run/nothing', 'nothing\n')
        xml = host.domain('other')
        for path in ('/run/nothing', '/run/absent'):
            answers = [answer(lambda: each.call(None, 'saveImageDefineXML', path, None, 0))
                       for each in pair.both()]
            check.equal(answers[1], answers[0], path)
            for call in (lambda host: host.call(None, 'saveImageGetXMLDesc', path, 0),
                         lambda host: host.call(None, 'saveImageDefineXML', path, xml, 0),
                         lambda host: host.call(None, 'restore', path),
                         lambda host: host.call(None, 'restoreFlags', path, xml, 0),
                         lambda host: host.call(None, 'restoreFlags', path, plain(xml), 0)):
                wanted = check.refused(lambda: call(pair.stock))
                check.equal(check.refused(lambda: call(host)), wanted, path)

    @test('nothing is left behind', starts=False)
    def _(check, host):
        check.equal(host.python.names(), [], 'domains')
        check.equal(host.rig.emulators(), [], 'emulators')
        pair.close()


saves(EmbedRig)
saves(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
