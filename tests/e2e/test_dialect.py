#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How QEMU's own JSON and key=value,... are read, compared with the installed QEMU: the table of
tests/unit/util/test_props.c, and random changes of its texts. Each text is given to a QEMU without a machine,
whose error says what it has read, or that it could not read it."""

import os
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from gmem_rig import Suite

suite = Suite()

PROPS = os.environ['GMEM_BUILD'] + '/tests/unit/util/test_props'
QEMU = ['qemu-system-x86_64', '-machine', 'none', '-nodefaults', '-display', 'none', '-S']
REFUSED = None
MISSING = b'(missing)'
SEED = 'QEMU'
ALTERED = 60
ALPHABET = [bytes([byte]) for byte in b'{}[]:,\'"\\=.-_0e1aunk /%\t']

READINGS = {'device': rb"'(.*)' is not a valid device model name\n",
            'object': rb"Parameter 'qom-type' does not accept value '(.*)'\n",
            'blockdev': rb"Parameter 'driver' does not accept value '(.*)'\n"}
# The structure of keys, which is left to QEMU.
STRUCTURE = re.compile(rb"Parameter 'e.*' missing|Parameters '.*' used inconsistently")


def by_qemu(case):
    """What QEMU reads, and its error message."""
    option, text = case[:2]
    option = option.encode()
    done = subprocess.run(QEMU + [b'-' + option, text], stdin=subprocess.DEVNULL, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.rpartition(b'-' + option + b' ' + text + b': ')[2]
    found = re.fullmatch(READINGS[option.decode()], said, re.S)
    if re.match(rb"Parameter '(driver|qom-type)' is missing", said):
        return MISSING, said
    return (found[1] if found else REFUSED), said


def decoded(answer):
    return bytes.fromhex(answer[1:]) if answer[0] == '=' else REFUSED


def table():
    """Option, text, and the result in the table."""
    listed = subprocess.run([PROPS, '--list'], stdout=subprocess.PIPE, check=True, text=True).stdout
    for line in listed.splitlines():
        option, text, answer = line.split(' ')
        yield option, bytes.fromhex(text), decoded(answer)


def altered():
    """The same for texts of the table in which up to three bytes are changed."""
    chance = random.Random(SEED)
    texts = [(option, text) for option, text, _ in table()]
    for option in READINGS:
        made = set()
        while len(made) < ALTERED // len(READINGS):
            text = chance.choice([text for each, text in texts if each == option])
            for _ in range(chance.randint(1, 3)):
                at = chance.randrange(len(text) + 1)
                text = text[:at] + chance.choice(ALPHABET + [b'']) + text[at + chance.randint(0, 1):]
            made.add(text)
        made = sorted(made)
        answers = subprocess.run([PROPS, '--read', option], input=b'\0'.join(made) + b'\0',
                                 stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        yield from zip([option] * len(made), made, map(decoded, answers))


def compare(check, cases):
    with ThreadPoolExecutor(2) as pool:
        for (option, text, reading), (real, said) in zip(cases, pool.map(by_qemu, cases)):
            if not (option == 'blockdev' and STRUCTURE.match(said)):
                check.equal(reading, real, '-%s %r, of which QEMU says %r' % (option, text, said))


@suite.test('the table')
def _(check):
    compare(check, list(table()))


@suite.test('texts by chance, seed %s' % SEED)
def _(check):
    compare(check, list(altered()))


if __name__ == '__main__':
    raise SystemExit(suite.run())
