#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_desk.py: what a user in front of virt-manager sees and does, by AT-SPI, like a screen reader.

It does not assume how long the window takes. The window is examined again each time, and an action is repeated
until it has had its effect, so it does not matter if the window refreshes itself meanwhile, or if a busy
machine does not answer a call.
"""

import time

import gi

gi.require_version('Atspi', '2.0')
gi.require_version('Gdk', '3.0')
from gi.repository import Atspi, Gdk, GLib  # noqa: E402  pylint: disable=wrong-import-position

from gmem_serve import serve  # noqa: E402  pylint: disable=wrong-import-position

# Roles are given by number, because some have other names in newer releases.
Role = Atspi.Role
PATIENCE = 550
APPLY, CANCEL, EDITOR, DEVICES = 'config-apply', 'config-cancel', 'XML editor', 'hw-list'


class NotThere(Exception):
    """Nothing with that name is shown."""


def walk(node):
    """@node and everything that is shown below it."""
    yield node
    for i in range(node.get_child_count()):
        child = node.get_child_at_index(i)
        if child and has(child, 'SHOWING'):
            yield from walk(child)


def has(node, state):
    return node.get_state_set().contains(getattr(Atspi.StateType, state))


def windows():
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        application = desktop.get_child_at_index(i)
        # The cache is updated by events, which this program does not process.
        application.clear_cache()
        for j in range(application.get_child_count()):
            yield application.get_child_at_index(j)


def find(name, role=None):
    for window in windows():
        for node in walk(window):
            if node.get_name() == name and role in (None, node.get_role()):
                return node
    raise NotThere(name)


def alert():
    """The dialog that reports an error, or None."""
    return next((w for w in windows() if w.get_role() == Role.ALERT and has(w, 'SHOWING')), None)


def labels(window):
    return ' '.join(' '.join(n.get_name().split()) for n in walk(window) if n.get_role() == Role.LABEL)


def click(node):
    return Atspi.Action.do_action(node, 0)


def content(node):
    return Atspi.Text.get_text(node, 0, -1)


def until(step, what):
    """Repeats @step until it returns something true, and returns that."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            result = step()
        except (GLib.Error, NotThere) as error:
            result, what = None, '%s (%r)' % (what.partition(' (')[0], error)
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError('waited in vain for ' + what)
        time.sleep(0.1)


class Desk:
    """One window with a domain's details."""

    def __init__(self):
        Atspi.set_timeout(20000, 20000)
        self.until = until

    def choose(self, page, tab):
        """Selects a row of the list on the left, and its tab 'Details' or 'XML'."""
        def step():
            if self.chosen(page, tab):
                return True
            # Going elsewhere does not apply what was typed; virt-manager would ask about it.
            if has(find(CANCEL), 'SENSITIVE'):
                click(find(CANCEL))
            table = find(DEVICES)
            index = find(page, Role.TABLE_CELL).get_parent().get_index_in_parent()
            Atspi.Table.add_row_selection(table, Atspi.Table.get_row_at_index(table, index))
            tabs = find(tab, Role.PAGE_TAB).get_parent()
            for i in range(tabs.get_child_count()):
                if tabs.get_child_at_index(i).get_name() == tab:
                    tabs.select_child(i)
            return False
        until(step, 'the page %s' % page)

    @staticmethod
    def chosen(page, tab):
        try:
            return has(find(tab, Role.PAGE_TAB), 'SELECTED') and has(find(page, Role.TABLE_CELL), 'SELECTED')
        except NotThere:
            return False

    def xml(self):
        self.choose('Overview', 'XML')
        return until(lambda: content(find(EDITOR)), 'the XML')

    def spin(self, page, name, value):
        """Puts @value into the spin button of that page, and applies it."""
        def step():
            button = find(name, Role.SPIN_BUTTON)
            if int(Atspi.Value.get_current_value(button)) != value:
                Atspi.Value.set_current_value(button, value)
                return False
            return self.apply()
        self.choose(page, 'Details')
        until(step, '%s to be %d' % (name, value))

    def write(self, xml):
        """Puts @xml into the editor, and applies it."""
        def step():
            editor = find(EDITOR)
            if content(editor) != xml:
                Atspi.EditableText.set_text_contents(editor, xml)
                return False
            return self.apply()
        self.choose('Overview', 'XML')
        until(step, 'the XML')

    @staticmethod
    def apply():
        if has(find(APPLY), 'SENSITIVE'):
            click(find(APPLY))
        return True

    def press(self, name):
        def step():
            button = find(name, Role.PUSH_BUTTON)
            return has(button, 'SENSITIVE') and click(button)
        until(step, 'the button ' + name)

    @staticmethod
    def error():
        """The text of the error dialog, '' if there is none."""
        dialog = alert()
        return labels(dialog) if dialog else ''

    def close_error(self):
        def step():
            if alert():
                click(find('Close', Role.PUSH_BUTTON))
            return not alert()
        until(step, 'the dialog to close')

    def picture(self, path):
        time.sleep(0.5)
        root = Gdk.get_default_root_window()
        pixels = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
        pixels.savev(path, 'png', ['compression'], ['9'])


if __name__ == '__main__':
    serve(Desk)
