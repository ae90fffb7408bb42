#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts faults into src, one at a time, and checks whether the tests notice them.

usage: run-mutants.py [--build DIRECTORY] [WORD...]

mutants.txt lists the faults; with WORDs, only those whose file and tests contain one of them are used. A copy of
the files that git knows is changed and built in DIRECTORY. The run fails if a test does not pass without a fault,
if the text of a fault does not occur exactly once, if it does not compile, or if none of its tests notices it."""

import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))


def parse(text):
    """[(file, [test], from, to)] from the table."""
    mutants = []
    for block in text.split('\n\n'):
        lines = [line for line in block.splitlines() if not line.startswith('#')]
        if not lines:
            continue
        path, _, tests = lines[0].partition(': ')
        old, new = ('\n'.join(line[2:] for line in lines[1:] if line[0] == sign) for sign in '-+')
        assert tests and old != new and all(line[:2] in ('- ', '+ ') for line in lines[1:]), block
        mutants.append((path, tests.split(), old, new))
    return mutants


def update(tree):
    """Makes @tree a copy, without touching files that have not changed."""
    names = subprocess.run(['git', '-C', SOURCE, 'ls-files', '-z'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split('\0')[:-1]
    for name in names:
        here, there = os.path.join(SOURCE, name), os.path.join(tree, name)
        if os.path.lexists(there) and not os.path.islink(here):
            with open(here, 'rb') as one, open(there, 'rb') as other:
                if one.read() == other.read():
                    continue
        if os.path.islink(there):
            os.unlink(there)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copy(here, there, follow_symlinks=False)


def passes(build, test):
    """Whether the test passes; 'not built' is an error."""
    done = subprocess.run(['meson', 'test', '-C', build, '-t', '6', test], check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if 'Could not rebuild' in done.stdout:
        raise RuntimeError('it does not compile')
    return done.returncode == 0


def judge(tree, build, path, tests, old, new):
    """(whether the result is as it must be, what happened)"""
    name = os.path.join(tree, path)
    with open(name, encoding='utf-8') as file:
        text = file.read()
    if text.count(old) != 1:
        return False, 'its text is there %d times' % text.count(old)
    with open(name, 'w', encoding='utf-8') as file:
        file.write(text.replace(old, new))
    try:
        for test in tests:
            if not passes(build, test):
                return True, 'noticed by ' + test
    except RuntimeError as error:
        return False, str(error)
    finally:
        with open(name, 'w', encoding='utf-8') as file:
            file.write(text)
    return False, 'not noticed by ' + ', '.join(tests)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default=os.path.join(SOURCE, 'build-mutants'))
    parser.add_argument('words', nargs='*')
    arguments = parser.parse_args()
    tree = os.path.join(os.path.abspath(arguments.build), 'tree')
    build = os.path.join(tree, 'build')
    with open(os.path.join(HERE, 'mutants.txt'), encoding='utf-8') as file:
        mutants = [mutant for mutant in parse(file.read()) if not arguments.words or
                   any(word in ' '.join([mutant[0], *mutant[1]]) for word in arguments.words)]
    update(tree)
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        subprocess.run(['meson', 'setup', build, tree, '-Dwerror=true'], check=True)
    failed = 0
    for test in sorted({test for mutant in mutants for test in mutant[1]}):
        if not passes(build, test):
            failed += 1
            print('not ok %s: it fails without a fault' % test, flush=True)
    for mutant in mutants:
        well, what = judge(tree, build, *mutant)
        failed += not well
        print('%s %s: %s: %s' % ('ok' if well else 'not ok', mutant[0],
                                 mutant[2].strip().splitlines()[0], what), flush=True)
    print('%d faults, %d that are not noticed or not right' % (len(mutants), failed))
    return failed != 0 or not mutants


if __name__ == '__main__':
    sys.exit(main())
