# SPDX-License-Identifier: LGPL-2.1-or-later
"""callgrind.py: reads the counts of valgrind's callgrind."""

import os
import re
import subprocess
import tempfile


class Counts:
    """The counts of callgrind: {object: instructions} for each call of benchMeasured()."""

    def __init__(self, path):
        self.parts = []
        objects, called = {}, False
        current = None
        with open(path, encoding='utf-8', errors='replace') as file:
            for line in file:
                if line.startswith('part:'):
                    self.parts.append({})
                elif line.startswith(('ob=', 'cob=')):
                    what, _, name = line.strip().partition('=')
                    number, _, name = name.partition(' ')
                    if name:
                        objects[number] = name
                    if what == 'ob':
                        current = objects[number]
                elif line.startswith('calls='):
                    called = True
                elif re.match(r'[+*\d-]', line):
                    if not called:
                        part = self.parts[-1]
                        part[current] = part.get(current, 0) + int(line.split()[1])
                    called = False

    @staticmethod
    def total(part):
        return sum(part.values())

    @staticmethod
    def ours(part):
        return sum(count for name, count in part.items() if 'gmem' in os.path.basename(name))


def count(program, pieces):
    """The instructions inside @program, which is bench-pieces, for each of @pieces: [(piece,
    text)]."""
    with tempfile.TemporaryDirectory() as cwd:
        return count_in(cwd, os.path.abspath(program), pieces)


def count_in(cwd, program, pieces):
    arguments = []
    for i, (piece, text) in enumerate(pieces):
        with open(os.path.join(cwd, str(i)), 'w', encoding='utf-8') as file:
            file.write(text)
        arguments += [piece, str(i)]
    environment = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C', 'LD_BIND_NOW': '1',
                   'G_SLICE': 'always-malloc'}
    done = subprocess.run(
        ['valgrind', '-q', '--tool=callgrind', '--combine-dumps=yes', '--dump-line=no',
         '--toggle-collect=benchMeasured', '--dump-after=benchMeasured',
         '--callgrind-out-file=out', program, *arguments],
        cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False)
    if done.returncode != 0:
        raise RuntimeError('valgrind exited with status %d: %s' % (done.returncode, done.stderr))
    parts = [part for part in Counts(os.path.join(cwd, 'out')).parts if part]
    if len(parts) != len(pieces):
        raise RuntimeError('%d pieces were counted of %d' % (len(parts), len(pieces)))
    return [sum(count for name, count in part.items()
                if os.path.basename(name) == os.path.basename(program)) for part in parts]
