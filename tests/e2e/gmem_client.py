#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_client.py: the other side of gmem_rig.PythonClient, in a sandbox: makes the calls that it is asked for.

It does not import anything from this tree, because the sandbox only has a copy of this file.
"""

import json
import os
import sys
import threading
import traceback

import libvirt
import libvirt_qemu


def client(uri):
    """Answers each line of standard input."""
    libvirt.virEventRegisterDefaultImpl()  # the embedded driver requires an event loop to open

    def events():
        while True:
            libvirt.virEventRunDefaultImpl()
    threading.Thread(target=events, daemon=True).start()
    out = os.fdopen(os.dup(1), 'w', encoding='utf-8', errors='surrogateescape')
    os.dup2(2, 1)
    libvirt.registerErrorHandler(lambda *_: None, None)

    def plain(value):
        if isinstance(value, libvirt.virDomain):
            return {'name': value.name(), 'uuid': value.UUIDString(), 'id': value.ID()}
        if isinstance(value, (libvirt.virDomainSnapshot, libvirt.virDomainCheckpoint)):
            return {'name': value.getName()}
        if isinstance(value, bytes):
            return value.hex()
        return value

    def answer(call):
        try:
            reply = {'result': plain(call())}
        except libvirt.libvirtError as error:
            reply = {'error': {'message': error.get_error_message(),
                               'code': error.get_error_code(),
                               'domain': error.get_error_domain()}}
        except Exception:  # pylint: disable=broad-except
            reply = {'trouble': traceback.format_exc()}
        out.write(json.dumps(reply) + '\n')
        out.flush()

    connection = None

    def connect():
        nonlocal connection
        connection = libvirt.open(uri)

    answer(connect)
    extra = {'listDomainNames': lambda: [d.name() for d in connection.listAllDomains()]}
    if connection is None:
        return
    for line in sys.stdin:
        name, method, arguments = json.loads(line)

        def call(name=name, method=method, arguments=arguments):
            if name is None and method in extra:
                return extra[method]()
            def inner(value):
                if isinstance(value, list) and value[1:2] in (['snapshot'], ['checkpoint']):
                    outer = connection.lookupByName(value[0])
                    return getattr(outer, value[1] + 'LookupByName')(value[2])
                if isinstance(value, dict) and 'open' in value:
                    return libvirt.open(value['open'])
                return value
            if method == 'monitor':
                return libvirt_qemu.qemuMonitorCommand(connection.lookupByName(name), *arguments)
            target = connection
            if name is not None:
                target = connection.lookupByName(name) if isinstance(name, str) else inner(name)
            return getattr(target, method)(*map(inner, arguments))
        answer(call)
    connection.close()


if __name__ == '__main__':
    client(sys.argv[1])
