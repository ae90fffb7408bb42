#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_hosts.py: hosts of a migration, and the calls that only libvirt's own client makes.

Each host is a private libvirtd in a sandbox of its own, with a host name, a host UUID, an address and a
TCP port; nobody else is on their network. Public functions alone do not reach everything that serves
migration in a daemon. So this file, run as a program, calls libvirt.so's private functions over the daemon's
socket, as virDomainMigrate() does."""

import ctypes
import json
import os
import subprocess
import sys

from gmem_rig import LIBVIRTD, PYTHON, DaemonRig, Failure, LibvirtError

CONFIG = '''\
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
listen_addr = "0.0.0.0"
host_uuid = "00000000-0000-4000-8000-%012d"
'''


class Host(DaemonRig):
    """Host @number: 10.77.0.@number."""

    def __init__(self, number, preload=(), **options):
        self.number = number
        self.address = '10.77.0.%d' % number
        self.hostname = 'gmem-host-%d' % number
        self.remote = 'qemu+tcp://%s/system' % self.address
        super().__init__(preload, **options)

    def start_daemon(self, patient=True):
        text = self.read('/etc/libvirt/libvirtd.conf')
        if 'host_uuid' not in text:
            self.write('/etc/libvirt/libvirtd.conf', text + CONFIG % self.number)
            self.write(self.config, self.read(self.config) +
                       'migration_host = "%s"\n' % self.address)
        with open(self.outer(self.log), 'ab') as log:
            self.daemon = self.popen(
                ['unshare', '--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', self.hostname,
                 LIBVIRTD, '--listen', '-f', '/etc/libvirt/libvirtd.conf'],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=self.environment(self.preload, **self.more))
        if patient:
            self.wait_daemon()

    def restart(self, preload):
        self.stop_daemon()
        self.preload = preload
        self.start_daemon()

    def private(self, function, domain, **arguments):
        """Calls a private function in a client of this host's daemon; see private_call()."""
        result = self.run([PYTHON, os.path.abspath(__file__), self.uri],
                          stdin=json.dumps([function, domain, arguments]))
        if result.returncode:
            raise Failure(result.stderr)
        answer = json.loads(result.stdout)
        if 'error' in answer:
            raise LibvirtError(**answer['error'])
        return answer['result']


def connect(one, other):
    """Puts a cable between two hosts."""
    def enter(host, *argv):
        result = subprocess.run(['nsenter', '--net=/proc/%d/ns/net' % host.first.pid, *argv],
                                stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode:
            raise Failure('%s: %s' % (' '.join(argv), result.stderr.strip()))
    enter(one, 'ip', 'link', 'add', 'name', 'cable', 'type', 'veth', 'peer', 'name', 'cable',
          'netns', str(other.first.pid))
    for host in (one, other):
        enter(host, 'ip', 'address', 'add', host.address + '/24', 'dev', 'cable')
        enter(host, 'ip', 'link', 'set', 'cable', 'up')


# ---------------------------------------------------------------------------------------------
# The other side of Host.private()


class Error(ctypes.Structure):
    _fields_ = [('code', ctypes.c_int), ('domain', ctypes.c_int), ('message', ctypes.c_char_p)]


def private_call(uri, function, domain, arguments):
    """@arguments: xml; params: of type string, by name; flags; stream: make one. Result: XML or int."""
    libvirt = ctypes.CDLL('libvirt.so.0')
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong
    for name in ('virConnectOpen', 'virDomainLookupByName', 'virStreamNew'):
        getattr(libvirt, name).restype = pointer
    libvirt.virGetLastError.restype = ctypes.POINTER(Error)
    quiet = ctypes.CFUNCTYPE(None, pointer, pointer)(lambda *_: None)
    libvirt.virSetErrorFunc(None, quiet)
    conn = pointer(libvirt.virConnectOpen(uri.encode()))
    target = conn
    if domain is not None:
        target = pointer(libvirt.virDomainLookupByName(conn, domain.encode()))
    if not target:
        raise RuntimeError('no ' + (domain or uri))
    xml = arguments.get('xml')
    xml = text(xml.encode() if xml is not None else None)
    flags = number(arguments.get('flags', 0))
    stream = pointer(libvirt.virStreamNew(conn, 0) if 'Tunnel' in function else None)
    params, count, space = pointer(), ctypes.c_int(), ctypes.c_int()
    for key, value in arguments.get('params', {}).items():
        libvirt.virTypedParamsAddString(ctypes.byref(params), ctypes.byref(count),
                                        ctypes.byref(space), key.encode(), value.encode())
    none, zero, band = pointer(), ctypes.c_int(0), number(0)
    cookie, length, out = pointer(), ctypes.c_int(), pointer()
    made = ctypes.byref(cookie), ctypes.byref(length)
    lists = {
        'virDomainMigratePrepare2': (conn, *made, none, ctypes.byref(out), flags, none, band, xml),
        'virDomainMigratePrepareTunnel': (conn, stream, flags, none, band, xml),
        'virDomainMigratePerform': (target, none, zero, text(b'tcp:localhost'), flags, none, band),
        'virDomainMigrateBegin3': (target, xml, *made, flags, none, band),
        'virDomainMigratePrepare3': (conn, none, zero, *made, none, ctypes.byref(out), flags, none,
                                     band, xml),
        'virDomainMigratePrepareTunnel3': (conn, stream, none, zero, *made, flags, none, band, xml),
        'virDomainMigratePerform3': (target, xml, none, zero, *made, none, text(b'tcp:localhost'),
                                     flags, none, band),
        'virDomainMigrateBegin3Params': (target, params, count, *made, flags),
        'virDomainMigratePrepare3Params': (conn, params, count, none, zero, *made,
                                           ctypes.byref(out), flags),
        'virDomainMigratePrepareTunnel3Params': (conn, stream, params, count, none, zero, *made,
                                                 flags),
        'virDomainMigratePerform3Params': (target, none, params, count, none, zero, *made, flags),
    }
    call = getattr(libvirt, function)
    call.restype = text if 'Begin' in function else ctypes.c_int
    result = call(*lists[function])
    if result in (None, -1):
        error = libvirt.virGetLastError().contents
        return {'error': {'code': error.code, 'domain': error.domain,
                          'message': error.message.decode()}}
    return {'result': result.decode() if isinstance(result, bytes) else result}


if __name__ == '__main__':
    json.dump(private_call(sys.argv[1], *json.load(sys.stdin)), sys.stdout)
