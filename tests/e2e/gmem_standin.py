# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_standin.py: makes QEMU stand-ins (../standin/standin.py says what they are) and other KVMs."""

import errno
import io
import json
import os
import zipfile

from gmem_rig import BUILD, QEMU, SOURCE, DaemonRig, Failure, library

LAUNCHER = os.path.join(BUILD, 'tests/standin/standin-launcher')
SCRIPT = os.path.join(SOURCE, 'tests/standin/standin.py')
FAKE_KVM = os.path.join(BUILD, 'tests/standin/fake-kvm.so')

# What each row of "What QEMU offers" offers.
OBJECT = ('sw-protected-vm', 'private')
BARE_OBJECT = ('sw-protected-vm',)
PROPERTY = ('guest-memfd',)
X_PROPERTY = ('x-guest-memfd',)
NEITHER = ()

# Capabilities of KVM as in uapi/linux/kvm.h.
HAS_VM_TYPE = '235=3,233=8,231=1,234=1'
# A kernel that converts in place: the VM has no attributes. While somebody holds a page, guest_memfd answers EAGAIN.
IN_PLACE = '235=3,233=0,231=1,234=1,1002=1'
IN_PLACE_HELD = IN_PLACE + ',1003=%d' % errno.EAGAIN
NO_FLAGS = '244=0'
NO_INIT_SHARED = '244=1'


def launcher():
    for path in (LAUNCHER, FAKE_KVM):
        if not os.path.exists(path):
            raise Failure('%s is not built' % path)
    with open(LAUNCHER, 'rb') as file:
        return file.read()


class StandIn:
    """A stand-in in a sandbox, at @path there."""

    def __init__(self, rig, offers, path='/run/emulator', stays=False):
        """@stays: the process that libvirt has started keeps its command line."""
        self.rig = rig
        self.stays = stays
        self.path = path
        self.record = path + '.started'
        self.tally = path + '.asked'
        rig.write(self.tally, '', 0o666)  # libvirt does not ask it as root
        self.replace(offers)

    def replace(self, offers, answer=None):
        """Puts another one in its place, as an upgrade does: a new file with the same name.

        @answer: 'hangs', 'floods', 'lies' or 'dies' when it is asked what it offers."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, 'w') as file:
            file.write(SCRIPT, '__main__.py')
            file.writestr('standin.json', json.dumps(
                {'real': QEMU, 'offers': list(offers), 'record': self.record,
                 'asked': self.tally, 'answer': answer, 'stays': self.stays}))
        path = self.rig.outer(self.path)
        with open(path + '.new', 'wb') as file:
            file.write(launcher() + archive.getvalue())
        os.chmod(path + '.new', 0o755)
        os.rename(path + '.new', path)

    def starts(self):
        """What it was started with, for each start: 'argv', 'preload', 'offers'."""
        return [json.loads(line) for line in self.rig.read(self.record).splitlines()]

    def asked(self):
        """How often libvirt-gmem asked it what it offers; libvirt itself asks in another way."""
        return len(self.rig.read(self.tally))

    def forget(self):
        self.rig.write(self.record, '')


def values(argv, option):
    return [value for name, value in zip(argv, argv[1:]) if name == option]


def backends(argv):
    """The properties of the memory backends on a command line; those in key=value notation are
    texts."""
    result = {}
    for value in values(argv, '-object'):
        if value.startswith('{'):
            properties = json.loads(value)
        else:
            first, *rest = value.split(',')
            properties = dict([('qom-type', first)] + [part.split('=', 1) for part in rest])
        if properties['qom-type'].startswith('memory-backend-'):
            result[properties['id']] = properties
    return result


def fake_host(kind, kvm):
    """A rig in which libvirt, and nothing else, sees another KVM."""
    if kind is DaemonRig:
        return DaemonRig((FAKE_KVM,) + library(), environment={'GMEM_TEST_KVM': kvm})
    rig = kind((FAKE_KVM,) + library())
    rig.kvm = kvm
    return rig


def client_of(rig):
    """A client of such a rig."""
    if isinstance(rig, DaemonRig):
        return rig.python()
    return rig.python(environment=rig.environment(rig.preload, GMEM_TEST_KVM=rig.kvm))
