#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt-calls.txt names every function that could carry domain XML, and a test or a reason for each.

The functions are those of the libvirt that is installed: what its daemon imports, and what clients of an
embedded driver can call."""

import importlib.util
import os
import re
import subprocess

from gmem_rig import HERE, LIBVIRTD, SOURCE, Skip, Suite

suite = Suite()

LIST = os.path.join(HERE, 'libvirt-calls.txt')
DAEMONS = [path for path in (LIBVIRTD, '/usr/sbin/virtqemud') if os.path.exists(path)]
CALL = re.compile(r'vir(Domain\w*|Connect\w*Domain\w*)')


def read():
    """({name: (since, what)}, {reason})"""
    calls, reasons = {}, set()
    with open(LIST, encoding='utf-8') as file:
        for line in file:
            reason = re.match(r'#   ([a-z-]+)  ', line)
            if reason:
                reasons.add(reason[1])
            if line.startswith('#') or not line.strip():
                continue
            entry = re.fullmatch(r'(\w+)(?: \(since ([\d.]+)\))? = (.+)\n', line)
            if not entry or entry[1] in calls:
                raise ValueError('malformed or doubled: %r' % line)
            calls[entry[1]] = entry[2], entry[3]
    return calls, reasons


def symbols(path, which):
    """{name: version} of @which symbols, as nm calls them."""
    text = subprocess.run(['nm', '-D', which, path], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    return {name: version for name, version in re.findall(r' (\w+)@+(LIBVIRT\w*[\d.]*)$', text, re.M)
            if CALL.fullmatch(name)}


def libraries(path):
    text = subprocess.run(['ldd', path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r'(/\S*/libvirt[\w-]*\.so\.0)\b', text)


def installed():
    """The names of the installed libvirt's functions."""
    if not DAEMONS:
        raise Skip('no libvirtd or virtqemud here')
    names = {}
    for daemon in DAEMONS:
        names.update(symbols(daemon, '--undefined-only'))
        for path in libraries(daemon):
            names.update({name: version for name, version in symbols(path, '--defined-only').items()
                          if not version.startswith('LIBVIRT_PRIVATE')})
    return names


def interposed():
    """The names of the functions that the library stands in front of, except those of libc, those that open
    connections (test_door.py), and the one that reloads (test_unasked.py)."""
    with open(os.path.join(SOURCE, 'src/driver/libvirt-gmem.syms'), encoding='utf-8') as file:
        text = re.search(r'global:(.*?)local:', re.sub('#.*', '', file.read()), re.S)[1]
    return set(re.findall(r'\b(vir(?!ConnectOpen|StateReload)\w+);', text))


def tests(file):
    """The names of the tests in @file, without running any."""
    path = os.path.join(HERE, file)
    spec = importlib.util.spec_from_file_location(file[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name for name, _ in module.suite.tests}


@suite.test('every function of the installed libvirt is listed')
def _(check):
    names = installed()
    check.true(len(names) > 200, 'only %d names: %s' % (len(names), sorted(names)))
    check.true(any(version.startswith('LIBVIRT_PRIVATE') for version in names.values()),
               'no private name')
    calls, _ = read()
    check.equal(sorted(set(names) - set(calls)), [], 'names that are not listed')


@suite.test('every name that is listed is there, unless libvirt is older')
def _(check):
    names = installed()
    calls, _ = read()
    missing = sorted(name for name, (since, _) in calls.items() if name not in names and not since)
    check.equal(missing, [], 'names that libvirt does not have')
    # A number that is too high would hide that a function is missing.
    versions = {name: re.fullmatch(r'LIBVIRT_(?:QEMU_|LXC_)?(\d+)\.(\d+)\.\d+', version)
                for name, version in names.items()}
    for name, (since, _) in calls.items():
        if since and versions.get(name):
            check.equal(since, '%s.%s' % versions[name].groups(), 'since when there is ' + name)


@suite.test('what the library stands in front of is listed with a test, and nothing else is')
def _(check):
    calls, reasons = read()
    check.true(len(reasons) >= 4, 'reasons: %s' % sorted(reasons))
    names = interposed()
    check.equal(sorted(names - set(calls)), [], 'interposed, but not listed')
    for name, (_, what) in sorted(calls.items()):
        if name in names:
            check.true(': ' in what, '%s is interposed, but has no test' % name)
        elif ': ' not in what:
            check.true(what in reasons, '%s: %r is not a reason' % (name, what))


@suite.test('what carries domain XML by its name is interposed, or not of the QEMU driver')
def _(check):
    calls, _ = read()
    names = interposed()
    for name, (_, what) in sorted(calls.items()):
        if re.search(r'XML|Save(Flags|Params)?$|Restore|Prepare|Begin3|Perform', name) and \
                name not in names:
            check.true(what == 'not-in-qemu-driver' or name in (
                'virDomainBackupGetXMLDesc',), '%s = %s' % (name, what))
        else:
            check.count += 1


@suite.test('every test that is listed exists')
def _(check):
    calls, _ = read()
    known = {}
    for name, (_, what) in sorted(calls.items()):
        file, colon, test = what.partition(': ')
        if not colon:
            continue
        if file not in known:
            known[file] = tests(file)
        check.true(test in known[file], '%s: %s has no test %r' % (name, file, test))
    check.true(len(known) > 5, 'tests in %s only' % sorted(known))


@suite.test('what is shown for a rig is shown for the other, too')
def _(check):
    # libvirt's own header converts one into the other in C, and autostart is the daemon's.
    alone = {'virDomainCreateLinux', 'virDomainSetAutostart'}
    calls, _ = read()
    for name, (_, what) in sorted(calls.items()):
        file, _, test = what.partition(': ')
        rig, colon, rest = test.partition(': ')
        if colon and rig in ('embed', 'libvirtd') and name not in alone:
            for other in ('embed', 'libvirtd'):
                check.true('%s: %s' % (other, rest) in tests(file),
                           '%s: %s has no test %r for %s' % (name, file, rest, other))
    check.true(check.count > 40, 'only %d tests' % check.count)


def sources():
    """The text of the sources that read a domain's XML."""
    text = ''
    for name in ('conf/gmemdomain.c', 'conf/gmemdomainmemory.c', 'conf/gmemlower.c',
                 'driver/gmemdrivermemory.c'):
        with open(os.path.join(SOURCE, 'src', name), encoding='utf-8') as file:
            text += file.read()
    return text


@suite.test('no attribute that is read can be told apart by a namespace only')
def _(check):
    text = sources()
    checked = re.search(r'names\[\] = \{(.*?NULL,?)\s*\};', text[text.index('CheckAttributes('):],
                        re.S)[1]
    checked = set(re.findall('"(\\w+)"', checked))
    read_ = set(re.findall(r'gmem(?:XMLAttribute|DomainAttributeIs)\([^;]*?, "(\w+)"', text))
    # Tables of devices, and of what lowering changes.
    read_ |= set(re.findall(r'\.attribute = "(\w+)"', text))
    check.true(len(read_) > 20, 'only %s' % sorted(read_))
    check.equal(sorted(read_ - checked), [], 'read, but not checked')


if __name__ == '__main__':
    raise SystemExit(suite.run())
