# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_results.py: what a run ran on, for the results that it leaves for matrix/table.py."""

import os
import re
import subprocess


def version_of(package, root='/'):
    """The version of a Debian package without epoch and revision: 11.3.0 for 11.3.0-3+deb13u3; None if it
    is not installed."""
    done = subprocess.run(['dpkg-query', '--admindir', os.path.join(root, 'var/lib/dpkg'), '-W', '-f', '${Version}',
                           package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    found = re.match(r'(?:\d+:)?([\d.]+)', done.stdout)
    return found and found.group(1)


def userland(root='/'):
    """The release, libvirt and QEMU of what has that root; None if it is not Debian."""
    try:
        with open(os.path.join(root, 'etc/debian_version'), encoding='utf-8') as file:
            debian = file.read().strip()
    except FileNotFoundError:
        return None
    return {'debian': debian, 'libvirt': version_of('libvirt0', root), 'qemu': version_of('qemu-system-x86', root)}
