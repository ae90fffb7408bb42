#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_verbs.py: the verbs of virt-gmem that neither require a daemon nor run a domain: validate, lower, raise, argv,
emulator; help, and colours."""

import glob
import os
import pty
import re
import subprocess
import sys

import gmem_tool_rig as tools
from gmem_tool_rig import rig

suite = rig.Suite()

# Each line that a rule concerns ends with the word that has to be in its message.
SHARED = """<domain type='qemu'>                             <!-- kvm -->
  <name>wrong</name>
  <memory unit='MiB'>64</memory>
  <memoryBacking>
    <private/>
    <source type='anonymous'/>                       <!-- anonymous -->
    <access mode='private'/>                         <!-- access -->
    <hugepages/>                                     <!-- hugepages -->
  </memoryBacking>
  <os><type arch='aarch64'
      machine='isapc'>hvm</type></os>
  <cpu><numa>
    <cell id='0' cpus='0' memory='32' unit='MiB'/>
    <cell id='1' cpus='1' memory='32' unit='MiB' memAccess='private'/> <!-- memAccess -->
  </numa></cpu>
  <devices>
    <memory model='nvdimm' access='private'><source><path>/x</path></source></memory>
    <memory model='virtio-mem'/>                     <!-- virtio-mem -->
    <memory model='sgx-epc'/>                        <!-- sgx-epc -->
    <video><model type='virtio' blob='on'/></video>  <!-- blob -->
  </devices>
</domain>
"""

CONVERTIBLE = """<?xml version='1.0'?>
<domain type='kvm'>
  <name>wrong</name>
  <memory unit='MiB'>64</memory>
  <currentMemory unit='MiB'>32</currentMemory>      <!-- currentMemory -->
  <memtune><hard_limit unit='MiB'>8</hard_limit></memtune> <!-- hard_limit -->
  <memoryBacking><locked/></memoryBacking>           <!-- locked -->
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
    <firmware><feature enabled='yes' name='secure-boot'/></firmware> <!-- secure-boot -->
    <loader secure='yes'/>                           <!-- loader -->
  </os>
  <features>
    <smm state='on'/>                                <!-- SMM -->
    <ioapic driver='kvm'/>                           <!-- ioapic -->
  </features>
  <on_crash>coredump-destroy</on_crash>              <!-- on_crash -->
  <pm>
    <suspend-to-mem enabled='yes'/>                  <!-- suspend-to-mem -->
  </pm>
  <devices>
    <hostdev mode='subsystem' type='usb'/>
    <hostdev mode='subsystem' type='pci'><source/></hostdev> <!-- hostdev -->
  </devices>
  <launchSecurity type='sw-protected'/>
</domain>
"""


def marked(text):
    """{word: line} from the comments at the ends of lines."""
    return {found[1]: number for number, line in enumerate(text.split('\n'), 1)
            if (found := re.search(r'<!-- (\S+) -->$', line))}


def findings(t, path):
    """[(line, column, message)] that validate prints."""
    code, out, err = tools.call('validate', path)
    t.equal((code, err), (1, ''), 'exit status and standard error')
    rows = [re.fullmatch(re.escape(path) + r':(\d+):(\d+): error: (.+)', line)
            for line in out.splitlines()]
    t.true(rows and all(rows), 'output: ' + out)
    return [(int(row[1]), int(row[2]), row[3]) for row in rows if row]


def write(directory, text, name='domain.xml'):
    path = os.path.join(directory, name)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


@suite.test('validate names each rule that is broken, with line and column')
def rules(t):
    with tools.directory() as where:
        for text, more in ((SHARED, {10}), (CONVERTIBLE, set())):
            lines = text.split('\n')
            found = findings(t, write(where, text))
            wanted = marked(text)
            t.equal({line for line, _, _ in found}, set(wanted.values()) | more, 'lines')
            for word, number in wanted.items():
                t.true(any(line == number and word in message for line, _, message in found),
                       '%s in line %d of %r' % (word, number, found))
            for line, column, _ in found:
                t.equal(lines[line - 1][column - 1], '<', 'what is at %d:%d' % (line, column))


@suite.test('validate: what is no XML, no domain, or breaks the schema')
def broken(t):
    cases = (
        ('<domain>\n  <name>ä</nam>\n</domain>', 2, 'nam'),
        ('\n<network/>', 2, 'the root element is not <domain>'),
        ('', 1, ''),
        ("<domain type='kvm'><memoryBacking>\n<private>yes</private></memoryBacking></domain>", 2,
         'private'),
        ("<!DOCTYPE domain [<!ENTITY p '<private/>'>]><domain><memoryBacking>&p;</memoryBacking>"
         "</domain>", 1, ''),
    )
    with tools.directory() as where:
        for text, line, part in cases:
            found = findings(t, write(where, text))
            t.equal(found[0][0], line, 'line of %r' % (found,))
            t.has(found[0][2], part, 'message')
        with open(os.path.join(where, 'zero'), 'wb') as f:
            f.write(b'<domain>\0</domain>')
        code, out, err = tools.call('validate', f.name)
        t.equal((code, out), (1, ''), 'exit status and output')
        t.has(err, 'it contains a NUL byte', 'standard error')
        t.equal(tools.call('validate', os.path.join(where, 'none'))[0], 1, 'exit status, no file')


@suite.test('one file, neither none nor two: the message says which it was')
def files(t):
    for verb in ('validate', 'lower', 'raise'):
        for args, message in (((), 'no file is given'), (('a', 'b'), 'more than one file is given'),
                              (('a', 'b', 'c'), 'more than one file is given')):
            status, out, err = tools.call(verb, *args)
            t.equal((status, out), (64, ''), 'exit status and output of %s %r' % (verb, args))
            t.has(err, message, 'standard error of %s %r' % (verb, args))


@suite.test('validate: domains that are valid, and what they ask for')
def valid(t):
    with tools.directory() as where:
        for elements, said in (
                ('<memoryBacking><private/></memoryBacking>', 'valid, fully-shared memory'),
                ("<launchSecurity type='sw-protected'/>", 'valid, convertible memory'),
                ("<memoryBacking><private/></memoryBacking><launchSecurity type='tdx'/>",
                 'valid, memory is private by its launch security'),
                ('', 'asks for no private memory')):
            path = write(where, "<domain type='kvm'><name>a</name>%s</domain>" % elements)
            t.equal(tools.call('validate', path), (0, '%s: %s\n' % (path, said), ''), elements)
    for path in glob.glob(os.path.join(tools.SOURCE, 'examples', '**', '*.xml'), recursive=True):
        t.equal(tools.call('validate', path)[0], 0, path)


@suite.test('raise takes back what lower gives')
def lower(t):
    example = os.path.join(tools.SOURCE, 'examples', 'private-numa.xml')
    with open(example, encoding='utf-8') as f:
        text = f.read()
    with tools.directory() as where:
        code, out, err = tools.call('lower', example)
        t.equal((code, err), (0, ''), 'exit status and standard error of lower')
        t.has(out, '-x-libvirt-gmem', 'the lowered XML')
        t.lacks(out, '<private/>', 'the lowered XML')
        lowered = write(where, out, 'lowered.xml')
        code, raised, err = tools.call('raise', lowered)
        t.equal((code, err), (0, ''), 'exit status and standard error of raise')
        t.has(raised, '<private/>', 'the raised XML')
        t.lacks(raised, 'x-libvirt-gmem', 'the raised XML')
        t.equal(raised.split(), text.split(), 'the raised XML')
        done = subprocess.run([tools.TOOL, 'lower', '-'], input=text, env=tools.ENV, text=True,
                              stdout=subprocess.PIPE, check=False)
        t.equal((done.returncode, done.stdout), (0, out), 'standard input')
        # Nothing of a long text is left in stdio's buffer when the write has failed.
        long = [write(where, each.replace('</name>', '</name><title>%s</title>' % (100000 * 'x')), name)
                for each, name in ((text, 'long.xml'), (out, 'long-lowered.xml'))]
        with open('/dev/full', 'w', encoding='utf-8') as full:
            for verb, path in (('lower', example), ('raise', lowered), ('lower', long[0]),
                               ('raise', long[1]), ('schema', '/usr/share/libvirt/schemas')):
                done = subprocess.run([tools.TOOL, verb, path], env=tools.ENV, stdout=full, check=False)
                t.equal(done.returncode, 1, 'exit status of %s %s, no space' % (verb, path))
        code, out, err = tools.call('lower', write(where, SHARED))
        t.equal((code, out), (1, ''), 'exit status and output, invalid domain')
        t.has(err, 'error: unsupported configuration: <private/> requires', 'standard error')
        t.equal(tools.call('lower', write(where, '<domain>'))[0], 1, 'exit status, malformed')


@suite.test('argv prints the command line; --diff beside stock libvirt\'s')
def argv(t):
    rig.need_kvm()
    leftovers = tools.Leftovers()
    with tools.directory() as where:
        path = tools.domain(os.path.join(where, 'domain.xml'))
        code, out, err = tools.call('argv', path)
        t.equal((code, err), (0, ''), 'exit status and standard error')
        lines = [line.removesuffix(' \\') for line in out.splitlines()]
        t.true(any(re.match(r'LD_PRELOAD=\S*/qemu-gmem\.so$', line) for line in lines) or
               'guest-memfd' in out, 'who supplies guest_memfd: ' + out)
        t.true(any(line.startswith('-name guest=tool-test') for line in lines), 'the name: ' + out)
        code, out, err = tools.call('argv', '--diff', path)
        t.equal((code, err), (0, ''), 'exit status and standard error')
        marks = {mark: [line[2:] for line in out.splitlines() if line[0] == mark] for mark in ' +-'}
        t.true(any('memory-backend-memfd' in line for line in marks['+']), 'added: ' + out)
        t.true(marks['-'] and all('memory-backend' in line or 'memory-backend=' in line
                                  for line in marks['-']), 'removed: ' + out)
        t.true(len(marks[' ']) > 10, 'common: ' + out)
        t.lacks(out, 'libvirt-gmem.so', 'output')
        convertible = tools.domain(os.path.join(where, 'conv.xml'), private='',
                                   extra="<launchSecurity type='sw-protected'/>")
        code, out, err = tools.call('argv', '--diff', convertible)
        t.equal((code, err), (0, ''), 'exit status and standard error, convertible')
        t.matches(out, r'(?m)^\+ .*(mode=convertible|sw-protected-vm)', 'output, convertible')
        code, out, err = tools.call('argv', write(where, SHARED))
        t.equal((code, out), (1, ''), 'exit status and output, invalid domain')
        t.has(err, '<private/> requires', 'standard error')
    leftovers.check(t)


@suite.test('emulator says what a QEMU offers')
def emulator(t):
    code, out, err = tools.call('emulator')
    t.equal((code, err), (0, ''), 'exit status and standard error')
    lines = out.splitlines()
    t.matches(lines[0], r'^/\S+, \d+\.\d+\.\d+$', 'first line')
    t.true('memory-backend-memfd' in lines[1].split(), 'second line: ' + lines[1])
    t.matches(lines[2], r'^fully shared memory: by (QEMU itself|qemu-gmem\.so in it)$', 'third line')
    t.matches(lines[3], r'^convertible memory: by (QEMU itself|qemu-gmem\.so in it)$', 'fourth line')
    t.equal(tools.call('emulator', lines[0].split(',')[0]), (code, out, err), 'the same by its path')
    code, out, err = tools.call('emulator', '/bin/true')
    t.equal((code, out), (1, ''), 'exit status and output of what is no QEMU')
    t.has(err, '/bin/true', 'standard error')


# A QEMU that has one mode itself, and lacks what the other one requires.
CONVERTIBLE_ONLY = """#!/bin/sh
echo '{"QMP": {"version": {"qemu": {"micro": 3, "minor": 2, "major": 11}}, "capabilities": []}}'
echo '{"return": {}}'
echo '{"return": [{"name": "object-add", "arg-type": "1", "meta-type": "command"},' \\
  '{"name": "1", "tag": "qom-type", "meta-type": "object", "members": [], "variants": [' \\
  '{"case": "memory-backend-ram", "type": "2"}, {"case": "sw-protected-vm", "type": "3"}]},' \\
  '{"name": "2", "meta-type": "object", "members": [{"name": "private", "type": "bool"}]},' \\
  '{"name": "3", "meta-type": "object", "members": []}]}'
echo '{"return": {}}'
"""


@suite.test('emulator: one that has only one mode')
def emulator_of_one_mode(t):
    with tools.directory() as where:
        path = write(where, CONVERTIBLE_ONLY, 'qemu')
        os.chmod(path, 0o755)
        code, out, err = tools.call('emulator', path)
    t.equal((code, err), (1, ''), 'exit status and standard error')
    t.matches(out, r'(?m)^\S+, 11\.2\.3$', 'version')
    t.matches(out, r'(?m)^fully shared memory: <private/> requires memory-backend-memfd', 'the mode that it has not')
    t.matches(out, r'(?m)^convertible memory: by QEMU itself$', 'the mode that it has')


@suite.test('help for each verb, and wrong usage')
def usage(t):
    verbs = re.findall(r'^  (\w+) ', tools.call('help')[1], re.M)
    t.equal(verbs, ['host', 'emulator', 'validate', 'explain', 'lower', 'raise', 'argv', 'run', 'schema',
                    'status'], 'verbs')
    for verb in verbs:
        code, out, err = tools.call('help', verb)
        t.equal((code, err), (0, ''), 'help ' + verb)
        t.has(out, 'virt-gmem ' + verb, 'help ' + verb)
        t.equal(tools.call(verb, '--frobnicate')[0], 64, 'an unknown option of ' + verb)
    for verb in ('validate', 'lower', 'raise', 'argv'):
        t.equal(tools.call(verb)[0], 64, verb + ' without a file')
        t.equal(tools.call(verb, 'a', 'b')[0], 64, verb + ' with two files')
    t.equal(tools.call('emulator', 'a', 'b')[0], 64, 'emulator with two paths')


def on_terminal(*args, **changes):
    """What virt-gmem prints on a terminal."""
    main, other = pty.openpty()
    done = subprocess.Popen([tools.TOOL, *args], env=dict(tools.ENV, **changes), stdout=other,
                            stderr=other)
    os.close(other)
    text = b''
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        text += part
    os.close(main)
    done.wait(rig.PATIENCE)
    return text.decode()


@suite.test('colours on a terminal, unless NO_COLOR is set')
def colours(t):
    with tools.directory() as where:
        path = write(where, SHARED)
        t.has(on_terminal('validate', path), '\033[31merror\033[0m', 'output on a terminal')
        t.lacks(on_terminal('validate', path, NO_COLOR='1'), '\033', 'output with NO_COLOR')
        t.has(on_terminal('validate', path, NO_COLOR=''), '\033[31m', 'output with an empty NO_COLOR')
        t.lacks(tools.call('validate', path)[1], '\033', 'output into a pipe')
        t.has(on_terminal('host'), '\033[32mPASS\033[0m', 'host on a terminal')
        t.lacks(on_terminal('host', NO_COLOR='1'), '\033', 'host with NO_COLOR')


RULES = """[rule flavors]
nova-flavor=gmem.*
mode=fully-shared
[rule names]
name=web-*
title=*
mode=convertible
"""
NAMED = """<domain type='%s'><name>web-1</name>%s<memory>65536</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"""


@suite.test('explain: what rules make of a domain, and why')
def explain(t):
    with tools.directory() as directory:
        rules, xml = (os.path.join(directory, name) for name in ('gmem.conf', 'vm.xml'))

        def said(text, conf=RULES, status=0):
            for path, content in ((rules, conf), (xml, text)):
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(content)
            result = tools.call('explain', '--rules', rules, *([xml] if text else []))
            t.equal(result[0], status, 'exit status')
            return result[1 if status == 0 else 2].splitlines()

        unmet = "rule 'flavors' does not apply: the domain does not meet nova-flavor=gmem.*"
        t.equal(said(NAMED % ('kvm', '<title/>')), [
            unmet, "rule 'names' applies", "the domain gets <launchSecurity type='sw-protected'/>"], 'applies')
        t.equal(said(NAMED % ('kvm', '')), [
            unmet, "rule 'names' does not apply: the domain does not meet title=*",
            'the domain stays as it is: no rule applies'], 'none applies')
        t.equal(said(NAMED % ('kvm', "<title>x</title><launchSecurity type='sw-protected'/>"))[-1],
                "the domain stays as it is: it has <launchSecurity type='sw-protected'/> itself", 'its own')
        t.has(said(NAMED % ('qemu', '<title/>'), status=1)[-1],
              "error: rule 'names' of '%s' gives the domain <launchSecurity type='sw-protected'/>: " % rules, 'error')
        t.equal(said('', RULES + 'colour=red\n', 1),
                ["error: line 8 of '%s' has the key 'colour' in [rule names], which is not known" % rules], 'error')
        t.equal(said(''), ["rule 'flavors' gives fully-shared memory to domains with nova-flavor=gmem.*",
                           "rule 'names' gives convertible memory to domains with name=web-* title=*"], 'list')


if __name__ == '__main__':
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
