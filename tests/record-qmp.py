#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""record-qmp.py: what a real QEMU answers when it is asked what it offers, for unit/qemu/test_capabilities.c.

usage: record-qmp.py [EMULATOR]

Writes qemucapabilitiesdata/qemu-MAJOR.MINOR.replies.gz: the lines of its monitor, whole and as they came.
"""

import gzip
import json
import os
import subprocess
import sys

EMULATOR = '/usr/bin/qemu-system-x86_64'
COMMANDS = ('qmp_capabilities', 'query-qmp-schema', 'quit')
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'qemucapabilitiesdata')


def main():
    said = subprocess.run(
        [sys.argv[1] if len(sys.argv) > 1 else EMULATOR, '-S', '-no-user-config', '-nodefaults',
         '-nographic', '-machine', 'none', '-qmp', 'stdio'], stdout=subprocess.PIPE, check=True,
        input=''.join('{"execute":"%s"}\n' % command for command in COMMANDS).encode()).stdout
    version = json.loads(said.splitlines()[0])['QMP']['version']['qemu']
    path = os.path.join(DATA, 'qemu-%d.%d.replies.gz' % (version['major'], version['minor']))
    with open(path, 'wb') as file:
        file.write(gzip.compress(said, mtime=0))
    print(path)


if __name__ == '__main__':
    sys.exit(main())
