#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stock.py: lowering and raising, compared with what stock libvirt really makes of the XML.

Each domain is defined twice on stock qemu:///embed, without libvirt-gmem: once lowered, once with
the elements taken out by hand. The first dump, raised, must be the second dump with the elements
written into their places, byte for byte. Without the library loaded, lowered XML is just XML.

usage: test_stock.py GMEM-XML
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position

QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"
PRIVATE = "<private/>"
SW = "<launchSecurity type='sw-protected'/>"
CONF = """\
namespaces = []
cgroup_controllers = []
security_driver = "none"
stdio_handler = "file"
user = "root"
"""

UUID = "<uuid>6f0dfa9b-3d34-4a27-a0ae-2e8b2c9c1d7e</uuid>"


def domain(body, machine="q35", root="", memory="<memory unit='MiB'>512</memory>", features="",
           devices="", os=""):
    return ("<domain type='kvm'%s><name>gmem-stock</name>%s%s<os><type arch='x86_64' machine='%s'>"
            "hvm</type>%s</os>%s%s<devices>%s</devices></domain>"
            % (root, UUID, memory, machine, os, features, body, devices))


def backing(inner=""):
    return "<memoryBacking>%s%s</memoryBacking>" % (inner, PRIVATE)


CELLS = ("<vcpu>4</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='300' unit='MiB'/>"
         "<cell id='1' cpus='2-3' memory='212' unit='MiB' memAccess='shared'/></numa></cpu>")
METADATA = ("<metadata><a:b xmlns:a='urn:a' c=\"'&#233;&#10;\"><!-- <private/> --><a:private>\n"
            "text é <![CDATA[<private/>]]></a:private>\n<a:empty></a:empty></a:b></metadata>"
            "<title>it's \"q\" &amp; é</title><description>&lt;private/&gt;\n\ttext</description>")
USER = ("<qemu:commandline xmlns:qemu='%s'><qemu:arg value='-append'/><qemu:arg value='-x-libvirt-"
        "gmem'/><qemu:env name='A' value='b'/></qemu:commandline>" % QEMU_NS)
PREFIX = ("<q:commandline xmlns:q='%s'><q:arg value='-name'/><q:arg value=\"it's\"/>"
          "</q:commandline>" % QEMU_NS)
CAPABILITIES = ("<q:capabilities xmlns:q='%s'><q:del capability='usb-hub'/></q:capabilities>"
                % QEMU_NS)
DIMMS = ("<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
         "<memory model='nvdimm' access='private'><source><path>/tmp/none</path></source><target>"
         "<size unit='MiB'>256</size><node>1</node></target></memory>")
NUMATUNE = ("<numatune><memory mode='strict' nodeset='0'/><memnode cellid='1' mode='preferred' "
            "nodeset='0'/></numatune>")
HOTPLUG = "<maxMemory slots='4' unit='GiB'>4</maxMemory><memory unit='MiB'>512</memory>"
BALLOON = "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/>"

# Elements that libvirt reads, but its schema does not contain.
NO_SCHEMA = ("shared: two command lines", "shared: empty elements")

DOMAINS = [
    ("shared: as short as can be", domain(backing())),
    ("shared: pc", domain(backing(), machine="pc")),
    ("shared: source and access written", domain(backing("<access mode='shared'/>"
                                                         "<source type='memfd'/>"))),
    ("shared: source written", domain(backing("<source type='memfd'/>"))),
    ("shared: all that goes beside", domain(backing("<nosharepages/><locked/><allocation "
                                                    "mode='immediate' threads='2'/><discard/>")
                                            + "<memtune><hard_limit unit='GiB'>4</hard_limit>"
                                              "</memtune>")),
    ("shared: SMM and ioapic", domain(backing(), features="<features><acpi/><smm state='on'/>"
                                                          "<ioapic driver='kvm'/></features>")),
    ("shared: cells", domain(backing() + CELLS + NUMATUNE)),
    ("shared: DIMM and NVDIMM", domain(backing() + CELLS, memory=HOTPLUG, devices=DIMMS)),
    ("shared: metadata", domain(backing() + METADATA)),
    ("shared: user arguments", domain(backing() + USER)),
    ("shared: user arguments, other prefix", domain(backing() + PREFIX)),
    ("shared: two command lines", domain(backing() + PREFIX + USER)),
    ("shared: no arguments but the namespace", domain(backing() + CAPABILITIES)),
    ("shared: prefix bound elsewhere", domain(backing(), root=" xmlns:qemu='urn:x'")),
    ("shared: balloon", domain(backing(), devices=BALLOON)),
    ("shared: seclabel and keywrap", domain(backing() + "<seclabel type='none'/>"
                                            "<blkiotune><weight>500</weight></blkiotune>")),
    ("shared: empty elements", domain(backing("<source/><access/>"), features="<features/>")),
    ("convertible: as short as can be", domain(SW)),
    ("convertible: pc", domain(SW, machine="pc")),
    ("convertible: <private/> written", domain(backing() + SW)),
    ("convertible: backing written", domain(backing("<source type='memfd'/><hugepages/><access "
                                                    "mode='private'/>") + SW)),
    ("convertible: backing without <private/>",
     domain("<memoryBacking><nosharepages/></memoryBacking>" + SW)),
    ("convertible: features", domain(SW, features="<features><acpi/><apic/><pae/></features>")),
    ("convertible: ioapic and SMM written",
     domain(SW, features="<features><smm state='off'/><ioapic driver='qemu'/></features>")),
    ("convertible: SMM written", domain(SW, features="<features><smm state='off'/></features>")),
    ("convertible: empty features", domain(SW, features="<features></features>")),
    ("convertible: balloon", domain(SW, devices=BALLOON)),
    ("convertible: no balloon", domain(SW, devices="<memballoon model='none'/>")),
    ("convertible: blkiotune, memtune, seclabel, arguments",
     domain(SW + USER + "<blkiotune><weight>500</weight></blkiotune><memtune><hard_limit "
            "unit='GiB'>4</hard_limit></memtune><seclabel type='none'/>")),
    ("convertible: cells and metadata", domain(SW + CELLS + METADATA)),
    ("convertible: resource, cputune, sysinfo",
     domain(SW + "<resource><partition>/machine</partition></resource><cputune><shares>100</shares>"
            "</cputune><iothreads>2</iothreads>")),
]


def expect(dump, xml):
    """Writes the elements of xml, which has them, into dump, a stock dump without them."""
    lines = dump.split("\n")
    if "  <memoryBacking>" in lines:
        lines.insert(lines.index("  </memoryBacking>"), "    <private/>")
    else:
        at = max(i for i, line in enumerate(lines)
                 if re.match(r"  </?(memory|currentMemory|blkiotune|memtune|metadata)\b", line))
        lines[at + 1:at + 1] = ["  <memoryBacking>", "    <private/>", "  </memoryBacking>"]
    if SW in xml:
        at = max(i for i, line in enumerate(lines)
                 if re.match(r"  (</devices>|<seclabel.*/>|</seclabel>|</keywrap>)", line))
        lines.insert(at + 1, "  " + SW)
    return "\n".join(lines)


class Stock:
    def __init__(self, root):
        import libvirt
        os.makedirs(root + "/etc")
        with open(root + "/etc/qemu.conf", "w", encoding="utf-8") as f:
            f.write(CONF)
        libvirt.registerErrorHandler(lambda *_: None, None)
        libvirt.virEventRegisterDefaultImpl()
        self.libvirt = libvirt
        self.connection = libvirt.open("qemu:///embed?root=" + root)

    def define(self, xml, validate):
        """What stock libvirt prints for xml."""
        flags = self.libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validate else 0
        defined = self.connection.defineXMLFlags(xml, flags)
        try:
            return defined.XMLDesc(self.libvirt.VIR_DOMAIN_XML_INACTIVE)
        finally:
            defined.undefineFlags(self.libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


def run(tool, verb, xml):
    result = subprocess.run([tool, verb], input=xml.encode(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False)
    if result.returncode != 0:
        raise AssertionError("%s: %s" % (verb, result.stderr.decode()))
    return result.stdout.decode()


def difference(wanted, got):
    import difflib
    return "\n".join(difflib.unified_diff(wanted.split("\n"), got.split("\n"), "expected", "got",
                                          lineterm=""))


def check(stock, tool, xml, validate):
    lowered_dump = stock.define(run(tool, "validate", xml), validate)
    without = xml.replace(PRIVATE + "</memoryBacking>", "</memoryBacking>").replace(SW, "")
    plain_dump = stock.define(without, validate)
    raised = run(tool, "raise", lowered_dump)
    expected = expect(plain_dump, xml)
    if raised != expected:
        raise AssertionError(difference(expected, raised))
    # virsh edit does the same: dump, define again.
    again = stock.define(run(tool, "validate", raised), True)
    if again != lowered_dump:
        raise AssertionError(difference(lowered_dump, again))
    if run(tool, "lower", lowered_dump) != lowered_dump:
        raise AssertionError("what libvirt printed is not accepted as already lowered")


def main(tool):
    tests = []
    # It is short, because sockets below it can only have paths of 108 bytes.
    root = tempfile.mkdtemp(prefix="gx", dir="/tmp")

    @functools.lru_cache(maxsize=None)
    def stock():
        return Stock(root + "/r")

    def define(name, xml):
        try:
            import libvirt  # noqa: F401
        except ImportError:
            raise gmem_tap.Skip("python3-libvirt is not installed") from None
        check(stock(), tool, xml, name not in NO_SCHEMA)

    for name, xml in DOMAINS:
        tests.append((name, functools.partial(define, name, xml)))
    return gmem_tap.run(tests, lambda: shutil.rmtree(root, ignore_errors=True))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(os.path.abspath(sys.argv[1])))
