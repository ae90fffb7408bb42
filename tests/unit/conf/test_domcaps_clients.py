#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Raised domain capabilities as others see them: compared line by line, by virt-manager, and by Nova.

None of this comes from the code under test. Each raised answer must be one of the stock answers
with nothing but a few known lines added, and what virt-manager and Nova make of it must be what
they make of that stock answer.

usage: test_domcaps_clients.py DIRECTORY
"""

import functools
import glob
import inspect
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position

VIRT_MANAGER = '/usr/share/virt-manager'
PRIVATE = [
    ["    <enum name='private'/>"],
    ["    <enum name='private'>", '      <value>convertible</value>', '    </enum>'],
    ["    <enum name='private'>", '      <value>fully-shared</value>', '    </enum>'],
    ["    <enum name='private'>", '      <value>convertible</value>',
     '      <value>fully-shared</value>', '    </enum>'],
]
SECURITY = ["    <launchSecurity supported='yes'>", "      <enum name='sectype'>",
            '        <value>sw-protected</value>', '      </enum>', '    </launchSecurity>']
NO_SECURITY = ["    <launchSecurity supported='no'/>"]


def read(path):
    with open(path, encoding='utf-8', newline='') as file:
        return file.read()


def cut(lines, part, before):
    """@lines without the only occurrence of @part, which must be directly in front of @before."""
    places = [i for i in range(len(lines)) if lines[i:i + len(part) + 1] == part + [before]]
    assert len(places) == 1, '%r is there %d times' % (part, len(places))
    return lines[:places[0]] + lines[places[0] + len(part):]


def stripped(text):
    """All texts that @text may have come from."""
    lines = text.split('\n')
    private = [part for part in PRIVATE if part[0] in lines and (len(part) == 1 or
               lines[lines.index(part[0]):][:len(part)] == part)]
    assert len(private) == 1, 'an enum of modes, once'
    lines = cut(lines, private[0], '  </memoryBacking>')
    value = '        <value>sw-protected</value>'
    assert (value in lines) == any('>convertible<' in line for line in private[0])
    if value not in lines:
        return ['\n'.join(lines)]
    if SECURITY[0] in lines and lines[lines.index(SECURITY[0]):][:len(SECURITY)] == SECURITY:
        place = lines.index(SECURITY[0])
        assert lines[place + len(SECURITY)] == '  </features>', 'last of the features'
        rest = lines[place + len(SECURITY):]
        return ['\n'.join(lines[:place] + rest), '\n'.join(lines[:place] + NO_SECURITY + rest)]
    return ['\n'.join(cut(lines, [value], '      </enum>'))]


def plain(thing):
    """A value that can be compared, made from a tree of objects."""
    if isinstance(thing, (list, tuple)):
        return [plain(one) for one in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted((plain(one) for one in thing), key=repr)
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items()}
    if type(thing).__module__.startswith('nova.'):
        return [type(thing).__name__, plain(vars(thing))]
    return thing


def check_lines(_stock, _raised):
    """Holds already: the caller could tell the stock answer."""


class VirtManager:
    """virt-manager's and virt-install's view."""

    def __init__(self):
        if not os.path.isdir(VIRT_MANAGER):
            raise gmem_tap.Skip('%s is not there (Debian package virtinst)' % VIRT_MANAGER)
        sys.path.insert(0, VIRT_MANAGER)
        try:
            from virtinst import DomainCapabilities  # pylint: disable=import-outside-toplevel
        except ImportError as error:
            raise gmem_tap.Skip('virt-manager cannot be imported: %s' % error) from None
        self.parse = lambda text: DomainCapabilities(None, parsexml=text)

    @staticmethod
    def answers(caps):
        result = {}
        for name, method in inspect.getmembers(caps, inspect.ismethod):
            if name.startswith('supports_') or name == 'get_cpu_models':
                try:
                    result[name] = method()
                except Exception as error:  # pylint: disable=broad-except
                    result[name] = repr(error)
        assert len(result) > 8 and result['supports_memorybacking_memfd'] is True, result
        for name in ('arch', 'domain', 'machine', 'path'):
            result[name] = getattr(caps, name)
        return result

    def __call__(self, stock, raised):
        old, new = self.parse(stock), self.parse(raised)
        assert self.answers(old) == self.answers(new)
        names = old.memorybacking.enum_names()
        assert new.memorybacking.enum_names() == names + ['private']
        assert (new.memorybacking.get_enum('sourceType').get_values() ==
                old.memorybacking.get_enum('sourceType').get_values())
        for mode in ('convertible', 'fully-shared'):
            assert (new.memorybacking.get_enum('private').has_value(mode) ==
                    ('<value>%s</value>' % mode in raised))
        assert new.features.gic.supported == old.features.gic.supported
        assert new.features.sev.supported == old.features.sev.supported
        assert new.features.sev.maxESGuests == old.features.sev.maxESGuests


class Nova:
    """The view of OpenStack's compute service."""

    def __init__(self):
        try:
            from nova.virt.libvirt import config  # pylint: disable=import-outside-toplevel
        except ImportError as error:
            raise gmem_tap.Skip('Nova cannot be imported (package python3-nova): %s' % error) from None
        self.config = config

    def parse(self, text):
        caps = self.config.LibvirtConfigDomainCaps()
        caps.parse_str(text)
        assert caps.machine_type and caps.features and caps.devices.disk.buses
        return plain(caps)

    def __call__(self, stock, raised):
        assert self.parse(stock) == self.parse(raised)


def find_stock(raised, stocks):
    found = {stock for stock in stripped(raised) if stock in stocks}
    assert len(found) == 1, 'comes from %d of the stock answers' % len(found)
    return found.pop()


def check(client, path, stocks):
    raised = read(path)
    client(find_stock(raised, stocks), raised)


def collect(paths, stocks):
    """The tests: names and functions; None for a function if there is only a reason to skip."""
    tests = []
    for name, make in (('lines', lambda: check_lines), ('virt-manager', VirtManager),
                       ('Nova', Nova)):
        try:
            client = make()
        except gmem_tap.Skip as reason:
            tests.append((name, functools.partial(skip, reason)))
            continue
        for path in paths:
            tests.append(('%s: %s' % (name, os.path.basename(path)),
                          functools.partial(check, client, path, stocks)))
    return tests


def skip(reason):
    raise reason


def check_enough(raised, stocks):
    assert len(raised) >= 40 and len(stocks) >= 12, (len(raised), len(stocks))


def main():
    paths = sorted(glob.glob(os.path.join(sys.argv[1], '*.xml')))
    raised = [path for path in paths if not os.path.basename(path).startswith('libvirt-')]
    stocks = {read(path) for path in set(paths) - set(raised)}
    return gmem_tap.run(collect(raised, stocks) + [
        ('there are answers', functools.partial(check_enough, raised, stocks))])


if __name__ == '__main__':
    sys.exit(main())
