#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lab.py: a machine that has software-protected VMs: a prompt on it, a domain, or a command.

usage: lab.py [OPTION…] BUILD

    --domain FILE    run the domain; on a terminal with its console, and then a prompt
    --run COMMAND    run the command, for sh; exits with its status, and with 125 where there is none
    --bare           with --run: without a libvirtd
    --share DIR      what is written there stays (default: BUILD/lab)
    --cache DIR      keep the kernel there (default: build/nested)
    --kernel FILE    a bzImage, in place of the one that build-kernel makes

If this host's KVM supports the VM type, according to `virt-gmem host`, it is used, in namespaces of its own.
Otherwise the machine is emulated (tests/nested/gmem_nested.py). Its root is this host's, so all files have
their usual paths; changes to them are lost, except in DIR. In both cases, libvirt's state is new.
"""

import argparse
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import termios

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NESTED = os.path.join(SOURCE, 'tests', 'nested')
INSIDE = os.path.join(SOURCE, 'tools', 'lab-inside')
sys.dont_write_bytecode = True
sys.path.insert(0, NESTED)

import gmem_nested as nested  # noqa: E402  pylint: disable=wrong-import-position

NO_END = 125


def say(text):
    print('lab: ' + text, file=sys.stderr, flush=True)


# What KVM has to support, from virt-gmem host. Anything else that is missing would also be missing on
# another machine.
KVM_CHECKS = ('kvm', 'kvm-vm-types', 'kvm-memory-attributes', 'kvm-user-memory2')


def why_not_here(build):
    """The reason why this host's KVM cannot run convertible domains, according to virt-gmem, or None."""
    done = subprocess.run([os.path.join(build, 'tools', 'virt-gmem'), 'host', '--json', '--mode',
                           'convertible'], stdout=subprocess.PIPE, text=True, check=False)
    try:
        host = json.loads(done.stdout)
    except ValueError:
        sys.exit('lab: virt-gmem host --json: exit status %d' % done.returncode)
    failed = [check for check in host['checks']
              if check['id'] in KVM_CHECKS and check['result'] != 'PASS']
    return host['modes']['convertible']['reason'] or failed[0]['title'] if failed else None


def here(argv):
    say('KVM of this host has software-protected VMs, and is used')
    os.execvp('unshare', ['unshare', '--mount', '--pid', '--ipc', '--fork', '--kill-child=SIGKILL',
                          '--mount-proc', '--propagation', 'private', *argv])


def find_kernel(options):
    """The path of a bzImage, which is built now if necessary; says how long that takes."""
    if options.kernel:
        return options.kernel
    command = [os.path.join(NESTED, 'build-kernel')]
    command += ['--cache', options.cache] if options.cache else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit('lab: there is no kernel for the machine')
    return os.path.abspath(done.stdout.strip())


def follow(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def emulated(argv, options, terminal):
    """Runs the command in the machine, and returns its exit status."""
    machine = nested.Machine(find_kernel(options), source=SOURCE, shared=options.share)
    # QEMU's first start is by far the slowest, with all its libraries over 9p, and longer than libvirt-gmem
    # waits when it asks what QEMU offers.
    lines = ['cd ' + shlex.quote(os.getcwd()), nested.QEMU + ' -version >/dev/null']
    if terminal:
        size = os.get_terminal_size(0)
        lines += ['stty rows %d cols %d' % (size.lines, size.columns),
                  'export TERM=' + shlex.quote(os.environ.get('TERM', 'vt100'))]
        say('it stays in %s what is written there; what is changed elsewhere is lost' % options.share)
    say('an emulated machine starts: slow, and nothing in it is confidential from this host')
    former = termios.tcgetattr(0) if terminal else None
    try:
        result = machine.run('\n'.join([*lines, 'exec ' + shlex.join(argv)]), minutes=math.inf,
                             follow=follow, terminal=terminal)
    except nested.MachineError as error:
        say(str(error))
        return NO_END
    finally:
        if terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, former)
    for complaint in result.complaints:
        say('the kernel of the machine said: ' + complaint)
    return result.status


def parse():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split('\n\n')[0])
    parser.add_argument('--domain')
    parser.add_argument('--run')
    parser.add_argument('--bare', action='store_true')
    parser.add_argument('--share')
    parser.add_argument('--cache')
    parser.add_argument('--kernel')
    parser.add_argument('build')
    options = parser.parse_args()
    if options.domain and options.run:
        parser.error('either --domain or --run')
    options.build = os.path.abspath(options.build)
    options.share = os.path.abspath(options.share or os.path.join(options.build, 'lab'))
    return options


def main():
    options = parse()
    if os.geteuid() != 0:
        sys.exit('lab: a libvirtd that runs domains takes root')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(options.share, exist_ok=True)
    argv = [INSIDE, options.build]
    if options.run is not None:
        argv += ['bare' if options.bare else 'run', options.run]
    elif options.domain:
        if not os.path.isfile(options.domain):
            sys.exit('lab: %s is no file' % options.domain)
        argv += ['domain', os.path.abspath(options.domain)]
    else:
        argv += ['prompt']
    terminal = options.run is None and os.isatty(0) and os.isatty(1)
    if options.run is None and not options.domain and not terminal:
        sys.exit('lab: a prompt requires a terminal; see RUN= and DOMAIN=')
    reason = why_not_here(options.build)
    if not reason:
        here(argv)
    say(reason)
    if lacking := nested.missing():
        sys.exit('lab: ' + lacking)
    try:
        return emulated(argv, options, terminal)
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
