#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_docs.py: the commands in the documentation are run, and its statements about messages, lines of
`virt-gmem host` and releases are checked.

Blocks of `.. code-block:: console` (in README.md: ```console) are run in order, page by page, each page with a
libvirtd of its own. A command follows "# "; the lines after it have to be its output. "…" matches any text in a
line, and in a line of its own any number of lines. Blocks of XML with a caption are files. A block after the
comment ".. not run here: REASON" is not run, but its programs and their verbs and options have to exist. The
comment ".. here the daemon is restarted without libvirt-gmem" does what it says.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys

import gmem_rig as rig

suite = rig.Suite()

TOOL = os.path.join(rig.BUILD, 'tools', 'virt-gmem')
DOCS = os.path.join(rig.SOURCE, 'docs')
WHERE = '/run/docs'


def read(*path):
    with open(os.path.join(rig.SOURCE, *path), encoding='utf-8') as f:
        return f.read()


# ---- the contents of the pages ----

def indented(lines, start):
    """The block that is indented below line @start - 1, without its indentation."""
    block = []
    for line in lines[start:]:
        if line and not line.startswith(' '):
            break
        block.append(line)
    depth = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return [line[depth:] for line in block]


def steps(page):
    """[('file', name, text) or ('run', 'look' or 'restart', lines, number of the block's line)] of a page."""
    lines = read(*page.split('/')).splitlines()
    found, reason = [], False
    for number, line in enumerate(lines):
        if line.startswith(('.. not run here: ', '<!-- not run here: ')):
            reason = True
        if line == '.. here the daemon is restarted without libvirt-gmem':
            found.append(('restart', None, number))
        if line == '```console':
            end = lines.index('```', number)
            found.append(('look' if reason else 'run', lines[number + 1:end], number))
            reason = False
        elif line == '.. code-block:: console':
            found.append(('look' if reason else 'run', indented(lines, number + 1), number))
            reason = False
        elif line == '.. code-block:: xml' and ':caption:' in lines[number + 1]:
            name = lines[number + 1].split(':caption:')[1].strip()
            text = '\n'.join(indented(lines, number + 2)).strip()
            found.append(('file', name, text + '\n'))
    return found


def commands(block):
    """[(command, lines that it prints)]"""
    found = []
    for line in block:
        if line.startswith('# '):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return [(command, [line for line in wanted if line.strip()]) for command, wanted in found]


def pattern(lines):
    """A pattern for the output that a page shows; blank lines do not count."""
    parts = []
    for line in lines:
        if line.strip() == '…':
            parts.append(r'(?:[^\n]*\n)*?')
        else:
            words = [r'[^\n]*?'.join(re.escape(part) for part in word.split('…'))
                     for word in line.split()]
            parts.append(r'[ \t]*' + r'[ \t]+'.join(words) + r'[ \t]*\n')
    return '^' + ''.join(parts) + '$'


# ---- running the commands ----

class Page:
    """One page's daemon."""

    def __init__(self, preload):
        self.rig = rig.DaemonRig(preload)
        os.makedirs(self.rig.outer(WHERE))
        shutil.copytree(os.path.join(rig.SOURCE, 'examples'),
                        self.rig.outer(os.path.join(WHERE, 'examples')))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rig.close()

    def environment(self):
        path = '%s:/usr/sbin:/usr/bin:/sbin:/bin' % os.path.dirname(TOOL)
        return dict(self.rig.environment(), PATH=path, HOME='/run/home', LC_ALL='C.UTF-8',
                    LIBVIRT_DEFAULT_URI='qemu:///system')

    def restart_without(self):
        """Restarts the daemon as it is after libvirt-gmem has been removed."""
        self.rig.stop_daemon()
        self.rig.preload = ()
        self.rig.start_daemon()

    def run(self, command):
        """(exit status, all output). Commands that look at processes run where process IDs are right."""
        script = '%s 2>&1' % command
        if command.startswith('virt-gmem status'):
            done = subprocess.run(['sh', '-c', script], cwd=self.rig.outer(WHERE), text=True, check=False,
                                  env=self.environment(), stdout=subprocess.PIPE, timeout=rig.PATIENCE)
        else:
            done = self.rig.run(['sh', '-c', 'cd %s && %s' % (WHERE, script)], env=self.environment())
        return done.returncode, done.stdout


def look(t, command, offered):
    """Checks the form of a command that is not run."""
    words = shlex.split(command)
    program = words[0]
    if program == 'virsh':
        code, text = offered.run('virsh help ' + words[1])
        t.equal(code, 0, 'virsh has the command in: ' + command)
    elif program == 'virt-gmem':
        code, text = offered.run('virt-gmem help ' + words[1])
        t.equal(code, 0, 'virt-gmem has the verb in: ' + command)
    elif program == 'make':
        t.matches(read('Makefile'), r'(?m)^%s:' % re.escape(words[1]), 'make has the target in: ' + command)
        text = read('Makefile')
    elif program.startswith('tools/'):
        text = read(program)
    else:
        return
    for option in (word.split('=')[0] for word in words[2:] if word.startswith('--')):
        t.has(text, option, 'options of: ' + command)


def needs(command):
    """Skips the test if the machine cannot run the command."""
    if command.startswith('virsh start') or 'host --mode' in command:
        rig.need_guest_memfd()
    program = command.split()[0]
    if program in ('virt-install', 'virt-xml') and not os.access('/usr/bin/' + program, os.X_OK):
        raise rig.Skip('requires %s (Debian package virtinst)' % program)


def run_page(t, page):
    found = steps(page)
    t.true([step for step in found if step[0] != 'file'], 'it has commands')
    with Page(rig.library()) as daemon:
        for kind, what, more in found:
            if kind == 'file':
                with open(daemon.rig.outer(os.path.join(WHERE, what)), 'w', encoding='utf-8') as f:
                    f.write(more)
                continue
            if kind == 'restart':
                daemon.restart_without()
                continue
            for command, wanted in commands(what):
                if kind == 'look':
                    look(t, command, daemon)
                    continue
                needs(command)
                code, out = daemon.run(command)
                failed = any(re.search(r'error: |invalid option', line) for line in wanted)
                where = '%s, line %d: %s' % (page, more + 1, command)
                t.true((code != 0) == failed or 'virt-gmem host' in command,
                       '%s: exit status %d\n%s' % (where, code, out))
                text = ''.join(line + '\n' for line in out.splitlines() if line.strip())
                if not re.match(pattern(wanted), text):
                    raise rig.Failure('%s\nprinted\n%s\nand not\n%s' % (where, text, '\n'.join(wanted)))


PAGES = sorted('docs/' + name for name in os.listdir(DOCS)
               if name.endswith('.rst') and '.. code-block:: console' in read('docs', name))

for _page in PAGES + ['README.md']:
    @suite.test('%s: its commands do what it says' % _page)
    def page_(t, page=_page):
        run_page(t, page)


@suite.test('README.md links to files that there are')
def links(t):
    found = re.findall(r'\]\(([^)#:]+)\)', read('README.md'))
    t.true(len(found) > 8, 'links: %r' % found)
    t.equal([link for link in found if not os.path.exists(os.path.join(rig.SOURCE, link))], [], 'dead')


@suite.test('host.rst has each line of virt-gmem host')
def lines_of_host(t):
    text = ' '.join(read('docs', 'host.rst').split())
    source = read('tools', 'gmemtoolhost.c')
    titles = re.findall(r'_\("((?:KVM|QEMU|libvirt|Mode): [^"%;]*)"', source)
    titles += re.findall(r'addCheck\(host, "[a-z-]*", "([^"]*)"', source) + ['libvirt-gmem.so', 'qemu-gmem.so']
    t.true(len(titles) > 22, 'titles: %r' % titles)
    for title in titles:
        t.has(text, '``%s``' % title, 'host.rst')


@suite.test('troubleshooting.rst quotes messages that there are')
def messages(t):
    headings = re.findall(r'(?m)^``(.+)``\n=+$', read('docs', 'troubleshooting.rst'))
    t.equal(headings[0], '-x-libvirt-gmem: invalid option', 'the first one')
    ours = ''
    for top in ('src', 'tools'):
        for directory, _, names in os.walk(os.path.join(rig.SOURCE, top)):
            for name in (n for n in names if n.endswith('.c')):
                ours += re.sub(r'"\s*\n\s*"', '', read(os.path.relpath(os.path.join(directory, name),
                                                                       rig.SOURCE)))
    # QEMU's own message, which the page shows; libvirt's (see e2e-lifecycle); virtiofsd's (see e2e-virtiofs).
    others = ('-x-libvirt-gmem: invalid option', 'Unable to validate doc against', 'MmapRegion(SeekEnd(')
    for heading in headings:
        t.true(heading in others or heading in ours or heading.replace('<private/>', '%s') in ours,
               'there is no such message: ' + heading)


@suite.test('compatibility.rst has what is installed here')
def releases(t):
    with open('/etc/os-release', encoding='utf-8') as f:
        text = f.read()
    version = re.search(r'(?m)^VERSION_ID="(\d+)"', text)
    unstable = 'sid' in text and not version
    name = 'Debian ' + (version[1] if version and not unstable else 'unstable')
    row = re.search(r'(?m)^%s +(\d[\d.]*) +(\d[\d.]*) ' % name, read('docs', 'compatibility.rst'))
    if not row:
        raise rig.Skip('no row for this release')
    libvirt = '%d.%d' % (rig.libvirt_version()[:2] if isinstance(rig.libvirt_version(), tuple)
                         else divmod(rig.libvirt_version() // 1000, 1000))
    done = subprocess.run([TOOL, 'emulator'], stdout=subprocess.PIPE, text=True, check=False)
    qemu = re.search(r', (\d+\.\d+)\.', done.stdout)[1]
    if name == 'Debian unstable':
        t.true(tuple(map(int, libvirt.split('.'))) >= tuple(map(int, row[1].split('.'))), libvirt)
        t.true(tuple(map(int, qemu.split('.'))) >= tuple(map(int, row[2].split('.'))), qemu)
    else:
        t.equal((row[1], row[2]), (libvirt, qemu), name)


@suite.test('compatibility.rst has the releases that the matrix has, and no other')
def matrix(t):
    names = {'bookworm': 'Debian 12', 'trixie': 'Debian 13', 'sid': 'Debian unstable'}
    releases_ = re.search(r'\{releases:=([a-z ]+)\}', read('tests', 'matrix', 'run-matrix'))[1].split()
    rows = re.findall(r'(?m)^(Debian \w+) +\d', read('docs', 'compatibility.rst'))
    t.equal(rows, [names[release] for release in releases_], 'rows')
    t.has(read('README.md'), 'Debian 12, 13 and unstable', 'README.md')


@suite.test('HTML without a warning or a dead link')
def html(t):
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(['sphinx-build', '--version'], stdout=subprocess.DEVNULL, check=True)
        out = os.path.join(rig.BUILD, 'docs', 'html-test')
        done = subprocess.run(['sphinx-build', '-E', '-W', '--keep-going', '-n', '-q', '-b', 'html', '-d',
                               out + '.doctrees', DOCS, out], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        t.equal((done.returncode, done.stdout), (0, ''), 'sphinx-build')
        pages = [os.path.join(d, n) for d, _, names in os.walk(out) for n in names if n.endswith('.html')]
        t.true(len(pages) > 10, 'pages')
        for page in pages:
            with open(page, encoding='utf-8') as f:
                links = re.findall(r'href="([^"#?]+)', f.read())
            for link in links:
                if not re.match(r'[a-z]+:', link):
                    path = os.path.normpath(os.path.join(os.path.dirname(page), link))
                    t.true(os.path.exists(path), '%s links to %s' % (page, link))
        return
    raise rig.Skip('requires sphinx-build (Debian package python3-sphinx)')


if __name__ == '__main__':
    sys.exit(suite.run(rig.need_root()))
