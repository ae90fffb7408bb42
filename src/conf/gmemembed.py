#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Turns a text file into a C header that defines a string.

usage: gmemembed.py NAME FILE HEADER
"""
import sys


def main(name, source, header):
    with open(source, encoding="utf-8") as f:
        lines = f.read().splitlines()
    with open(header, "w", encoding="utf-8") as f:
        f.write("#pragma once\n\nstatic const char %s[] =\n" % name)
        for line in lines:
            line = line.replace("\\", "\\\\").replace('"', '\\"')
            f.write('    "%s\\n"\n' % line)
        f.write("    ;\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
