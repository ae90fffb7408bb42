#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab: a command, a domain and a prompt, as tools/lab.py provides them.

In the rig, KVM has the VM type, and the lab uses it. Outside, the lab is a machine of its own, with the kernel
that GMEM_KERNEL names. Users see the same, except for the line that says which of the two it is."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_kvm import VM_SW_PROTECTED, has_type
from gmem_rig import BUILD, PATIENCE, PYTHON, SOURCE, Failure, Skip, Suite, need_root

KERNEL = os.environ.get('GMEM_KERNEL', '')
LAB = os.path.join(SOURCE, 'tools', 'lab.py')
# The time for booting a machine, where each instruction is emulated, and then libvirtd, on a busy machine.
LONG = 5 * PATIENCE + 600

# What a guest of tests/guest does by itself; it ends with the reset.
COMMANDS = 'p 100000 4\nw 100000 4 7\nv 100000 4 7\nr\n'
DOMAIN = '''
<domain type='kvm'>
  <name>of-mine</name>
  <memory unit='MiB'>44</memory>
  <vcpu>2</vcpu>
  <sysinfo type='fwcfg'>
    <entry name='opt/org.libvirt-gmem/commands' file='{directory}/commands'/>
  </sysinfo>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader type='rom'>{directory}/guest.rom</loader>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <serial type='pty'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
  <launchSecurity type='sw-protected'/>
</domain>
'''

suite = Suite()


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix='gmem-lab-', dir='/tmp') as path:
        yield path


def lab(*arguments, share):
    return [PYTHON, LAB, '--share', share, *(['--kernel', KERNEL] if KERNEL else []), *arguments, BUILD]


def run(*arguments, share):
    return subprocess.run(lab(*arguments, share=share), stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=LONG)


@suite.test('a command has its output, its status, the files and a libvirt of its own')
def _(t):
    with directory() as share, directory() as other:
        for path in (share, other):
            with open(path + '/before', 'w', encoding='ascii') as file:
                file.write('from outside\n')
        done = run('--run', 'cat %s/before; virsh list --all --name; virt-gmem host | '
                   'grep VM_TYPES; echo inside >%s/after; echo words >&2; exit 7' % (other, share), share=share)
        t.equal(done.returncode, 7, 'exit status\n' + done.stderr)
        t.matches(done.stdout, r'\Afrom outside\n\n+KVM: VM type.*: PASS \(0x3\)\n', 'output')
        t.has(done.stdout + done.stderr, 'words\n', 'what goes to standard error')
        t.has(done.stderr, 'KVM of this host has software-protected VMs, and is used' if has_type(VM_SW_PROTECTED)
              else 'an emulated machine starts', 'which it is')
        with open(share + '/after', encoding='ascii') as file:
            t.equal(file.read(), 'inside\n', 'what was written in the shared directory')


@suite.test('a domain runs to its end, and what its console says is seen')
def _(t):
    with directory() as share:
        shutil.copyfile(os.path.join(BUILD, 'tests', 'guest', 'gmem-private.rom'), share + '/guest.rom')
        with open(share + '/commands', 'w', encoding='ascii') as file:
            file.write(COMMANDS)
        with open(share + '/domain.xml', 'w', encoding='ascii') as file:
            file.write(DOMAIN.format(directory=share))
        done = run('--domain', share + '/domain.xml', share=share)
        t.equal(done.returncode, 0, 'exit status\n%s%s' % (done.stdout, done.stderr))
        for line in ('hypercall vmmcall yes', 'p 100000 4 = 00000000', 'v 100000 4 7 = 00000004', 'r'):
            t.has(done.stdout.replace('\r', ''), 'gmem-private: %s\n' % line, 'what the guest says')
        t.has(done.stdout + done.stderr, 'shutting down, reason=shutdown', 'how it ended')


@suite.test('the demo: a guest\'s secrets are found nowhere, the page that it shared again everywhere')
def _(t):
    with directory() as share:
        done = run('--bare', '--run', '%s %s/tools/demo-protected.py %s %s/map.svg'
                   % (PYTHON, SOURCE, BUILD, share), share=share)
        t.equal(done.returncode, 0, 'exit status\n%s%s' % (done.stdout, done.stderr))
        t.matches(done.stdout, r'VM types of KVM: .*software-protected', 'the kernel')
        t.has(done.stdout, "<launchSecurity type='sw-protected'/>", 'the domain')
        for cell in (0, 1):
            t.matches(done.stdout, r'\ncell %d  [.#_]*#[.#_]*\n' % cell, 'the map')
            t.matches(done.stdout, r'\nsecret of cell %d +not found +not found +not found\n' % cell, 'what was found')
        t.matches(done.stdout, r'\npage shared again( +found \d+ times){3}\n', 'what was found')
        t.has(done.stdout, '\ndemo-protected: OK: ', 'its end')
        with open(share + '/map.svg', encoding='utf-8') as file:
            t.has(file.read(), '<svg', 'the picture')


@suite.test('the demo fails where a secret is seen')
def _(t):
    if not has_type(VM_SW_PROTECTED):
        raise Skip('KVM has no software-protected VMs here')
    # A guest that also writes its secrets to an ordinary page.
    program = """
import runpy, sys
sys.path[:0] = [sys.argv[1] + '/tests/e2e', sys.argv[1] + '/tests/nested']
import gmem_private
write = gmem_private.Guest.write
gmem_private.Guest.write = lambda guest, at, pages, seed: (
    write(guest, at + 0x200000, 1, seed) and write(guest, at, pages, seed))
source, sys.argv[:] = sys.argv[1], ['demo-protected.py', *sys.argv[2:]]
runpy.run_path(source + '/tools/demo-protected.py', run_name='__main__')
"""
    with directory() as share:
        done = subprocess.run([PYTHON, '-B', '-c', program, SOURCE, BUILD, share + '/map.svg'], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=LONG)
    t.equal(done.returncode, 1, 'exit status\n%s%s' % (done.stdout, done.stderr))
    t.has(done.stderr, 'demo-protected: FAILED: the host sees what it should not', 'what it says')


@suite.test('make hands on the command as it was typed, and says its status')
def _(t):
    if not KERNEL:
        raise Skip('make compiles first, for which a machine that is emulated is no place')
    with directory() as share:
        done = subprocess.run(['make', '-C', SOURCE, 'lab', 'BUILD=' + BUILD, 'SHARE=' + share,
                               'RUN=for i in 4 2; do printf "$i$(true)"; done; echo; exit 7',
                               'LAB_ARGS=--bare --kernel ' + KERNEL], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=LONG)
        t.equal(done.returncode, 2, 'exit status of make\n' + done.stderr)
        t.has(done.stdout, '\n42\n', 'output')
        t.has(done.stderr, 'Error 7', 'what make says')


class Terminal:
    """The lab on a terminal of its own."""

    def __init__(self, argv):
        self.text = ''
        self.pid, self.descriptor = pty.fork()
        if not self.pid:
            os.execv(argv[0], argv)

    def until(self, wanted):
        end = time.monotonic() + LONG
        while not re.search(wanted, self.text):
            if time.monotonic() > end:
                raise Failure('the terminal has nothing like %r, but:\n%s' % (wanted, self.text))
            if select.select([self.descriptor], [], [], 1)[0]:
                try:
                    self.text += os.read(self.descriptor, 4096).decode('utf-8', 'replace')
                except OSError:
                    raise Failure('the terminal was closed; it said:\n' + self.text) from None

    def type(self, text):
        self.text = ''
        os.write(self.descriptor, text.encode())

    def end(self):
        """The exit status, after all remaining output has been read."""
        with contextlib.suppress(OSError):
            while os.read(self.descriptor, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@suite.test('a prompt: virsh answers, Ctrl-C ends what runs there, and its status is the status')
def _(t):
    with directory() as share:
        terminal = Terminal(lab(share=share))
        try:
            terminal.until(r'lab:\S*# ')
            # While the shell is between two commands, Ctrl-C reaches nobody.
            terminal.type('virsh uri; tty; (echo asleep; exec sleep 3600)\n')
            terminal.until(r'qemu:///system\s[^#]*/dev/\w+\S*\s+asleep')
            terminal.type('\x03')
            terminal.until(r'lab:\S*# ')
            terminal.type('cd %s; echo kept >here; exit 9\n' % share)
            t.equal(terminal.end(), 9, 'exit status')
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(terminal.pid, signal.SIGTERM)
        with open(share + '/here', encoding='ascii') as file:
            t.equal(file.read(), 'kept\n', 'what was written in the shared directory')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
