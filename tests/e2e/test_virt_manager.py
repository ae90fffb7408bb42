#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-manager in its real window, on a display of its own: it shows, keeps and starts private domains, and
says why something is refused. Pictures are in the build tree afterwards, in tests/e2e/virt-manager."""

import os
import re
import shutil
import subprocess
import sys

from gmem_evidence import guest_memfds
from gmem_rig import (BUILD, MIB, PATIENCE, DaemonRig, Failure, Served, Skip, Suite, domain, library,
                      need_guest_memfd, need_root, wait_for)

suite = Suite()

NAME = 'vault'
PICTURES = os.path.join(BUILD, 'tests', 'e2e', 'virt-manager')
PROGRAMS = ('/usr/bin/virt-manager', '/usr/bin/Xvfb', '/usr/bin/dbus-daemon',
            '/usr/libexec/at-spi2-registryd')
PRIVATE = '<private/>'
SETTINGS = '[org/virt-manager/virt-manager]\nxmleditor-enabled=true\n'


class Desk:
    """A daemon with one domain, a display, and virt-manager, which does not have the library."""

    shared = None

    def __init__(self):
        missing = [p for p in PROGRAMS if not os.access(p, os.X_OK)]
        if missing:
            raise Skip('requires ' + ', '.join(missing))
        self.rig = DaemonRig(library())
        self.client = self.rig.python()
        self.client.define(domain(NAME, boot=self.rig.guest_image(NAME)))
        home = '/run/home/'
        self.environment = self.rig.environment(
            DISPLAY='127.0.0.1:7', XDG_RUNTIME_DIR=home + 'run', GSETTINGS_BACKEND='keyfile',
            DBUS_SESSION_BUS_ADDRESS='unix:path=%sbus' % home, GTK_THEME='Adwaita',
            **{'XDG_%s_HOME' % name.upper(): home + name for name in ('config', 'cache', 'data')})
        self.rig.write(home + 'config/glib-2.0/settings/keyfile', SETTINGS)
        os.mkdir(self.rig.outer(home + 'run'), 0o700)
        # The display is only reachable in the sandbox's network, because /tmp is shared with everybody.
        self.popen('Xvfb', ':7', '-screen', '0', '1024x600x24', '-nolock', '-ac', '-nolisten', 'unix',
                   '-nolisten', 'local', '-listen', 'tcp')
        self.popen('dbus-daemon', '--session', '--nofork', '--address=unix:path=%sbus' % home)
        wait_for(lambda: os.path.exists(self.rig.outer(home + 'bus')), 'the session bus')
        probe = 'import socket; socket.create_connection(("127.0.0.1", 6007))'
        wait_for(lambda: self.rig.run(['python3', '-c', probe]).returncode == 0, 'the display')
        self.popen('virt-manager', '--no-fork', '--connect', self.rig.uri, '--show-domain-editor', NAME)
        self.ask = Served(self.rig, 'gmem_desk.py', self.environment)
        shutil.rmtree(PICTURES, ignore_errors=True)
        os.makedirs(PICTURES)

    @classmethod
    def get(cls):
        if cls.shared is None:
            cls.shared = cls()
        return cls.shared

    def popen(self, *argv):
        with open(self.rig.outer('/run/%s.log' % argv[0]), 'wb') as log:
            return self.rig.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  env=self.environment)

    def __call__(self, verb, *arguments):
        return self.ask(verb, *arguments)

    def until(self, reached, what, *step):
        """Takes that step, and repeats it if the window has refreshed itself meanwhile, until reached()
        returns something true; returns that."""
        def again():
            result = reached()
            if not result:
                said = self.ask('error')
                if said and not reached():
                    raise Failure('virt-manager reports: ' + said)
                self.ask(*step)
            return result
        return wait_for(again, what, 5 * PATIENCE)

    def picture(self, name):
        self.ask('picture', '/run/%s.png' % name)
        shutil.copyfile(self.rig.outer('/run/%s.png' % name), os.path.join(PICTURES, name + '.png'))

    def defined(self):
        return self.client.dumpxml(NAME, '--inactive')


@suite.test('the XML tab has the element')
def _(check):
    desk = Desk.get()
    check.has(desk('xml'), PRIVATE, 'the XML tab')
    desk.picture('xml')


@suite.test('memory and CPUs are changed in their pages, and the element stays')
def _(check):
    desk = Desk.get()
    desk.until(lambda: "<memory unit='KiB'>%d</memory>" % (96 * 1024) in desk.defined(), '96 MiB',
               'spin', 'Memory', 'Max Memory Select', 96)
    check.has(desk.defined(), PRIVATE, 'dumpxml')
    desk.until(lambda: "<vcpu placement='static'>2</vcpu>" in desk.defined(), 'two CPUs',
               'spin', 'CPUs', 'Virtual CPU Select', 2)
    check.has(desk.defined(), PRIVATE, 'dumpxml')
    check.has(desk('xml'), PRIVATE, 'the XML tab')


@suite.test('the button Run starts it, on guest_memfd')
def _(check):
    need_guest_memfd()
    desk = Desk.get()
    desk('press', 'Run')
    wait_for(lambda: desk.client.state(NAME) == 'running', 'the domain to run')
    check.equal([m.size for m in guest_memfds(desk.rig.emulator(NAME).pid)], [96 * MIB], 'guest_memfds')
    check.has(desk.client.dumpxml(NAME), PRIVATE, 'dumpxml')
    desk.picture('running')
    desk.client.destroy(NAME)


@suite.test('what is refused in the XML tab is an error that says why, and changes nothing')
def _(check):
    desk = Desk.get()
    before = desk.defined()
    wrong = desk('xml').replace(PRIVATE, '<hugepages/>' + PRIVATE)
    said = desk.until(lambda: desk('error'), 'the dialog', 'write', wrong)
    check.has(said, '<private/> cannot be used with <hugepages>: guest_memfd has pages of 4 KiB only; '
              'remove <hugepages>', 'the dialog')
    desk.picture('refused')
    desk('close_error')
    check.equal(desk.defined(), before, 'dumpxml')


@suite.test('the XML tab makes it convertible; a start that is refused is an error that says why')
def _(check):
    desk = Desk.get()
    # The page for memory has left <currentMemory> below <memory>, which is not possible with convertible
    # memory.
    xml = re.sub(' *<currentMemory.*\n', '', desk('xml'))
    xml = xml.replace('</domain>', '  <launchSecurity type="sw-protected"/>\n</domain>')
    desk.until(lambda: "<launchSecurity type='sw-protected'/>" in desk.defined(), 'the element', 'write', xml)
    desk.rig.write('/etc/libvirt/gmem.conf', 'start=private\n', 0o600)
    said = desk.until(lambda: desk('error'), 'the dialog', 'press', 'Run')
    check.has(said, "line 1 of '/etc/libvirt/gmem.conf' has the key 'start' before the first [group]",
              'the dialog')
    desk.picture('not-started')
    desk('close_error')
    check.equal(desk.client.state(NAME), 'shut off', 'state')


if __name__ == '__main__':
    sys.exit(suite.run(need_root()))
