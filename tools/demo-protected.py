#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""demo-protected.py: a guest of a software-protected VM keeps secrets, and the host looks for them.

usage: demo-protected.py BUILD [MAP]

KVM has to support the VM type; lab.py runs this on a machine that does. libvirt is embedded; the guest is the
one in tests/guest that makes pages private when it is asked to. The picture of the guest's addresses is
written to MAP (default: BUILD/lab/demo-protected.svg). Exits with 0 only if none of the guest's secrets is
found in what QEMU has mapped, in what QEMU saves as the guest's memory, or in QEMU's core, and if what the
guest wrote to the page that it shared again is found in all of them.
"""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = 64
# A QEMU in an emulated machine on a busy host may need longer to say what it offers than libvirt-gmem waits.
ATTEMPTS = 3
ERR_OPERATION_TIMEOUT = 68
# For the map: the size of one character, and of a square of the picture (tools/gmemtoolmap.c).
CHARACTER = 512 * 1024
COLUMNS, LEFT, STEP = 128, 150, 8


def heading(text):
    print('== ' + text, flush=True)


class Wrong(Exception):
    """Ends the demo; the text says why."""


def ask_host(tool):
    """The output of virt-gmem host. Asks again if QEMU did not answer in time, because its first start in an
    emulated machine is by far the slowest."""
    for _ in range(ATTEMPTS):
        done = subprocess.run([tool, 'host', '--json', '--mode', 'convertible'],
                              stdout=subprocess.PIPE, text=True, check=False)
        host = json.loads(done.stdout)
        if done.returncode == 0:
            break
    return host


def show_machine(tool):
    """Shows what KVM supports, and that it is sufficient."""
    host = ask_host(tool)
    heading('The kernel, and what virt-gmem host says of it')
    types = [name for bit, name in enumerate(('ordinary', 'software-protected', 'SEV', 'SEV-ES',
                                              'SEV-SNP', 'TDX')) if host['kvm']['vm-types'] >> bit & 1]
    print('Linux %s; VM types of KVM: %s' % (host['kvm']['kernel'], ', '.join(types)))
    for check in host['checks']:
        if check['id'] in ('kvm-vm-types', 'kvm-memory-attributes', 'qemu', 'libvirt',
                           'mode-convertible') or check['result'] == 'FAIL':
            print('%-4s  %s%s' % (check['result'], check['title'],
                                  ' (%s)' % check['detail'] if check['detail'] else ''))
    if not host['modes']['convertible']['usable']:
        raise Wrong(host['modes']['convertible']['reason'])


def show_domain(text):
    heading('The domain, as libvirt dumps it')
    for part in (r'  <memory .*', r'    <numa>(?s:.*?)</numa>', r'  <launchSecurity .*'):
        found = re.search(part, text)
        if not found:
            raise Wrong('the dump lacks ' + part)
        print(found[0])


def convert(vm, private):
    """Makes the guest convert pages; returns the three patterns, and how many pages contain them."""
    heading('What the guest did (KVM_HC_MAP_GPA_RANGE), and still reads')
    guest, secrets = vm.guest, private.seeds(3)
    ats = [private.middle(cell, PAGES) for cell in vm.cells]
    counts = [PAGES - 1, PAGES, 1]
    for at, secret in zip(ats, secrets):
        if guest.private(at, PAGES) or guest.write(at, PAGES, secret) != PAGES:
            raise Wrong('the guest could not make its pages private')
    again = ats[0] + (PAGES - 1) * private.PAGE
    if guest.shared(again, 1) or guest.zeros(again, 1) != 1 or guest.write(again, 1, secrets[2]) != 1:
        raise Wrong('the guest could not share a page again')
    patterns = [private.pattern(secret) for secret in secrets]
    for number, (at, secret, count, pattern) in enumerate(zip([*ats, again], secrets, counts, patterns)):
        if guest.verify(at, count, secret) != count:
            raise Wrong('the guest lost what it wrote at 0x%x' % at)
        print('0x%08x  %2d pages, %-39s %s…' % (
            at, count, ('private, a secret in cell 0:', 'private, a secret in cell 1:',
                        'shared again, zeros, then written to:')[number], pattern[:8].hex()))
    return patterns, [count * private.BLOCKS for count in counts]


def squares(text):
    """(kind, guest address) for each square of the picture: 'p' private, 's' shared."""
    size = int(float(re.search(r'a square is ([\d.]+)\s*KiB', text)[1])) * 1024
    base = top = None
    for element in ET.fromstring(text).iter():
        if element.tag.endswith('text') and (element.text or '').startswith('0x'):
            base, top = int(element.text, 16), None
        if not element.tag.endswith('rect') or base is None:
            continue
        x, y = (int(float(element.get(name))) for name in 'xy')
        if element.get('class') == 'a':
            top = y if top is None else top
        else:
            # Shared memory is drawn from a square's lower edge upwards.
            yield (element.get('class'),
                   base + ((y - top) // STEP * COLUMNS + (x - LEFT) // STEP) * size)


def show_map(tool, vm, path):
    """Draws the picture, and the same with characters."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run([tool, 'status', '--map', path, vm.name], stdout=subprocess.DEVNULL, check=True)
    heading('The guest\'s addresses: # private, . shared, _ not there yet; each is %d KiB'
            % (CHARACTER // 1024))
    rows = [['_'] * ((end - start) // CHARACTER) for start, end in vm.cells]
    with open(path, encoding='utf-8') as file:
        for kind, address in squares(file.read()):
            for row, (start, end) in zip(rows, vm.cells):
                at = (address - start) // CHARACTER
                if start <= address < end and row[at] != '#':
                    row[at] = '#' if kind == 'p' else '.'
    for number, row in enumerate(rows):
        print('cell %d  %s' % (number, ''.join(row)))
    print('as a picture: ' + path)
    if not all('#' in row for row in rows):
        raise Wrong('the map does not show private pages in both cells')


def look(vm, patterns, least):
    """Looks for all three patterns in all three places; returns True if the result is as it must be."""
    heading('Looked for by the host')
    print('%-28s %18s %18s %18s' % ('', 'QEMU\'s mappings', 'pmemsave', 'QEMU\'s core'))
    found = [vm.in_address_space(*patterns), vm.in_pmemsave(*patterns), vm.in_core(*patterns)]
    good = True
    for number, title in enumerate(('secret of cell 0', 'secret of cell 1', 'page shared again')):
        counts = [each[number] for each in found]
        wanted = least[number] if number == 2 else 0
        good = good and all(count >= wanted if wanted else not count for count in counts)
        print('%-28s %18s %18s %18s' % (title, *('found %d times' % count if count else 'not found'
                                                 for count in counts)))
    return good


def demo(build, picture):
    tool = os.path.join(build, 'tools', 'virt-gmem')
    show_machine(tool)
    import gmem_private as private  # pylint: disable=import-outside-toplevel
    import gmem_rig as rig  # pylint: disable=import-outside-toplevel
    if reason := rig.need_root():
        raise Wrong(reason)
    try:
        run_guest(tool, picture, rig, private)
    except (rig.Failure, rig.LibvirtError, rig.Skip) as error:
        raise Wrong(str(error)) from None


def run_guest(tool, picture, rig, private):
    for attempt in range(ATTEMPTS):
        with rig.EmbedRig(rig.library()) as libvirt:
            client = libvirt.python()
            try:
                vm = private.Running(libvirt, client, machine='q35', name='secrets', counted=False)
            except rig.LibvirtError as error:
                if error.code != ERR_OPERATION_TIMEOUT or attempt == ATTEMPTS - 1:
                    raise
                continue
            with vm:
                show_domain(client.dumpxml(vm.name))
                patterns, least = convert(vm, private)
                heading('virt-gmem status')
                print(subprocess.run([tool, 'status', vm.name], stdout=subprocess.PIPE, text=True,
                                     check=True).stdout.rstrip())
                show_map(tool, vm, picture)
                if not look(vm, patterns, least):
                    raise Wrong('the host sees what it should not, or not what it should')
            return


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split('\n\n')[1])
    build = os.path.abspath(sys.argv[1])
    os.environ['GMEM_BUILD'] = build
    os.environ.setdefault('GMEM_PATIENCE', '300')
    sys.dont_write_bytecode = True
    sys.path[:0] = [os.path.join(SOURCE, 'tests', directory) for directory in ('e2e', 'nested')]
    try:
        demo(build, sys.argv[2] if len(sys.argv) > 2 else
             os.path.join(build, 'lab', 'demo-protected.svg'))
    except Wrong as error:
        sys.exit('demo-protected: FAILED: %s' % error)
    print('demo-protected: OK: the guest\'s secrets are nowhere that the host can look')


if __name__ == '__main__':
    main()
