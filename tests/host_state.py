#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state that tests must not change on the machine that they run on, as lines of text.

usage: host_state.py

Prints the nodes in /dev (mode, owner, group, device), mounts, kernel settings (/proc/sys, huge pages),
users and groups. run-tests.py compares these lines before and after the tests. Values that the kernel
itself changes all the time are omitted, and so are other file systems below /dev.
"""

import collections
import contextlib
import glob
import os
import stat
import sys
import time

# Entries below /proc/sys that change by themselves, not because of a test.
VOLATILE = ('kernel/ns_last_pid', 'kernel/hung_task_warnings', 'kernel/perf_event_max_sample_rate',
            'vm/stat_refresh')

HUGE_PAGES = ('sys/kernel/mm/hugepages/*/nr_*hugepages',
              'sys/devices/system/node/node*/hugepages/*/nr_hugepages')


def text_of(path):
    """The file's text in one line; the error if it cannot be read."""
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return ' '.join(file.read().split())
    except OSError as error:
        return error.strerror


def walk(top):
    """(path, the result of os.lstat()) for everything in one file system that has not just been
    removed."""
    device = os.lstat(top).st_dev
    for directory, below, names in os.walk(top):
        found = {}
        for name in below + names:
            with contextlib.suppress(FileNotFoundError):
                found[name] = os.lstat(os.path.join(directory, name))
        below[:] = [name for name in below if name in found and found[name].st_dev == device]
        for name, status in found.items():
            yield os.path.join(directory, name), status


def nodes(top):
    """Directories, links and nodes, including what is mounted on them."""
    for path, status in walk(top):
        if stat.S_ISREG(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            continue
        number = ''
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            number = ' %d,%d' % (os.major(status.st_rdev), os.minor(status.st_rdev))
        yield '%s %s %d:%d%s' % (path, stat.filemode(status.st_mode), status.st_uid, status.st_gid,
                                 number)


def settings(top):
    """The settings that can be read and written."""
    for path, status in walk(top):
        key = os.path.relpath(path, top)
        if (stat.S_ISREG(status.st_mode) and status.st_mode & 0o222 and status.st_mode & 0o444
                and key not in VOLATILE):
            yield '%s = %s' % (key, text_of(path))


def mounts(path):
    """The mounts without their numbers, which have no meaning."""
    with open(path, encoding='utf-8', errors='replace') as file:
        return [' '.join(line.split()[3:]) for line in file]


def lines_of(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read().splitlines()


def read(root='/'):
    """The state of the host as a sorted list of lines. @root: the directory with its file systems."""
    def at(path):
        return os.path.join(root, path)
    parts = {
        'node': nodes(at('dev')),
        'mount': mounts(at('proc/self/mountinfo')),
        'setting': list(settings(at('proc/sys'))) + [
            '%s = %s' % (path, text_of(path))
            for pattern in HUGE_PAGES for path in glob.glob(at(pattern))],
        'user': lines_of(at('etc/passwd')),
        'group': lines_of(at('etc/group')),
    }
    return sorted('%s: %s' % (kind, line) for kind, lines in parts.items() for line in lines)


def difference(before, after):
    """What only existed before, with `-` in front of it, and what only exists after, with `+`."""
    before, after = collections.Counter(before), collections.Counter(after)
    changes = [(line.split()[:2], 0, '- ' + line) for line in (before - after).elements()]
    changes += [(line.split()[:2], 1, '+ ' + line) for line in (after - before).elements()]
    return [line for _, _, line in sorted(changes)]


def difference_since(before, root='/', patience=10):
    """The difference between @before and now; waits up to @patience seconds for what is still being
    restored."""
    end = time.monotonic() + patience
    while True:
        changes = difference(before, read(root))
        if not changes or time.monotonic() > end:
            return changes
        time.sleep(0.2)


if __name__ == '__main__':
    if sys.argv[1:]:
        sys.exit(__doc__.split('\n\n')[1])
    print('\n'.join(read()))
