#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors and the tool in each language of po/LINGUAS; and no translation is out of date."""

import gettext
import os
import re
import shutil
import subprocess
import tempfile

from gmem_rig import BUILD, SOURCE, EmbedRig, LibvirtError, Skip, Suite, domain, library, need_root

suite = Suite()

TOOL = os.path.join(BUILD, 'tools/virt-gmem')
PO = os.path.join(SOURCE, 'po')
TEMPLATE = os.path.join(PO, 'libvirt-gmem.pot')
with open(os.path.join(PO, 'LINGUAS'), encoding='utf-8') as linguas:
    LANGUAGES = [line for line in linguas.read().split('\n') if line and line[0] != '#']

# What is looked for in each language, and the text that is expected.
VERB = "'%1$s' is not a verb of virt-gmem"
SUMMARY = "say what this host can do, and what is missing"
REFUSED = ("%1$s cannot be used with <access mode='private'/>: guest_memfd can only be mapped "
           "shared; remove it or use <access mode='shared'/>")


def compared(check, translation, template, *options):
    """Uses msgcmp: every message of the template must be in the other file, and translated."""
    done = subprocess.run(['msgcmp', *options, translation, template], cwd=SOURCE, text=True,
                          stderr=subprocess.PIPE, check=False)
    check.equal((done.returncode, done.stderr), (0, ''), 'what msgcmp finds')


@suite.test('the template has the messages of the sources, and no others')
def _(check):
    with open(os.path.join(PO, 'meson.build'), encoding='utf-8') as file:
        options = re.findall(r"'(--(?:from-code|keyword|flag|add-comments)=[^']*)'", file.read())
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'sources.pot')
        subprocess.run(['xgettext', *options, '--files-from=po/POTFILES', '--output=' + path],
                       cwd=SOURCE, check=True)
        for pair in ((TEMPLATE, path), (path, TEMPLATE)):
            compared(check, *pair, '--use-untranslated', '--use-fuzzy')


def complete(language):
    @suite.test('%s: every message is translated, none doubtfully' % language)
    def _(check):
        path = os.path.join(PO, language + '.po')
        done = subprocess.run(['msgfmt', '--check', '--output-file=/dev/null', path], text=True,
                              stderr=subprocess.PIPE, check=False)
        check.equal((done.returncode, done.stderr), (0, ''), 'what msgfmt finds')
        compared(check, path, TEMPLATE)


def localedir():
    with open(os.path.join(BUILD, 'config.h'), encoding='utf-8') as file:
        return re.search(r'#define GMEM_LOCALEDIR "(.*)"', file.read())[1]


def installed(rig):
    """In the rig, the translations are where they will be installed, and there is a locale for
    them."""
    script = '''
        place=%s
        test -d "$place" || { mount -t tmpfs tmpfs /usr/local/share; mkdir -p "$place"; }
        mount --bind %s/po "$place"
        mkdir /run/locale
        localedef -i de_DE -f UTF-8 /run/locale/de_DE.UTF-8''' % (localedir(), BUILD)
    if not shutil.which('localedef') or not os.path.exists('/usr/share/i18n/locales/de_DE'):
        raise Skip('requires the sources of locales (Debian package locales)')
    done = rig.run(['sh', '-ec', script])
    if done.returncode:
        raise Skip('no locale can be made here: ' + done.stderr.strip())


def spoken(language):
    @suite.test('%s: the tool, and a definition that is refused' % language)
    def _(check):
        with EmbedRig(library()) as rig:
            installed(rig)
            env = rig.environment(rig.preload, LOCPATH='/run/locale', LC_ALL='de_DE.UTF-8',
                                  LANGUAGE=language)
            path = os.path.join(BUILD, 'po', language, 'LC_MESSAGES/libvirt-gmem.mo')
            with open(path, 'rb') as file:
                translated = gettext.GNUTranslations(file).gettext
            for each in (VERB, SUMMARY, REFUSED):
                check.true(translated(each) != each, 'not translated: ' + each)
            done = rig.run([TOOL, 'nonsense'], env=env)
            check.has(done.stderr, translated(VERB).replace('%1$s', 'nonsense'), 'error of the tool')
            done = rig.run([TOOL, 'help'], env=env)
            check.has(done.stdout, translated(SUMMARY), 'help')
            rig.write('/run/vm.xml', domain('vm', backing="<access mode='private'/>"))
            try:
                rig.virsh().virsh('define', '/run/vm.xml', env=env)
            except LibvirtError as error:
                check.has(error.message, translated(REFUSED).replace('%1$s', '<private/>'), 'refusal')
            else:
                check.true(False, 'the domain was defined')


for each_language in LANGUAGES:
    complete(each_language)
    spoken(each_language)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
