#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_schema.py: `virt-gmem schema`, as virt-xml-validate uses it, compared with libvirt's own
schema."""

import glob
import os
import re
import sys

import gmem_tool_rig as tools
from gmem_tool_rig import rig

suite = rig.Suite()

SCHEMAS = '/usr/share/libvirt/schemas'
VALIDATE = '/usr/bin/virt-xml-validate'
# Each named file is checked with each schema: one line with the exit status for each.
SCRIPT = '''
    mkdir -p /mnt/schemas
    mount -t tmpfs tmpfs /mnt
    cp -r %(schemas)s /mnt/schemas
    mount --bind /mnt/schemas %(schemas)s
    "$1" schema >%(schemas)s/gmem-domain.rng
    shift
    for file in "$@"; do
        for schema in domain gmem-domain; do
            %(validate)s "$file" $schema >/dev/null 2>&1 && echo 0 || echo $?
        done
    done
    set true''' % {'schemas': SCHEMAS, 'validate': VALIDATE}

DOMAIN = '''<domain type='kvm'>
  <name>d</name>
  <memory>65536</memory>
  <memoryBacking>%s</memoryBacking>
  <os><type>hvm</type></os>
  %s
</domain>'''


def validate(*paths):
    """[(status by libvirt's schema, by ours)] of each file."""
    done = tools.in_namespace(SCRIPT, tools.TOOL, *paths)
    if done.returncode or done.stderr:
        raise rig.Failure('%d: %s' % (done.returncode, done.stderr))
    status = [int(line) for line in done.stdout.split()]
    return list(zip(status[::2], status[1::2]))


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


@suite.test('both elements, once, where they belong, and nothing else that libvirt does not know')
def elements(t):
    launch = "<launchSecurity type='%s'/>"
    cases = {
        ('', ''): (0, 0),
        ('<private/>', ''): (3, 0),
        ("<private/><source type='memfd'/><access mode='shared'/>", ''): (3, 0),
        ("<source type='memfd'/><private/>", launch % 'sw-protected'): (3, 0),
        ('', launch % 'sw-protected'): (3, 0),
        ('', launch % 's390-pv'): (0, 0),
        ('', launch % 'other'): (3, 3),
        ('<private/><private/>', ''): (3, 3),
        ('<private>yes</private>', ''): (3, 3),
        ("<private mode='on'/>", ''): (3, 3),
        ('', '<private/>'): (3, 3),
        ('<secret/>', ''): (3, 3),
        ("<source type='nothing'/>", ''): (3, 3),
    }
    with tools.directory() as directory:
        paths = [write(directory, '%d.xml' % n, DOMAIN % case) for n, case in enumerate(cases)]
        for case, got, wanted in zip(cases, validate(*paths), cases.values()):
            # xmllint's status 3; any other status is not an answer.
            t.equal(got, wanted, 'exit statuses for %r' % (case,))


@suite.test("users' domains are valid by it where libvirt's schema takes them without the elements")
def domains(t):
    paths = sorted(glob.glob(os.path.join(rig.SOURCE, 'tests/e2e/userdomains/*.xml')))
    paths.append(os.path.join(rig.SOURCE, 'examples/private-numa.xml'))
    t.true(len(paths) > 20, 'too few domains')
    both = []
    with tools.directory() as directory:
        for path in paths:
            with open(path, encoding='utf-8') as file:
                text = file.read()
            bare = re.sub(r"<private\s*/>|<launchSecurity type=.sw-protected.\s*/>", '', text)
            both += [path, write(directory, os.path.basename(path), bare)]
        got = validate(*both)
    valid = 0
    for path, ours, bare in zip(paths, got[::2], got[1::2]):
        t.equal(ours[1], bare[0], os.path.basename(path))
        valid += ours[1] == 0
    t.true(valid > 20, '%d domains of %d are valid' % (valid, len(paths)))


@suite.test('no schema is made of what is none of libvirt, and the reason is told')
def wrong(t):
    rng = '<grammar xmlns="http://relaxng.org/ns/structure/1.0">%s</grammar>'
    with tools.directory() as directory:
        for text, words in ((None, 'No such file or directory'), ('<grammar', ''),
                            (rng % '', 'does not define <memoryBacking>'),
                            (rng % '<element name="memoryBacking"><interleave/></element>', 'does not')):
            if text is not None:
                write(directory, 'domaincommon.rng', text)
            status, out, err = tools.call('schema', directory)
            t.equal((status, out), (1, ''), 'exit status and output for %r' % text)
            t.has(err, 'error: no schema can be made of %s/domaincommon.rng: ' % directory, 'error')
            t.has(err, words, 'error')
    t.equal(tools.call('schema', 'a', 'b')[0], 64, 'exit status for two directories')


if __name__ == '__main__':
    tools.need_build()
    sys.exit(suite.run(rig.need_root() or
                       (None if os.path.exists(VALIDATE) else 'requires ' + VALIDATE)))
