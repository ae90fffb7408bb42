#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules of gmem.conf: domains that cannot ask for private memory get it, and keep it.

Only one guest runs here: the effect of a rule is seen in the domain as libvirt has it."""

import re

from gmem_calls import plain
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR, MIB, DaemonRig, EmbedRig, Suite, domain,
                      library, need_guest_memfd, need_root)

suite = Suite()

CONF = '/etc/libvirt/gmem.conf'
NOVA = 'http://openstack.org/xmlns/libvirt/nova/1.1'
META = ("<metadata><nova:instance xmlns:nova='%s'><nova:flavor name='%%s'/></nova:instance>"
        '</metadata>' % NOVA)
RULES = '''\
# Nova's flavors, and whatever is called so.
[rule flavors]
nova-flavor=gmem.*
mode=fully-shared

[rule names]
name=vault-*
title=*secret*
mode=convertible
'''
MANAGED_SAVE_PAUSED = 4
UNDEFINE_MANAGED_SAVE = 1
METADATA_ELEMENT = 2
AFFECT_CONFIG = 2
SHARED = '<private/>'
SW = "<launchSecurity type='sw-protected'/>"


def ordinary(name, body='', **options):
    return domain(name, memory=32 * 1024, private=False, body=body, **options)


def flavored(name, flavor='gmem.small', **options):
    return ordinary(name, META % flavor, **options)


class Host(DaemonRig):
    """A daemon with rules."""

    def __init__(self, rules=RULES):
        super().__init__(library())
        self.rules(rules)

    def rules(self, text, mode=0o600):
        self.write(CONF, text, mode)

    def said(self, part):
        return self.read(self.log).count(part)


@suite.test('define and create: by flavor, by name and title; shown, logged, and others stay as they are')
def _(check):
    with Host() as host, EmbedRig() as stock:
        client = host.python()
        client.define(flavored('one'))
        check.has(client.dumpxml('one'), SHARED, 'dumpxml')
        check.equal(host.said("rule 'flavors' of '%s' gives domain 'one' <private/>" % CONF), 1, 'log')
        client.define(ordinary('vault-1', '<title>a secret</title>'))
        check.has(client.dumpxml('vault-1'), SW, 'dumpxml')
        check.has(client.dumpxml('vault-1'), SHARED, 'dumpxml')
        bare = stock.python()
        for name, xml in (('vault-2', ordinary('vault-2')), ('two', flavored('two', 'm1.gmem'))):
            client.define(xml)
            bare.define(xml)
            check.equal(client.dumpxml(name), bare.dumpxml(name), name)
        # The elements of a domain are shown as if its author had written them, and never twice.
        client.define(client.dumpxml('one'))
        check.equal(client.dumpxml('one').count(SHARED), 1, 'elements')
        check.equal(host.said("gives domain 'one'"), 1, 'log')
        # A rule says what a domain has as a minimum.
        client.define(flavored('strong', launch='sw-protected'))
        check.has(client.dumpxml('strong'), SW, 'dumpxml')
        client.define(ordinary('vault-1', '<title>secret</title>', backing=SHARED))
        check.has(client.dumpxml('vault-1'), SW, 'dumpxml')


@suite.test('a guest: created, redefined while it runs, metadata replaced, and started again')
def _(check):
    need_guest_memfd()
    with Host() as host:
        client = host.python()
        boot = host.guest_image('vm')
        client.create(flavored('brief', boot=boot))
        check.equal([m.size for m in guest_memfds(host.emulator('brief').pid)], [32 * MIB], 'guest_memfds')
        check.has(client.dumpxml('brief'), SHARED, 'dumpxml')
        client.destroy('brief')
        # The domain was defined and started without a rule, so the new rule applies at the next start.
        client.define(flavored('vm', 'm1.small', boot=boot))
        client.start('vm')
        client.define(flavored('vm', boot=boot))
        check.equal(guest_memfds(host.emulator('vm').pid), [], "the running guest's memory")
        check.lacks(client.dumpxml('vm'), SHARED, 'dumpxml')
        check.has(client.dumpxml('vm', '--inactive'), SHARED, 'dumpxml --inactive')
        client.destroy('vm')
        # Nova does this when an interface is attached, and the XML then has no flavor.
        client.call('vm', 'setMetadata', METADATA_ELEMENT, '<instance><owner/></instance>', 'nova', NOVA,
                    AFFECT_CONFIG)
        check.lacks(client.dumpxml('vm'), 'gmem.small', 'dumpxml')
        client.define(client.dumpxml('vm', '--inactive'))
        check.has(client.dumpxml('vm'), SHARED, 'dumpxml')
        client.start('vm')
        check.equal([m.size for m in guest_memfds(host.emulator('vm').pid)], [32 * MIB], 'guest_memfds')
        client.destroy('vm')


@suite.test('a managed save image keeps its mode, and the log says so')
def _(check):
    need_guest_memfd()
    with Host('') as host:
        client = host.python()
        xml = flavored('vm', boot=host.guest_image('vm'))
        client.define(xml)
        client.start('vm')
        client.call('vm', 'managedSave', MANAGED_SAVE_PAUSED)
        host.rules(RULES)
        # Nova's resume defines the domain again, and starts it.
        client.define(client.dumpxml('vm'))
        line = ("warning: rule 'flavors' of '%s' does not give domain 'vm' <private/>: it has a managed save "
                'image of a guest with ordinary memory' % CONF)
        check.equal(host.said(line), 1, line)
        client.start('vm')
        check.equal(guest_memfds(host.emulator('vm').pid), [], "the guest's memory")
        client.destroy('vm')
        client.define(xml)
        check.has(client.dumpxml('vm'), SHARED, 'dumpxml without an image')
        client.start('vm')
        client.call('vm', 'managedSave', MANAGED_SAVE_PAUSED)
        # A rule of another mode gives the mode of the image, also to XML that was written again.
        host.rules(RULES.replace('fully-shared', 'convertible'))
        client.define(xml)
        check.has(client.dumpxml('vm'), SHARED, 'dumpxml')
        check.lacks(client.dumpxml('vm'), 'sw-protected', 'dumpxml')
        check.equal(host.said("does not give domain 'vm' " + SW), 1, 'log')
        client.start('vm')
        check.equal([m.size for m in guest_memfds(host.emulator('vm').pid)], [32 * MIB], 'guest_memfds')
        client.destroy('vm')
        client.call('vm', 'undefineFlags', UNDEFINE_MANAGED_SAVE)


@suite.test('a bad file is refused as a whole, and nothing is guessed; what is mended counts at once')
def _(check):
    with Host() as host:
        client = host.python()
        client.define(ordinary('kept'))
        for text, mode, part in (
                (RULES + 'colour=red\n', 0o600, "line 10 of '%s' has the key 'colour' in [rule names]" % CONF),
                (RULES + '[rule flavors]\n', 0o600, 'for the second time'),
                (RULES, 0o620, 'must be owned by root, and writable by root only')):
            host.rules(text, mode)
            for call in (client.define, client.create):
                for xml in (flavored('vm'), ordinary('kept'), ordinary('x', backing=SHARED)):
                    check.refused(lambda: call(xml), ERR_CONFIG_UNSUPPORTED, part=part)
            # A rule could not add anything here.
            client.define(ordinary('sw', launch='sw-protected'))
        check.equal(client.names(), ['kept', 'sw'], 'domains')
        host.rules(RULES)
        client.define(flavored('vm'))
        check.has(client.dumpxml('vm'), SHARED, 'dumpxml')
        # A document type declaration could make any name stand for another.
        check.refused(lambda: client.define('<!DOCTYPE domain [<!ENTITY n "vault-1">]>'
                                            + ordinary('y').replace('>y<', '>&n;<')), ERR_XML_ERROR)
        host.rules('# none\n')
        client.define(flavored('free'))
        check.lacks(client.dumpxml('free'), SHARED, 'dumpxml')


@suite.test('what stands in the way of the element is an error that names the rule')
def _(check):
    with Host() as host:
        client = host.python()
        for xml, part in ((flavored('vm', backing='<hugepages/>'), '<private/>: <private/> cannot be used with '
                           '<hugepages>'),
                          (flavored('vm', kind='qemu'), '<private/>: ')):
            check.refused(lambda: client.define(xml), ERR_CONFIG_UNSUPPORTED,
                          part="rule 'flavors' of '%s' gives the domain %s" % (CONF, part))
        check.equal(client.names(), [], 'domains')


@suite.test('rules are for definitions: not for snapshots, nor for a client that may only read')
def _(check):
    with Host('') as host:
        client = host.python()
        client.define(flavored('vm'))
        host.rules(RULES)
        xml = client.dumpxml('vm')
        client.call('vm', 'snapshotCreateXML', '<domainsnapshot><name>s</name><state>shutoff</state>'
                    '<creationTime>1</creationTime>%s</domainsnapshot>' % xml, 1)
        check.lacks(client.call(['vm', 'snapshot', 's'], 'getXMLDesc', 0), SHARED, 'the snapshot')
        check.lacks(client.dumpxml('vm'), SHARED, 'dumpxml')
        check.lacks(client.native(xml), 'memfd', 'domxml-to-native')
        host.rules('nonsense\n')
        result = host.run(['virsh', '-q', '-r', '-c', host.uri, 'define', '/dev/stdin'], stdin=flavored('vm'))
        check.has(result.stderr, 'read only access', 'virsh -r define')


@suite.test('read-only connections are shown what libvirt stores, where the file says so; all others the elements')
def _(check):
    with Host('') as host, EmbedRig() as stock:
        client = host.python()
        client.define(ordinary('sw', launch='sw-protected'))
        client.define(ordinary('plain'))
        xml = ordinary('snapped', backing=SHARED)
        client.define(xml)
        client.call('snapped', 'snapshotCreateXML', '<domainsnapshot><name>s</name><state>shutoff</state>'
                    '<creationTime>1</creationTime>%s</domainsnapshot>' % client.dumpxml('snapped'), 1)

        def seen(option, *words):
            result = host.run(['virsh', '-q', *option, '-c', host.uri, *words])
            check.equal(result.returncode, 0, 'status of %s: %s' % (words, result.stderr))
            return result.stdout
        shown = ('dumpxml', 'sw'), ('dumpxml', 'sw', '--inactive'), ('snapshot-dumpxml', 'snapped', 's')
        before = {words: seen((), *words) for words in shown}
        plain_before = seen((), 'dumpxml', 'plain')
        # This is not the default; for a client with read-only access, an invalid value counts as the default.
        for text in ('', '[read-only]\ndomain-xml=elements\n', '[read-only]\ndomain-xml=all\n'):
            host.rules(text)
            for words in shown:
                check.equal(seen(['-r'], *words), before[words], '%s with %r' % (words, text))
        host.rules('[read-only]\ndomain-xml=stored\n')
        for words in shown:
            stored = seen(['-r'], *words)
            check.has(stored, '-x-libvirt-gmem', 'what is stored')
            check.lacks(stored, SHARED, 'what is stored')
            check.lacks(stored, '<launchSecurity', 'what is stored')
            check.equal(seen((), *words), before[words], '%s of a client that may write' % (words,))
        check.equal(seen(['-r'], 'dumpxml', 'plain'), plain_before, 'another domain')
        # libvirt itself has it: if it is defined again, by this library or by libvirt without it, the result is
        # the same.
        stored = seen(['-r'], 'dumpxml', 'sw')
        client.define(stored)
        check.equal(seen((), 'dumpxml', 'sw'), before['dumpxml', 'sw'], 'dumpxml')
        bare = stock.python()
        bare.define(stored)
        check.equal(bare.dumpxml('sw'), stored, 'what stock libvirt stores')


@suite.test('a definition that takes the element off is warned of; a rule that gives it back is none')
def _(check):
    with Host('') as host:
        client = host.python()
        line = "warning: domain '%s' was defined with %s, and is defined with %s now"
        client.define(ordinary('one', backing=SHARED))
        client.define(ordinary('sw', launch='sw-protected'))
        client.define(ordinary('other'))
        client.define(ordinary('other'))
        client.close()
        # After a restart, the daemon recognizes them by their files.
        host.stop_daemon()
        host.start_daemon()
        client = host.python()
        client.define(client.dumpxml('one'))
        client.define(ordinary('sw', launch='sw-protected'))
        check.equal(host.said('was defined with'), 0, 'warnings')
        client.define(plain(client.dumpxml('one')))
        check.equal(host.said(line % ('one', SHARED, 'ordinary memory')), 1, 'warning')
        client.define(ordinary('sw', backing=SHARED))
        check.equal(host.said(line % ('sw', SW, SHARED)), 1, 'warning')
        host.rules('[rule all]\nname=*\nmode=fully-shared\n')
        client.define(ordinary('sw'))
        check.has(client.dumpxml('sw'), SHARED, 'dumpxml')
        check.equal(host.said('was defined with'), 2, 'warnings')
        check.true(re.search('<uuid>', client.dumpxml('other')), 'the other domain')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
