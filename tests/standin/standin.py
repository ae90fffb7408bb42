# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU stand-in. It is NOT a QEMU, but looks from outside like one that has guest_memfd backends of its own.

No distribution has a QEMU of the first two rows of "What QEMU offers" (docs/design.rst). This program wraps
the installed QEMU: it answers query-qmp-schema with that QEMU's own schema plus what it is told to offer; it
checks the -object arguments that it is started with against that schema, and reports mismatches with QEMU's
words; it records what it got; and then it runs the real QEMU without the additions. So it shows which
arguments arrive, and that they fit the schema. It cannot show that guest RAM is guest_memfd, because here it
is not.

It is based on these facts:
 - sw-protected-vm, an object type without properties, and the bool "private" of all memory backends:
   the "QEMU gmem" RFC v2 tree. Its authors' command line:
     $qemu -object sw-protected-vm,id=sp-vm0 \\
           -object memory-backend-ram,id=mem0,size=1G,private=on \\
           -machine q35,kernel_irqchip=split,confidential-guest-support=sp-vm0,memory-backend=mem0
 - the bool "guest-memfd" or "x-guest-memfd" of memory-backend-memfd, which wants share=on and takes
   no hugetlb: Peter Xu's series on qemu-devel, "hostmem: Support in-place guest memfd to back a VM".
 - the form of the schema and the words for what does not fit it: the installed QEMU (7.2.22). The
   words about share and hugetlb are not QEMU's.

Run by launcher.c as an archive, with standin.json in it: {"real": path of the real QEMU, "offers":
[…], "record": file that gets a line of JSON for each domain that is started, "asked": file that gets a
byte for each time that it is asked what it offers, "answer": how it misbehaves then, or null, "stays": whether
the process that libvirt has started keeps the command line that it got}.
"""

import ctypes
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import time

CONFIG = json.loads(pkgutil.get_data('__main__', 'standin.json'))
REAL = CONFIG['real']
OFFERS = set(CONFIG['offers'])

LAUNCH = 'sw-protected-vm'
# Property → the backends that get it.
PROPERTIES = {
    'private': ('memory-backend-ram', 'memory-backend-file', 'memory-backend-memfd'),
    'guest-memfd': ('memory-backend-memfd',),
    'x-guest-memfd': ('memory-backend-memfd',),
}
IN_PLACE = ('guest-memfd', 'x-guest-memfd')


class Schema:
    """The real QEMU's schema with the additions."""

    def __init__(self, entries):
        self.entries = entries
        self.named = {entry['name']: entry for entry in entries}
        self.argument = self.named[self.named['object-add']['arg-type']]
        self.extend()

    def extend(self):
        for name in PROPERTIES:
            for backend in PROPERTIES[name] if name in OFFERS else ():
                self.variant(backend)['members'].append(
                    {'name': name, 'type': 'bool', 'default': None})
        if LAUNCH in OFFERS:
            entry = {'name': 'standin-' + LAUNCH, 'meta-type': 'object', 'members': []}
            self.entries.append(entry)
            self.named[entry['name']] = entry
            self.argument['variants'].append({'case': LAUNCH, 'type': entry['name']})
            kinds = self.named[next(member['type'] for member in self.argument['members']
                                    if member['name'] == 'qom-type')]
            kinds['values'].append(LAUNCH)
            if 'members' in kinds:
                kinds['members'].append({'name': LAUNCH})

    def variant(self, kind):
        """The object type of a qom-type, or None."""
        for variant in self.argument['variants']:
            if variant['case'] == kind:
                return self.named[variant['type']]
        return None

    def member(self, kind, name):
        for member in self.argument['members'] + self.variant(kind)['members']:
            if member['name'] == name:
                return member
        return None


def fail(message):
    sys.stderr.write('%s: %s\n' % (os.path.basename(REAL), message))
    sys.exit(1)


def is_schema(reply):
    entries = reply.get('return')
    return isinstance(entries, list) and bool(entries) and 'meta-type' in entries[0]


def ask_schema():
    environment = {key: value for key, value in os.environ.items() if key != 'LD_PRELOAD'}
    with subprocess.Popen([REAL, '-S', '-no-user-config', '-nodefaults', '-display', 'none',
                           '-machine', 'none', '-qmp', 'stdio'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=environment) as process:
        process.stdin.write('{"execute":"qmp_capabilities"}\n{"execute":"query-qmp-schema"}\n')
        process.stdin.flush()
        # If it is told to quit at once, QEMU may end in the middle of its answer.
        for line in process.stdout:
            reply = json.loads(line)
            if is_schema(reply):
                process.stdin.write('{"execute":"quit"}\n')
                process.stdin.flush()
                process.stdout.read()
                return Schema(reply['return'])
    return fail('the real QEMU does not report its schema')


def misbehave(how):
    """An emulator that does not report what it offers."""
    if how == 'hangs':
        time.sleep(100000)
    print('{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}}, "capabilities": []}}',
          flush=True)
    if how == 'dies':
        sys.stderr.write('about to die\n')
        # It causes a fault, because the first process of a PID namespace cannot send itself a signal.
        ctypes.string_at(0)
    while how == 'floods':
        print('{"event": "FLOOD", "data": "%s"}' % ('x' * 4096))
    print('{"return": {}}\n{"return": {"sw-protected-vm": true}}\n{"return": {}}')


def answer_qmp(arguments):
    """Answers like the real QEMU, except for the schema."""
    with open(CONFIG['asked'], 'a', encoding='utf-8') as file:
        file.write('x')
    if CONFIG['answer']:
        return misbehave(CONFIG['answer'])
    with subprocess.Popen([REAL, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            reply = json.loads(line)
            if is_schema(reply):
                reply['return'] = Schema(reply['return']).entries
                line = json.dumps(reply) + '\n'
            sys.stdout.write(line)
            sys.stdout.flush()
    return process.returncode


def split_keyval(text):
    """key=value,… as a list of [key, text]; the first key may be implied."""
    pairs = []
    for part in re.findall(r'(?:[^,]|,,)+', text):
        key, equals, value = part.partition('=')
        if not equals and not pairs:
            key, value = 'qom-type', part
        pairs.append([key, value if equals or not pairs else 'on'])
    return pairs


class Object:
    """An -object argument: its properties, checked, and what remains of it for the real QEMU."""

    def __init__(self, schema, text):
        self.schema = schema
        self.text = text
        self.json = json.loads(text) if text.startswith('{') else None
        pairs = list(self.json.items()) if self.json is not None else split_keyval(text)
        self.properties = dict(pairs)
        self.kind = self.properties.get('qom-type')
        self.check()

    def complain(self, message):
        fail('-object %s: %s' % (self.text, message))

    def check(self):
        if self.schema.variant(self.kind) is None and self.kind not in self.plain_kinds():
            self.complain("Parameter 'qom-type' does not accept value '%s'" % self.kind)
        if 'id' not in self.properties:
            self.complain("Parameter 'id' is missing")
        for name, value in self.properties.items():
            member = self.schema.member(self.kind, name.split('.')[0]) \
                if self.schema.variant(self.kind) else True
            if member is None:
                self.complain(("Parameter '%s' is unexpected" if self.json is not None else
                               "Invalid parameter '%s'") % name)
            if name in PROPERTIES:
                self.check_bool(name, value)
        if any(self.is_on(name) for name in IN_PLACE):
            if not self.is_on('share'):
                self.complain('guest-memfd needs share=on')
            if self.is_on('hugetlb'):
                self.complain('guest-memfd and hugetlb exclude each other')

    def plain_kinds(self):
        """Types without properties of their own have no variant."""
        kind = next(member['type'] for member in self.schema.argument['members']
                    if member['name'] == 'qom-type')
        return self.schema.named[kind]['values']

    def check_bool(self, name, value):
        if self.json is not None and not isinstance(value, bool):
            self.complain("Invalid parameter type for '%s', expected: boolean" % name)
        if self.json is None and value not in ('on', 'off', 'yes', 'no', 'true', 'false', 'y', 'n'):
            self.complain("Parameter '%s' expects 'on' or 'off'" % name)

    def is_on(self, name):
        return self.properties.get(name) in (True, 'on', 'yes', 'true', 'y')

    def rest(self):
        """The argument without the additions; None if nothing is left."""
        if self.kind == LAUNCH:
            return None
        if self.json is not None:
            left = {key: value for key, value in self.json.items() if key not in PROPERTIES}
            return json.dumps(left, separators=(',', ':'))
        return ','.join(part for part in re.findall(r'(?:[^,]|,,)+', self.text)
                        if part.partition('=')[0] not in PROPERTIES)


def start(arguments):
    """Becomes the real QEMU, or remains what it is and waits for that."""
    with open(CONFIG['record'], 'a', encoding='utf-8') as file:
        json.dump({'argv': arguments, 'preload': os.environ.get('LD_PRELOAD'),
                   'offers': sorted(OFFERS)}, file)
        file.write('\n')
    schema = ask_schema() if OFFERS else None
    launch = set()
    words = []
    rest = iter(arguments)
    for word in rest if schema else ():
        if word != '-object':
            words.append(word)
            continue
        item = Object(schema, next(rest))
        if item.kind == LAUNCH:
            launch.add(item.properties['id'])
        if item.rest() is not None:
            words += ['-object', item.rest()]
    for index, word in enumerate(words):
        if index and words[index - 1] in ('-machine', '-M'):
            for name in launch:
                words[index] = words[index].replace(',confidential-guest-support=' + name, '')
    command = [REAL] + (words if schema else arguments)
    if not CONFIG['stays']:
        os.execv(REAL, command)
    with subprocess.Popen(command, close_fds=False, preexec_fn=die_with_parent) as process:
        sys.exit(process.wait())


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main():
    arguments = sys.argv[1:]
    if '-qmp' in arguments and arguments[arguments.index('-qmp') + 1] == 'stdio':
        return answer_qmp(arguments)
    if '-name' in arguments or '-object' in arguments:
        start(arguments)
    os.execv(REAL, [REAL] + arguments)
    return 1


if __name__ == '__main__':
    sys.exit(main())
