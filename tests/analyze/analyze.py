#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""analyze.py BUILD [FILE...]: runs gcc -fanalyzer, clang-tidy and cppcheck on src and tools.

BUILD is a build tree that has been set up: its compile_commands.json says how files are compiled, and it has
the generated headers. A finding is printed with its tool, and fails the run. Findings that are wrong are
listed, with the reason, in .clang-tidy, in gcc.txt and cppcheck.txt beside this file, or in the code. What
these tools find depends on their version; the versions of Debian 12 count.
"""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
# clang does not have all of gcc's warnings, and has some under other names.
NO_CLANG = ['--extra-arg=-Wno-unknown-warning-option']


def commands(build):
    """{path in src or tools: the command that compiles it, without the output}"""
    result = {}
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry['directory'], entry['file']), SOURCE)
            if re.match(r'(src|tools)/.*\.c$', path) and path not in result:
                words = shlex.split(entry['command'])
                result[path] = words[:words.index('-MD')] + ['-c', entry['file']]
    return result


def run(argv, directory):
    done = subprocess.run(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def exceptions():
    with open(os.path.join(HERE, 'gcc.txt'), encoding='utf-8') as file:
        return {tuple(line.split()) for line in file if line.strip() and not line.startswith('#')}


def gcc(build, path, command):
    """The warnings of -fanalyzer: [(warning, place and text)]."""
    words = [word for word in command if word not in ('ccache', '-Werror')]
    status, _, said = run(words + ['-fanalyzer', '-fdiagnostics-format=json', '-o', os.devnull], build)
    if status:
        return [('gcc', '%s: %s' % (path, said))]
    found = []
    for diagnostic in json.loads(said.splitlines()[0]) if said.strip() else []:
        place = diagnostic['locations'][0]['caret']
        found.append((diagnostic.get('option', ''), '%s:%d: %s [%s]' % (
            path, place['line'], diagnostic['message'], diagnostic.get('option'))))
    return found


def clang_tidy(build, path, _):
    status, out, errors = run(['clang-tidy', '--quiet', '-p', build, *NO_CLANG,
                               os.path.join(SOURCE, path)], SOURCE)
    return [('clang-tidy', out + errors)] if status else []


def cppcheck(build, paths):
    """The text of its findings. It checks everything in one run, because some findings concern several
    files."""
    include = ['-I' + os.path.join(SOURCE, 'src', part) for part in ('util', 'conf', 'qemu', 'driver', 'shim')]
    return run(['cppcheck', '--quiet', '--enable=warning,performance,portability,style', '--std=c11',
                '--library=gtk', '--library=posix', '--inline-suppr', '--error-exitcode=1',
                '-j', str(os.cpu_count()), '--suppressions-list=' + os.path.join(HERE, 'cppcheck.txt'),
                '-I' + build, *include, '-D_GNU_SOURCE', '-DPACKAGE_VERSION=""',
                '-DG_GNUC_PRINTF(a,b)=', *paths], SOURCE)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build = os.path.abspath(sys.argv[1])
    how = commands(build)
    paths = sys.argv[2:] or sorted(how)
    excepted = exceptions()
    used = set()
    findings = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = {pool.submit(tool, build, path, how[path]): path for path in paths
                for tool in (gcc, clang_tidy)}
        for done in concurrent.futures.as_completed(work):
            for kind, text in done.result():
                if (work[done], kind) in excepted:
                    used.add((work[done], kind))
                    continue
                print(text, flush=True)
                findings += 1
    status, out, errors = cppcheck(build, paths)
    if status:
        print('%s%s' % (out, errors))
        findings += 1
    for path, kind in sorted(excepted - used):
        if path in paths:
            print('gcc.txt: %s has no %s any more' % (path, kind))
            findings += 1
    print('%d files analyzed, %s' % (len(paths), 'no finding' if not findings else 'with findings'))
    return 1 if findings or not paths else 0


if __name__ == '__main__':
    sys.exit(main())
