#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""All C code is as clang-format makes it, by .clang-format.

Other versions of clang-format break some lines elsewhere, so only the one of Debian 12 counts.

usage: test_format.py SOURCE
"""

import glob
import os
import shutil
import subprocess
import sys

VERSION = '14'
FILES = 100


def formatter():
    """The program of that version, or None."""
    for name in ('clang-format-' + VERSION, 'clang-format'):
        if shutil.which(name):
            said = subprocess.run([name, '--version'], stdout=subprocess.PIPE, text=True, check=True)
            if ' version %s.' % VERSION in said.stdout:
                return name
    return None


def main():
    os.chdir(sys.argv[1])
    name = formatter()
    print('1..1')
    if not name:
        print('ok 1 - format # SKIP no clang-format %s, which other versions differ from' % VERSION)
        return 0
    files = sorted(path for directory in ('src', 'tests', 'tools') for kind in 'ch'
                   for path in glob.glob('%s/**/*.%s' % (directory, kind), recursive=True))
    done = subprocess.run([name, '--dry-run', '--Werror', '--ferror-limit=20'] + files,
                          stderr=subprocess.PIPE, text=True, check=False)
    good = done.returncode == 0 and len(files) >= FILES
    for line in done.stderr.splitlines():
        print('# ' + line)
    if not good:
        print('# remedy: git ls-files "*.[ch]" | xargs %s -i' % name)
    print('%s 1 - format of %d files' % ('ok' if good else 'not ok', len(files)))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
