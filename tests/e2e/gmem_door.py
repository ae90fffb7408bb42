# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_door.py: calls every libvirt function that libvirt-gmem.so interposes, as a client that any user can
run: a copy of this file, which only requires libvirt.so."""

import ctypes
import json
import os
import sys

OPERATION_DENIED = 29

# The arguments of each function, as words that Client.argument() knows. They include everything that
# libvirt checks before it asks the daemon; 'flags:N' does this for the flags.
CALLS = {
    'virConnectDomainXMLToNative': 'conn format xml flags',
    'virConnectGetDomainCapabilities': 'conn path null null null flags',
    'virDomainAttachDevice': 'domain xml',
    'virDomainAttachDeviceFlags': 'domain xml flags',
    'virDomainBlockCopy': 'domain path xml null zero flags',
    'virDomainCheckpointCreateXML': 'domain xml flags',
    'virDomainCheckpointGetXMLDesc': 'checkpoint flags',
    'virDomainCoreDump': 'domain path flags',
    'virDomainCoreDumpWithFormat': 'domain path zero flags',
    'virDomainCreate': 'domain',
    'virDomainCreateWithFiles': 'domain zero null flags',
    'virDomainCreateWithFlags': 'domain flags',
    'virDomainCreateXML': 'conn xml flags',
    'virDomainCreateXMLWithFiles': 'conn xml zero null flags',
    'virDomainDefineXML': 'conn xml',
    'virDomainDefineXMLFlags': 'conn xml flags',
    'virDomainDetachDeviceAlias': 'domain xml flags',
    'virDomainDetachDeviceFlags': 'domain xml flags',
    'virDomainGetXMLDesc': 'domain flags',
    'virDomainManagedSave': 'domain flags',
    'virDomainManagedSaveDefineXML': 'domain xml flags',
    'virDomainManagedSaveGetXMLDesc': 'domain flags',
    'virDomainMemoryPeek': 'domain zero one out flags:1',
    'virDomainMigrate': 'domain conn flags null null zero',
    'virDomainMigrate2': 'domain conn xml flags null null zero',
    'virDomainMigrate3': 'domain conn destination flags',
    'virDomainMigrateBegin3': 'domain xml made flags null zero',
    'virDomainMigrateBegin3Params': 'domain destination made flags',
    'virDomainMigratePerform': 'domain null zero uri flags null zero',
    'virDomainMigratePerform3': 'domain xml null zero made null uri flags null zero',
    'virDomainMigratePerform3Params': 'domain null destination null zero made flags',
    'virDomainMigratePrepare2': 'conn made null out flags null zero xml',
    'virDomainMigratePrepare3': 'conn null zero made null out flags null zero xml',
    'virDomainMigratePrepare3Params': 'conn destination null zero made out flags',
    'virDomainMigratePrepareTunnel': 'conn stream flags null zero xml',
    'virDomainMigratePrepareTunnel3': 'conn stream null zero made flags null zero xml',
    'virDomainMigratePrepareTunnel3Params': 'conn stream destination null zero made flags',
    'virDomainMigrateStartPostCopy': 'domain flags',
    'virDomainMigrateToURI': 'domain uri flags:2 null zero',
    'virDomainMigrateToURI2': 'domain uri null xml flags:2 null zero',
    'virDomainMigrateToURI3': 'domain uri destination flags:2',
    'virDomainRename': 'domain path flags',
    'virDomainRestore': 'conn path',
    'virDomainRestoreFlags': 'conn path xml flags',
    'virDomainRestoreParams': 'conn saved flags',
    'virDomainRevertToSnapshot': 'snapshot flags',
    'virDomainSave': 'domain path',
    'virDomainSaveFlags': 'domain path xml flags',
    'virDomainSaveImageDefineXML': 'conn path xml flags',
    'virDomainSaveImageGetXMLDesc': 'conn path flags',
    'virDomainSaveParams': 'domain saved flags',
    'virDomainSetLifecycleAction': 'domain one one flags',
    'virDomainSetMaxMemory': 'domain one',
    'virDomainSetMemory': 'domain one',
    'virDomainSetMemoryFlags': 'domain one flags',
    'virDomainSetMemoryParameters': 'domain limit flags',
    'virDomainSnapshotCreateXML': 'domain xml flags:1',
    'virDomainSnapshotGetXMLDesc': 'snapshot flags',
    'virDomainStartDirtyRateCalc': 'domain one flags',
    'virDomainUpdateDeviceFlags': 'domain xml flags',
}


class Error(ctypes.Structure):
    _fields_ = [('code', ctypes.c_int), ('domain', ctypes.c_int), ('message', ctypes.c_char_p)]


class Client:
    """A client that uses a domain 'vm' with a snapshot 's' and a checkpoint 'c'. @path: what it passes as a
    file."""

    def __init__(self, opens, uri, path):
        ctypes.CDLL('libvirt.so.0', mode=ctypes.RTLD_GLOBAL)
        self.libvirt = ctypes.CDLL(None)  # a preloaded library comes first in it, as for any client
        self.libvirt.virGetLastError.restype = ctypes.POINTER(Error)
        self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: None)
        self.libvirt.virSetErrorFunc(None, self.quiet)
        self.libvirt.virEventRegisterDefaultImpl()
        self.path = path.encode()
        self.conn = self.pointer(opens, uri.encode())
        self.domain = self.pointer('virDomainLookupByName', self.conn, b'vm')
        self.snapshot = self.pointer('virDomainSnapshotLookupByName', self.domain, b's', 0)
        self.checkpoint = self.pointer('virDomainCheckpointLookupByName', self.domain, b'c', 0)

    def pointer(self, function, *arguments):
        call = getattr(self.libvirt, function)
        call.restype = ctypes.c_void_p
        result = ctypes.c_void_p(call(*arguments))
        if not result:
            raise RuntimeError(function + ': ' + self.error()[1])
        return result

    def error(self):
        error = self.libvirt.virGetLastError()
        return [error.contents.code, error.contents.message.decode('utf-8', 'replace')] \
            if error else [0, '']

    def params(self, **values):
        """A list of typed parameters and its length. The few of one run are never freed."""
        params, count, space = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
        for key, value in values.items():
            self.libvirt.virTypedParamsAddString(ctypes.byref(params), ctypes.byref(count),
                                                 ctypes.byref(space), key.encode(), value)
        return params, count

    def limit(self, kib):
        params, count, space = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
        self.libvirt.virTypedParamsAddULLong(ctypes.byref(params), ctypes.byref(count),
                                             ctypes.byref(space), b'hard_limit',
                                             ctypes.c_ulonglong(kib))
        return params, count

    def argument(self, word, xml, flags):
        """The arguments that @word stands for, as a list."""
        if word.startswith('flags'):
            return [ctypes.c_ulong(int(word[6:] or '0') if flags is None else flags)]
        if word in ('conn', 'domain', 'snapshot', 'checkpoint'):
            return [getattr(self, word)]
        if word == 'stream':
            return [self.pointer('virStreamNew', self.conn, 0)]
        if word == 'destination':
            return self.params(destination_xml=xml)
        if word == 'limit':
            return self.limit(1)
        if word == 'saved':
            return self.params(file=self.path, dxml=xml)
        if word == 'made':
            return [ctypes.byref(ctypes.c_void_p()), ctypes.byref(ctypes.c_int())]
        return [{'null': None, 'zero': ctypes.c_ulong(0), 'one': ctypes.c_ulong(1),
                 'out': ctypes.byref(ctypes.c_void_p()), 'uri': b'qemu+tcp://elsewhere/system',
                 'format': b'qemu-argv', 'path': self.path, 'xml': xml}[word]]

    def call(self, function, xml, flags):
        """[code, message] of the error; [0, ''] if there is none."""
        arguments = [value for word in CALLS[function].split()
                     for value in self.argument(word, xml, flags)]
        call = getattr(self.libvirt, function)
        call.restype = ctypes.c_void_p
        self.libvirt.virResetLastError()
        call(*arguments)
        return self.error()


def main(opens, uri, path, directory):
    """Answers each line of JSON, [function, flags, number], with the error. The number stands for a file in
    @directory, in the order of their names."""
    client = Client(opens, uri, path)
    texts = []
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), 'rb') as file:
            texts.append(file.read())
    print(json.dumps('ready'), flush=True)
    for line in sys.stdin:
        function, flags, number = json.loads(line)
        print(json.dumps(client.call(function, texts[number], flags)), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
