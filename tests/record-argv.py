#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records the command lines that the installed, stock libvirt writes for tests/qemuxml2argvdata.

usage: sudo tests/record-argv.py BUILD [NAME …]

For each NAME.xml (default: all) the domain is lowered by BUILD/tests/unit/conf/gmem-lower and started on an
embedded driver without our library. The emulator is a script that answers libvirt's questions through the
real QEMU, writes down the arguments of the domain itself, and ends; so NAME.stock.args is what QEMU would
have been started with, except for what differs from run to run: domain ids and descriptors. If this process
may not raise the limit of locked memory, which libvirt does before it runs the emulator, libvirt is asked
for the command line instead (domxml-to-native). Then run the golden test with
GMEM_TEST_REGENERATE_OUTPUT=1, and look at the difference.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'e2e'))
sys.dont_write_bytecode = True

import gmem_rig  # pylint: disable=wrong-import-position

DATA = os.path.join(HERE, 'qemuxml2argvdata')
QEMU = gmem_rig.QEMU
RECORDER = '/run/recorder'
RECORD = '/run/argv'
HUGE = '/run/huge'
# The files that the domains name and libvirt looks for.
FILES = {
    '/run/nvdimm.img': 128 * gmem_rig.MIB,
    '/run/pmem.img': 128 * gmem_rig.MIB,
    '/run/code.fd': gmem_rig.MIB,
    '/run/vars.fd': 128 * gmem_rig.KIB,
}

RECORDER_SCRIPT = '''\
#!/bin/sh
case " $* " in
*" -name guest="*)
  printf '%%s\\0' "$@" > %s
  echo recorded >&2
  exit 1
  ;;
esac
exec %s "$@"
''' % (RECORD, QEMU)


def quote(word):
    """Quotes a word for a shell; the golden test writes the same bytes."""
    if re.fullmatch(r'[A-Za-z0-9_@%+=:,./-]+', word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def format_args(words):
    """One option per line, with its value."""
    text = quote(words[0])
    for word in words[1:]:
        text += (' \\\n' if word.startswith('-') else ' ') + quote(word)
    return text + '\n'


def steady(word):
    """A word without what differs in each run."""
    word = re.sub(r'/(domain-|ram/)-?\d+-', r'/\g<1>1-', word)
    word = re.sub(r'(%s/libvirt/qemu[^/]*/)\d+-' % HUGE, r'\g<1>1-', word)
    return re.sub(r'^(socket,id=charmonitor,fd=)\d+', r'\g<1>20', word)


def native(client, xml):
    """The arguments from domxml-to-native, as the script writes them, with the monitor as at a start."""
    words = shlex.split(client.native(xml))
    words = words[words.index(RECORDER) + 1:]
    monitor = [re.sub(r'^(socket,id=charmonitor),path=[^,]*', r'\1,fd=20', w) for w in words]
    return ''.join(word + '\0' for word in monitor)


def record(rig, client, lower, name):
    with open(os.path.join(DATA, name + '.xml'), encoding='utf-8') as file:
        user = file.read()
    lowered = subprocess.run([lower], input=user, stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    xml = lowered.replace('<emulator>%s<' % QEMU, '<emulator>%s<' % RECORDER)
    if xml == lowered:
        sys.exit('%s.xml does not name %s' % (name, QEMU))
    try:
        client.create(xml)
    except gmem_rig.LibvirtError as error:
        if 'cannot limit locked memory' in error.message:
            rig.write(RECORD, native(client, xml))
        # libvirt may notice that there is no monitor before it reads the log.
        if not os.path.exists(rig.outer(RECORD)):
            sys.exit('%s: %s' % (name, error.message))
    with open(rig.outer(RECORD), encoding='utf-8') as file:
        words = [QEMU] + file.read().split('\0')[:-1]
    os.unlink(rig.outer(RECORD))
    path = os.path.join(DATA, name + '.stock.args')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(format_args([steady(word) for word in words]))
    print('recorded ' + os.path.relpath(path))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    lower = os.path.join(sys.argv[1], 'tests/unit/conf/gmem-lower')
    names = sys.argv[2:] or [os.path.basename(path)[:-len('.xml')]
                             for path in sorted(glob.glob(os.path.join(DATA, '*.xml')))]
    if not shutil.which(lower):
        sys.exit('%s is not built' % lower)
    with gmem_rig.EmbedRig() as rig:
        rig.write(RECORDER, RECORDER_SCRIPT, 0o755)
        rig.write(rig.config, rig.read(rig.config) + 'hugetlbfs_mount = "%s"\n' % HUGE)
        for path, size in FILES.items():
            rig.write(path, '')
            os.truncate(rig.outer(path), size)
        mount = rig.run(['sh', '-c', 'mkdir %s && mount -t hugetlbfs none %s' % (HUGE, HUGE)])
        if mount.returncode:
            sys.exit(mount.stderr)
        client = rig.python()
        for name in names:
            record(rig, client, lower, name)
        client.close()


if __name__ == '__main__':
    main()
