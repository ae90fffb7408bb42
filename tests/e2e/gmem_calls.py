# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_calls.py: a pair of hosts, one stock and one with the library, that do the same things.

What the library shows of a private domain must be, byte for byte, what stock libvirt shows of the same domain
without <private/>, plus the lines of the element."""

import re

from gmem_checks import Guest, evidence
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, DaemonRig, LibvirtError, domain, library,
                      need_guest_memfd, wait_for)

ERR_OPERATION_UNSUPPORTED = 84
ERR_OPERATION_INVALID = 55

SERIAL = '/run/serial'
SIZES = (41 * MIB, 37 * MIB)  # more than QEMU's heap, which grows with each migration

# The names that gmemDriverRefuseOtherMode() uses.
ELEMENTS = {
    None: 'ordinary memory',
    'fully-shared': '<private/>',
    'convertible': "<launchSecurity type='sw-protected'/>",
}

# What the child between fork and exec reports for with_argument(xml, '-accel', 'tcg'); no earlier check looks
# at that argument.
ACCELERATOR = '^unsupported configuration: .*accelerator .tcg.'


def other_mode(then, now):
    return ('unsupported configuration: the guest was started with %s and cannot continue with %s'
            % (ELEMENTS[then], ELEMENTS[now]))


def plain(xml):
    """The XML without <private/>, as a user would take it out: edited as text, because everything else keeps
    its bytes."""
    return re.sub(r'\n *<memoryBacking>\s*<private/>\s*</memoryBacking>', '', xml)


def convertible(xml):
    """The XML of a domain in the other mode."""
    return plain(xml).replace('</devices>', "</devices>\n<launchSecurity type='sw-protected'/>")


def private(xml):
    """What stock libvirt wrote for plain(), with the lines for <private/> where libvirt would have them; they
    are indented further in documents that contain a domain."""
    return re.sub(r'^( *)<currentMemory .*$',
                  r'\g<0>\n\1<memoryBacking>\n\1  <private/>\n\1</memoryBacking>', xml, flags=re.M)


def with_argument(xml, *arguments):
    """The XML with another argument of the user's for QEMU, in each domain that it contains."""
    return xml.replace('</domain>', '<commandline xmlns="http://libvirt.org/schemas/domain/qemu/1.0">'
                       '%s</commandline></domain>' % ''.join("<arg value='%s'/>" % a for a in arguments))


def titled(xml, title):
    """The XML with another title, which is allowed to change in a saved or running guest."""
    xml = re.sub(r'\n *<title>.*</title>', '', xml)
    return re.sub(r'(\n *)(<uuid>.*</uuid>)', r'\1\2\1<title>%s</title>' % title, xml)


class Host:
    """A rig with a client, and domains with the guest payload."""

    def __init__(self, kind, preload=None):
        self.rig = kind(library() if preload is None else preload)
        self.python = self.rig.python()
        self.guest = Guest(self.rig, SERIAL)

    def domain(self, name='vm', **options):
        options.setdefault('cells', [size // KIB for size in SIZES])
        options.setdefault('serial', SERIAL)
        return domain(name, boot=self.rig.guest_image(name), **options)

    def call(self, *arguments):
        return self.python.call(*arguments)

    def virsh(self, *arguments, **options):
        """Runs a virsh command: beside the python client, or in its place if the driver is embedded."""
        if isinstance(self.rig, DaemonRig):
            return self.rig.virsh().virsh(*arguments, **options)
        self.python.close()
        try:
            return self.rig.virsh().virsh(*arguments, **options)
        finally:
            self.python = self.rig.python()

    def virsh_shows(self, command):
        """The XML that a virsh command prints, which only shows something of the running domain 'vm'.

        An embedded virsh exits once it has printed. By then libnuma has freed what libvirt's thread that
        connects to the running QEMU may still be using, and virsh dies of SIGSEGV. dommemstat waits until
        that thread is done with the domain."""
        said = self.virsh('dommemstat vm; ' + command)
        return said[said.index('<'):]

    def run(self, name='vm', **options):
        """Defines a domain, starts it, and waits until the guest has written its memory."""
        self.rig.write(SERIAL, '')
        self.python.define(self.domain(name, **options))
        self.python.start(name)
        self.guest.wait_pass(0)

    def gone(self, name='vm'):
        """Waits until there is no QEMU; a daemon may still be busy cleaning up after it."""
        return wait_for(lambda: self.rig.emulator(name) is None, 'the end of ' + name)

    def goes_on(self, check, last):
        """The guest, restored from memory, gets past pass @last, and did not boot again."""
        number, _ = self.guest.wait_pass(last)
        check.true(number > last, 'pass %d after pass %d' % (number, last))
        check.lacks(self.guest.text, 'boot found', "the guest's serial port")
        return number

    def evidence(self, check, serial, name='vm', sizes=SIZES):
        """@serial: what the guest wrote when it booted."""
        evidence(check, self.rig.emulator(name), sizes, serial)

    def refused_mode(self, check, then, now, call):
        return check.refused(call, ERR_CONFIG_UNSUPPORTED, other_mode(then, now))

    def close(self):
        self.python.close()
        self.rig.close()


class Pair:
    """Two hosts, one of them with stock libvirt, created when they are first asked for."""

    def __init__(self, kind):
        self.kind = kind
        self._stock = self._ours = None

    @property
    def stock(self):
        if self._stock is None:
            self._stock = Host(self.kind, ())
        return self._stock

    @property
    def ours(self):
        if self._ours is None:
            self._ours = Host(self.kind)
        return self._ours

    def both(self):
        return self.stock, self.ours

    def shown(self, check, what, show, mask=lambda text: text):
        """show(host) gives the same on both hosts, except for <private/>."""
        wanted = private(mask(plain(show(self.stock))))
        check.has(wanted, '<private/>', 'what is expected of ' + what)
        got = mask(show(self.ours))
        check.equal(got, wanted, what)
        check.lacks(got, 'x-libvirt-gmem', what)
        return got

    def close(self):
        for host in (self._stock, self._ours):
            if host is not None:
                host.close()


def tests_of(suite, pair):
    """Gives @test(name) for functions that are called with checks and the host that has the library. If there
    is no guest_memfd, a test is skipped unless @starts says that it does not start a guest."""
    def test(name, starts=True):
        def register(function):
            @suite.test('%s: %s' % (pair.kind.name, name))
            def _(check):
                if starts:
                    need_guest_memfd()
                function(check, pair.ours)
        return register
    return test


def answer(call):
    """The result of a call; an error is a result, too."""
    try:
        return call()
    except LibvirtError as error:
        return 'refused: %r' % error


def _pair_value(text):
    return re.search(r"<qemu:arg value='-x-libvirt-gmem'/>\s*<qemu:arg value='([^']*)'/>", text)[1]


def pretend_convertible(rig, name, xml, stop, start):
    """Makes libvirt believe that a running, fully shared domain is a convertible one, which this host could
    not run: libvirt is stopped, its status file gets the carrier of a convertible domain, and libvirt is
    started again. QEMU is not involved.

    @xml: the domain's; @stop, @start: of libvirt."""
    embedded = not isinstance(rig, DaemonRig)
    directory = rig.directory + '/etc/qemu/' if embedded else '/etc/libvirt/qemu/'
    state = (rig.directory + '/run/qemu/' if embedded else '/run/libvirt/qemu/') + name + '.xml'
    client = rig.python()
    donor = re.sub('<uuid>.*</uuid>', '', convertible(xml)).replace(
        '<name>%s<' % name, '<name>donor<')
    client.define(donor)
    value = _pair_value(rig.read(directory + 'donor.xml'))
    client.undefine('donor')
    client.close()
    stop()
    status = rig.read(state)
    rig.write(state, status.replace(_pair_value(status), value), 0o600)
    start()
