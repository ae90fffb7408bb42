#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the source itself: its format, and lists in one file of what is in others.

usage: test_tree.py SOURCE
"""

import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

sys.path.insert(0, os.path.join(sys.path[0], 'matrix'))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position
import table  # noqa: E402  pylint: disable=wrong-import-position

# Other versions of clang-format break some lines differently, so only the version of Debian 12 counts.
VERSION = '14'
FILES = 100


def files(*directories):
    """All C files in that directory."""
    return sorted(path for directory in directories for kind in 'ch'
                  for path in glob.glob('%s/**/*.%s' % (directory, kind), recursive=True))


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def formatter():
    for name in ('clang-format-' + VERSION, 'clang-format'):
        if shutil.which(name):
            said = subprocess.run([name, '--version'], stdout=subprocess.PIPE, text=True, check=True)
            if ' version %s.' % VERSION in said.stdout:
                return name
    raise gmem_tap.Skip('no clang-format ' + VERSION)


def check_format():
    """C code is as clang-format makes it, by .clang-format"""
    name = formatter()
    paths = files('src', 'tests', 'tools', 'examples')
    assert len(paths) >= FILES, paths
    done = subprocess.run([name, '--dry-run', '--Werror', '--ferror-limit=20'] + paths,
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, '%s\nremedy: git ls-files "*.[ch]" | xargs %s -i' % (
        done.stderr, name)


def check_messages():
    """every file with messages for users is in po/POTFILES, in order"""
    listed = [line for line in read('po/POTFILES').splitlines() if not line.startswith('#')]
    assert listed == sorted(listed), listed
    translated = [path for path in files('src', 'tools') if path.endswith('.c')
                  and re.search(r'\bN?_\(\s*"', read(path))]
    assert len(translated) > 10, translated
    assert not set(translated) - set(listed), set(translated) - set(listed)
    assert not [path for path in listed if not os.path.exists(path)], listed


def check_capabilities():
    """every capability flag has a test in tests/unit, and is asked for"""
    tests = ''.join(read(path) for path in files('tests/unit'))
    code = ''.join(read(path) for path in files('src', 'tools'))
    flags = re.findall(r'^    GMEM_QEMU_CAPS_(\w+),', read('src/qemu/gmemcapabilities.h'), re.MULTILINE)
    assert len(flags) >= 7, flags
    for flag in flags:
        assert re.search(r'\b(FLAG\(|GMEM_QEMU_CAPS_)%s\b' % flag, tests), flag
        assert re.search(r'(\bgmemQEMUCapsGet\(\s*\S+,|\.flag =) GMEM_QEMU_CAPS_%s\b' % flag, code), flag


def check_modes():
    """shells complete the names of all modes"""
    modes = re.findall(r'\.name = "([\w-]+)"', read('src/util/gmemmode.c'))
    assert len(modes) >= 3, modes
    for path in ('data/virt-gmem.bash', 'data/virt-gmem.zsh'):
        words = set(read(path).replace("'", ' ').replace('(', ' ').replace(')', ' ').split())
        assert words >= set(modes) - {'none'}, path


def check_promises():
    """every test that SECURITY.md and docs/testing.rst name is there"""
    rows = [line.split('|')[-2] for path in ('SECURITY.md', 'docs/testing.rst')
            for line in read(path).splitlines() if line.startswith('| ')]
    names = re.findall(r'`([a-z0-9_-]+)`', ' '.join(rows))
    assert len(names) >= 40, names
    there = {re.sub(r'tests/(unit/|fuzz/)?|test_|\.\w+$', '', path).replace('/', '-').replace('_', '-')
             for kind in ('test', 'fuzz') for path in glob.glob('tests/**/%s_*.*' % kind, recursive=True)}
    for name in names:
        assert name.replace('_', '-') in there, name


def check_compatibility():
    """tables of docs/compatibility.rst are as table.py makes them, of test programs that are there"""
    text = read('docs/compatibility.rst')
    made = text[slice(*table.part(text))].strip('\n') + '\n'
    parts = [part.splitlines() for part in made.split('\n\n')]
    heads, areas = [[[line[slice(*cell.span())].strip() for cell in re.finditer('=+', part[0])]
                     for line in part if not line.startswith('=')] for part in parts]
    assert made == table.table(heads) + '\n' + table.table(areas), 'remedy: tests/matrix/table.py --write RESULTS…'
    assert [row[0] for row in areas[1:]] == [text for text, _ in table.AREAS], areas
    for _, programs in table.AREAS:
        for program in programs:
            assert os.path.exists('tests/e2e/test_%s.py' % program), program


def check_kernels():
    """the table of kernels in docs/compatibility.rst is what table.py makes of the recorded results"""
    runs = table.recorded()
    assert len(runs) >= 3, 'tests/nested/results has only %d files' % len(runs)
    text = read('docs/compatibility.rst')
    made = text[slice(*table.part(text, table.BEGIN_KERNELS))].strip('\n') + '\n'
    assert made == table.make_kernels(runs), 'remedy: tests/matrix/table.py --write tests/nested/results/*.json'
    for run in runs:
        for name in run['tests']:
            assert sum(bool(re.match(pattern, name)) for _, pattern in table.MODES) == 1, name


def check_description():
    """lines of the package's description are as short as lintian wants them"""
    for line in read('debian/control').splitlines():
        assert len(line) <= 80 or not line.startswith(' '), line


# Which directories of the project a directory's files may include, beside their own; docs/design.rst says why.
LAYERS = {
    'util': (),
    'conf': ('util',),
    'qemu': ('util', 'conf/gmemplan', 'conf/gmemcarrier'),
    'driver': ('util', 'conf', 'qemu'),
    'shim': ('util/gmemargv', 'util/gmemautofd', 'util/gmemkvmabi', 'util/gmemmode', 'util/gmemplatform',
             'util/gmempreloadlist', 'util/gmemqemunames', 'util/gmemshim'),
}


def rooms():
    """Each file of src without its suffix, and the other files that it includes."""
    paths = {os.path.basename(path): path for path in files('src')}
    assert len(paths) >= FILES, paths
    included = {}
    for path in paths.values():
        room = os.path.splitext(path)[0]
        names = re.findall(r'^#include "(gmem\w+\.h)"', read(path), re.MULTILINE)
        included.setdefault(room, set()).update(
            os.path.splitext(paths[name])[0] for name in names if name in paths)
    return {room: others - {room} for room, others in included.items()}


def check_layers():
    """a layer includes those below it only"""
    for room, others in rooms().items():
        layer = room.split('/')[1]
        for other in others if layer in LAYERS else ():
            allowed = ('src/%s/' % layer,) + tuple('src/' + below for below in LAYERS[layer])
            assert other.startswith(allowed), '%s includes %s' % (room, other)


def check_circles():
    """no two files require each other, whichever way around"""
    included = rooms()
    while included:
        leaves = [room for room, others in included.items() if not others & set(included)]
        assert leaves, 'among these is a circle: %s' % sorted(included)
        for room in leaves:
            del included[room]


# Names that do not begin with the name of their file, but with that of what the file is about.
PREFIXES = {
    'gmemcapabilities': ('gmemqemucaps',),
    'gmemdomain': ('gmemdomain', 'gmemlaunchsecurity'),
    'gmemlower': ('gmemlower', 'gmemraise'),
    'gmemvalidate': ('gmemqemuvalidate',),
}


def definitions(text):
    """The names of the functions that a file defines, except those that stand in front of others."""
    return re.findall(r'^(?!GMEM_INTERPOSED|GMEM_SHIM_EXPORT)\w[\w *]*\n(\w+)\([^;]*?\)\n\{', text, re.MULTILINE)


def check_names():
    """functions and tables are named after their file, so each is found by its name"""
    found = 0
    others = []
    for path in files('src'):
        text = read(path)
        room = os.path.splitext(os.path.basename(path))[0]
        tables = re.findall(r'^static [^\n(;=]*?\b(\w+)(?:\[[^;=]*\])?(?: =|;)', text, re.MULTILINE)
        for name in definitions(text) + tables if room.startswith('gmem') else ():
            found += 1
            if not name.lower().startswith(PREFIXES.get(room, (room,))):
                others.append('%s: %s' % (path, name))
    assert not others, others
    assert found >= 500, found


LINES = 55


def check_lengths():
    """no function is longer than a page"""
    found = 0
    for path in files('src', 'tools'):
        for name, body in re.findall(r'^(\w+)\([^;{}]*?\)\n\{\n(.*?)^\}', read(path), re.MULTILINE | re.DOTALL):
            found += 1
            assert body.count('\n') <= LINES, '%s: %s() has %d lines' % (path, name, body.count('\n'))
    assert found >= 1000, found


def check_backends():
    """a backend is a memory backend; what a device has elsewhere is not called so"""
    for path in files('src/conf', 'src/driver', 'src/vhostuser'):
        text = re.sub(r'memory[ -]backend', '', read(path))
        names = set(re.findall(r'\w*backend\w*', text, re.IGNORECASE)) - {'nbackends'}
        assert not names, '%s: %s' % (path, names)
    for path in files('src', 'tools') + glob.glob('docs/**/*.rst', recursive=True):
        assert not re.search(r'(vhost-user|virtiofs|network)[ -]backend', read(path), re.IGNORECASE), path


def check_yajl():
    """the JSON library is known to one file"""
    users = [path for path in files('src', 'tools', 'tests') if re.search(r'\byajl[_/]', read(path))]
    assert users == ['src/util/gmemjson.c'], users


OPENED = 25


def check_cloexec():
    """what a daemon or a QEMU with our libraries executes does not inherit descriptors of ours"""
    opened = 0
    for path in files('src', 'tools'):
        text = re.sub(r'/\*.*?\*/', '', read(path), flags=re.DOTALL)
        for name, body in re.findall(r'^(\w+)\([^;{}]*?\)\n\{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
            # KVM has no flag for it, so a guest_memfd is made first.
            calls = re.findall(r'\b(?:open|openat|memfd_create|pipe|pipe2|fopen|socket|dup|accept4?)\([^;]*', body)
            opened += len(calls)
            if re.search(r'ioctl\([^;]*CREATE_GUEST_MEMFD', body):
                calls.append(body)
            for call in calls:
                assert re.search(r'_CLOEXEC\b|, "re"', call), '%s: %s(): %s' % (path, name, call)
    assert opened >= OPENED, opened


def check_mirror():
    """every source of the libraries has a test by its name, or by docs/testing.rst"""
    elsewhere = re.findall(r'``gmem(\w+)``', read('docs/testing.rst'))
    sources = glob.glob('src/*/gmem*.c')
    assert len(sources) >= 50, sources
    for path in sources:
        directory, name = re.fullmatch(r'src/(\w+)/gmem(\w+)\.c', path).groups()
        short = name[len('shim'):] if directory == 'shim' else name
        assert name in elsewhere or os.path.exists('tests/unit/%s/test_%s.c' % (directory, short)), (
            '%s has neither a test in tests/unit/%s nor a row in docs/testing.rst' % (path, directory))
    for name in elsewhere:
        assert glob.glob('src/*/gmem%s.c' % name), 'docs/testing.rst: there is no gmem%s.c' % name


def check_lowerings():
    """what lowering changes, and is there once, is checked to be there once"""
    rows = re.findall(r'\{(\.mode = [^{}]*)\}', re.search(
        r'gmemLowerings\[\] = \{(.*?)^\};', read('src/conf/gmemlower.c'), re.MULTILINE | re.DOTALL)[1])
    text = re.search(r'^gmemDomainCheckSingle\(.*?^\}', read('src/conf/gmemdomain.c'), re.MULTILINE | re.DOTALL)[0]
    singles = set(re.findall(r'"([\w/]+/\w+)"', text))
    assert len(rows) >= 10, rows
    for row in rows:
        parent, element = re.search(r'\.parent = "([\w/]+)",\s*\.element = "(\w+)"', row).groups()
        # libvirt itself refuses a second memballoon.
        assert ('.model' in row or '.name' in row or element == 'memballoon'
                or '%s/%s' % (parent, element) in singles), row


def check_interposed():
    """what stands in front of libvirt's functions is in the table of real functions"""
    exported = re.findall(r'^        (\w+);', read('src/driver/libvirt-gmem.syms'), re.MULTILINE)
    table = re.findall(r'^    X\((\w+), ', read('src/driver/gmemreal.h'), re.MULTILINE)
    assert len(table) >= 50 and exported == sorted(exported), exported
    # execv() is implemented with execve().
    assert set(exported) - set(table) == {'execv'}, set(exported) ^ set(table)
    assert set(table) <= set(exported), set(table) - set(exported)


def check_directories():
    """directories that an option of meson names are written in no source"""
    named = re.findall(r"value: '(/[^']*)'", read('meson_options.txt'))
    paths = files('src', 'tools') + [path for path in glob.glob('data/*') if not path.endswith('meson.build')]
    assert len(named) >= 6 and len(paths) >= FILES, (named, paths)
    for path in paths:
        written = [each for each in named if re.search(re.escape(each) + r'\b', read(path))]
        assert not written, '%s: %s' % (path, written)


def main():
    os.chdir(sys.argv[1])
    tests = (check_format, check_messages, check_capabilities, check_modes, check_promises, check_compatibility,
             check_kernels, check_description, check_layers,
             check_circles, check_names, check_lengths, check_backends, check_yajl,
             check_cloexec, check_mirror, check_lowerings, check_interposed,
             check_directories)
    return gmem_tap.run([(test.__doc__, test) for test in tests])


if __name__ == '__main__':
    sys.exit(main())
