#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a libFuzzer program on a copy of its corpus, which consists of corpus/NAME and golden files.

usage: run-fuzz.py [--seconds N] [--seed N] [--keep DIRECTORY] PROGRAM

Without --seconds, GMEM_FUZZ_SECONDS from the environment is used, or 15 if it is not set. Each run has
another seed, which libFuzzer prints. It also prints what it finds: the input in base64, and the file that
contains it. That file is in --keep or GMEM_FUZZ_KEEP, otherwise in the directory of PROGRAM.
"""

import argparse
import glob
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)

# What a QEMU offers, as bits of gmemcapabilities.h, for the rows of test_qemu_xml2argv.c.
OFFERS = (0x20, 0x23, 0x21, 0x24, 0x30)

DOMAINS = ('qemuxml2argvdata/*.xml', 'e2e/domains/*.xml', 'e2e/userdomains/*.xml')
GOLDEN = {
    'lower': DOMAINS,
    'xml': DOMAINS,
    'argv': ('qemuxml2argvdata/*.stock.args',),
    'props': ('qemuxml2argvdata/*.stock.args',),
    'qmp': ('fake-emulators/*',),
}


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def seeds_of(name, path):
    """The inputs that a golden file gives, in the form that the harness describes at its top."""
    data = read(path)
    if name == 'argv':
        words = '\n'.join(shlex.split(data.decode())).encode()
        for offer in OFFERS:
            yield bytes([offer]) + words
    elif name == 'props':
        for number, word in enumerate(shlex.split(data.decode())):
            if not word.startswith('-') and (word.startswith('{') or '=' in word):
                yield bytes([number % 16]) + word.encode()
    elif name == 'qmp':
        # The output of its `echo`.
        yield '\n'.join(word for word in shlex.split(data.decode(), comments=True)
                        if word.startswith('{')).encode()
    else:
        yield data


def make_corpus(name, directory):
    seen = set()
    for pattern in GOLDEN.get(name, ()):
        for path in sorted(glob.glob(os.path.join(TESTS, pattern))):
            seen.update(seeds_of(name, path))
    for path in glob.glob(os.path.join(HERE, 'corpus', name, '*')):
        seen.add(read(path))
    assert seen, 'no corpus for %s' % name
    for number, data in enumerate(sorted(seen)):
        with open(os.path.join(directory, 'seed-%d' % number), 'wb') as file:
            file.write(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=int, default=int(os.environ.get('GMEM_FUZZ_SECONDS', '15')))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--keep', default=os.environ.get('GMEM_FUZZ_KEEP'))
    parser.add_argument('program')
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    name = os.path.basename(program).removeprefix('fuzz_')
    keep = os.path.abspath(arguments.keep or os.path.dirname(program))
    dictionary = os.path.join(HERE, '%s.dict' % {'nested': 'lower', 'xml': 'lower'}.get(name, name))
    corpus = tempfile.mkdtemp(prefix='gmem-fuzz-')
    try:
        make_corpus(name, corpus)
        command = [program, '-max_total_time=%d' % arguments.seconds, '-timeout=25',
                   '-rss_limit_mb=2048', '-max_len=16384', '-print_final_stats=1',
                   '-seed=%d' % arguments.seed, '-artifact_prefix=%s/%s-' % (keep, name)]
        if os.path.exists(dictionary):
            command.append('-dict=' + dictionary)
        return subprocess.run(command + [corpus], stdin=subprocess.DEVNULL, check=False, env=dict(
            os.environ, G_SLICE='always-malloc', MALLOC_PERTURB_='0',
            ASAN_OPTIONS='detect_leaks=1', UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1')).returncode
    finally:
        shutil.rmtree(corpus)


if __name__ == '__main__':
    sys.exit(main())
