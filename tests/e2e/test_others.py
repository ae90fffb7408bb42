#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of docs/others.rst that Debian has: libvirt-glib, and an exporter for Prometheus, in Go."""

import os
import subprocess

from gmem_rig import (PYTHON, DaemonRig, Skip, Suite, domain, library, need_guest_memfd, need_root,
                      wait_for)

suite = Suite()

EXPORTER = '/usr/bin/prometheus-libvirt-exporter'
SCRAPE = 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9177/metrics").read().decode())'
SHARED = '<private/>'
SW = "<launchSecurity type='sw-protected'/>"
GLIB = '''
import sys
import gi
gi.require_version('LibvirtGObject', '1.0')
gi.require_version('LibvirtGConfig', '1.0')
from gi.repository import LibvirtGConfig, LibvirtGObject
connection = LibvirtGObject.Connection.new(sys.argv[1])
connection.open(None)
connection.fetch_domains(None)
for name in sys.argv[2:]:
    domain = connection.find_domain_by_name(name)
    config = domain.get_config(0)
    config.set_description('changed')
    domain.set_config(config)
    config.set_name(name + '-2')
    config.set_uuid(None)
    connection.create_domain(LibvirtGConfig.Domain.new_from_xml(config.to_xml()))
'''


def define(rig):
    client = rig.python()
    client.define(domain('shared', boot=rig.guest_image('shared')))
    client.define(domain('sw', private=False, launch='sw-protected'))
    return client


@suite.test('libvirt-glib changes a domain, and makes one like it: both keep the elements')
def _(check):
    probe = "import gi; gi.require_version('LibvirtGObject', '1.0')"
    if subprocess.run([PYTHON, '-c', probe], stderr=subprocess.PIPE, check=False).returncode:
        raise Skip('requires gir1.2-libvirt-glib-1.0')
    with DaemonRig(library()) as rig:
        client = define(rig)
        result = rig.run([PYTHON, '-c', GLIB, rig.uri, 'shared', 'sw'])
        check.equal(result.returncode, 0, 'status, with ' + result.stderr)
        for name, element in (('shared', SHARED), ('sw', SW)):
            check.has(client.dumpxml(name), '<description>changed</description>', name)
            for each in (name, name + '-2'):
                check.has(client.dumpxml(each), element, each)


@suite.test("the exporter of Debian reports them, whatever read-only connections are shown")
def _(check):
    if not os.access(EXPORTER, os.X_OK):
        raise Skip('requires prometheus-libvirt-exporter')
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = define(rig)
        client.start('shared')
        # A port of the sandbox's own network.
        with open(rig.outer('/run/exporter.log'), 'wb') as log:
            rig.popen([EXPORTER, '--libvirt.uri', rig.uri, '--web.listen-address', '127.0.0.1:9177'],
                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=rig.environment())

        def metrics():
            result = rig.run([PYTHON, '-c', SCRAPE])
            return result.stdout if result.returncode == 0 else None

        for text in ('', '[read-only]\ndomain-xml=stored\n'):
            rig.write('/etc/libvirt/gmem.conf', text, 0o600)
            said = wait_for(metrics, 'the exporter')
            check.has(said, 'libvirt_up 1', 'what it reports')
            check.matches(said, r'libvirt_domain_info_maximum_memory_bytes\{domain="shared".*\} 6.7108864e\+07',
                          'what it reports')
        client.destroy('shared')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
