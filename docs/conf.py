# SPDX-License-Identifier: LGPL-2.1-or-later
"""conf.py: Sphinx makes HTML of this directory by `make docs`; links between files, written for readers
of the sources, become links between pages, and one that leads nowhere is a warning."""

import os
import re

from docutils import nodes
from sphinx.util import logging

project = 'libvirt-gmem'
copyright = 'the authors of libvirt-gmem'  # pylint: disable=redefined-builtin
extensions = []
exclude_patterns = []
html_theme = 'alabaster'
html_theme_options = {'description': 'guest_memfd for stock libvirt', 'page_width': '70em',
                      'fixed_sidebar': True}
html_sidebars = {'**': ['about.html', 'navigation.html', 'searchbox.html']}
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False
highlight_language = 'none'
smartquotes = False
language = 'en'


def resolve(app, doctree, name):
    """Links to FILE.rst, relative to the page."""
    for reference in doctree.findall(nodes.reference):
        found = re.fullmatch(r'([\w./-]+)\.rst(#[\w-]+)?', reference.get('refuri', ''))
        if not found:
            continue
        page = os.path.normpath(os.path.join(os.path.dirname(name), found[1]))
        if page not in app.env.all_docs:
            logging.getLogger(__name__).warning('no such page: %s', reference['refuri'],
                                                location=reference)
            continue
        reference['refuri'] = app.builder.get_relative_uri(name, page) + (found[2] or '')
        reference['internal'] = True


def setup(app):
    app.connect('doctree-resolved', resolve)
