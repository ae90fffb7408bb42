#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_nova.py: Nova's libvirt driver as a client: lines of JSON say what to do with an instance.

Everything from the XML to libvirt's calls is Nova's own code. Other parts are replaced: the database (objects
are made here, and not saved), images (empty disks), and the network's agent.
"""

import inspect
import os

import nova.conf
import nova.monkey_patch  # pylint: disable=unused-import
import os_vif
from nova import context, exception, objects, version
from nova.compute import manager, provider_config
from nova.compute import utils as compute_utils
from nova.network import model as network
from nova.virt import fake
from nova.virt.libvirt import blockinfo, guest
from nova.virt.libvirt import driver as libvirt_driver

from gmem_serve import serve

CONF = nova.conf.CONF
IMAGE = '11111111-1111-4111-8111-111111111111'
PROPERTIES = {'hw_disk_bus': 'ide', 'hw_video_model': 'vga', 'hw_vif_model': 'e1000',
              'trait:CUSTOM_GMEM_FULLY_SHARED': 'required'}


def configure():
    CONF([], project='nova', default_config_files=[], version='test')
    nova.conf.neutron.register_dynamic_opts(CONF)
    CONF.set_override('state_path', '/run/nova')
    CONF.set_override('instances_path', '/run/nova/instances')
    CONF.set_override('lock_path', '/run/nova/locks', group='oslo_concurrency')
    CONF.set_override('enabled', False, group='vnc')
    CONF.set_override('force_config_drive', False)
    CONF.set_override('use_cow_images', False)
    CONF.set_override('flat_injected', False)
    libvirt = {'virt_type': 'kvm', 'images_type': 'raw', 'cpu_mode': 'none', 'inject_partition': -2,
               'hw_machine_type': ['x86_64=pc']}
    for name, value in libvirt.items():
        CONF.set_override(name, value, group='libvirt')


def make_flavor(name, memory, specs):
    return objects.Flavor(id=1, flavorid=name, name=name, memory_mb=memory, vcpus=1, root_gb=0,
                          ephemeral_gb=0, swap=0, rxtx_factor=1.0, vcpu_weight=None, disabled=False,
                          is_public=True, extra_specs=specs, description=None)


class Compute:
    """A compute host with one instance."""

    def __init__(self):
        configure()
        objects.register_all()
        os_vif.initialize()
        objects.Instance.save = lambda *_, **__: None
        objects.Instance.obj_load_attr = lambda instance, name: setattr(instance, name, None)
        self.context = context.RequestContext('user', 'project', is_admin=True)
        self.context.auth_token = None
        self.driver = libvirt_driver.LibvirtDriver(fake.FakeVirtAPI())
        # These query the database.
        self.driver._register_all_undefined_instance_details = lambda: None
        self.driver._register_undefined_instance_details = lambda *_: None
        self.driver._set_host_enabled = lambda *_, **__: None
        self.driver.init_host('host')
        self.driver._create_image = self.create_image
        self.driver._build_device_metadata = lambda *_: None
        self.instance = None
        self.networks = network.NetworkInfo([])

    def create_image(self, _context, instance, mapping, *_, suffix='', **__):
        """Empty disks where Nova would put the disks that it makes from images."""
        path = os.path.join('/run/nova/instances', instance.uuid)
        os.makedirs(path, exist_ok=True)
        for name in mapping:
            if name.startswith('disk'):
                name = name if name.endswith(suffix) else name + suffix
                with open(os.path.join(path, name), 'wb') as disk:
                    disk.truncate(1 << 20)
        return False, False

    @staticmethod
    def image():
        return objects.ImageMeta.from_dict({'id': IMAGE, 'container_format': 'bare', 'disk_format': 'raw',
                                            'min_ram': 0, 'min_disk': 0, 'properties': PROPERTIES})

    def make(self, uuid, memory, flavor, specs):
        flavor = make_flavor(flavor, memory, specs)
        self.instance = objects.Instance(
            self.context, id=1, uuid=uuid, display_name='one', hostname='one', user_id='user',
            project_id='project', image_ref=IMAGE, kernel_id='', ramdisk_id='', root_device_name='/dev/hda',
            config_drive='', host='host', node='host', memory_mb=memory, vcpus=1, root_gb=0, ephemeral_gb=0,
            flavor=flavor, new_flavor=flavor, pci_requests=objects.InstancePCIRequests(requests=[]),
            pci_devices=objects.PciDeviceList(objects=[]), ec2_ids=objects.EC2Ids(),
            system_metadata=dict(('image_' + name, value) for name, value in PROPERTIES.items()),
            metadata={}, keypairs=objects.KeyPairList(objects=[]), tags=objects.TagList(objects=[]),
            vm_state='active', power_state=1, deleted=False, cleaned=False,
            info_cache=objects.InstanceInfoCache(network_info=self.networks))
        self.instance.obj_reset_changes()

    def spawn(self):
        self.driver.spawn(self.context, self.instance, self.image(), [], None, {}, network_info=self.networks)

    def guest_create(self):
        """The XML that Nova generated for the instance and defined as a domain."""
        disks = blockinfo.get_disk_info(CONF.libvirt.virt_type, self.instance, self.image())
        xml = self.driver._get_guest_xml(self.context, self.instance, self.networks, disks, self.image())
        guest.Guest.create(xml, self.driver._host)
        return xml

    @staticmethod
    def release():
        return int(version.version_string().partition('.')[0])

    def hard_reboot(self):
        self.driver.reboot(self.context, self.instance, self.networks, 'HARD')

    def suspend(self):
        self.driver.suspend(self.context, self.instance)

    def suspend_as_asked(self):
        """Suspends as nova-compute does for a client, without notifications; returns the error and the state
        of the instance after it."""
        compute = object.__new__(manager.ComputeManager)
        compute.driver, compute.host = self.driver, 'host'
        compute._notify_about_instance_usage = lambda *_, **__: None
        compute_utils.notify_about_instance_action = lambda *_, **__: None
        try:
            inspect.unwrap(manager.ComputeManager.suspend_instance)(compute, self.context, self.instance)
        except Exception as error:  # pylint: disable=broad-except
            return str(error), self.instance.vm_state
        return '', self.instance.vm_state

    def resume(self):
        self.driver.resume(self.context, self.instance, self.networks)

    def rescue(self):
        more = {}
        if 'share_info' in inspect.signature(self.driver.rescue).parameters:
            more['share_info'] = objects.ShareMappingList(objects=[])
        self.driver.rescue(self.context, self.instance, self.networks, self.image(), 'password', None, **more)

    def unrescue(self):
        self.driver.unrescue(self.context, self.instance)

    def resize(self, flavor, memory, specs):
        """Resizes on the same host: the domain is removed, as at the source, and then everything is done that
        is done at the target."""
        self.driver.destroy(self.context, self.instance, self.networks, destroy_disks=False)
        self.instance.old_flavor = self.instance.flavor
        self.instance.flavor = self.instance.new_flavor = make_flavor(flavor, memory, specs)
        self.instance.memory_mb = memory
        self.driver.finish_migration(
            self.context, objects.Migration(source_compute='host', dest_compute='host'), self.instance, '[]',
            self.networks, self.image(), True, {})

    def attach_interface(self):
        """Attaches to an existing bridge, or to a tap device if this Nova does not support bridges any more;
        returns which. Plugging is left to libvirt."""
        self.driver.vif_driver.plug = lambda *_: None
        bridge = network.Network(id='33333333-3333-4333-8333-333333333333', bridge='nova0', label='net',
                                 subnets=[], mtu=1500)
        for kind, device in (('bridge', 'tap-nova'), ('tap', 'tap-nova1')):
            vif = network.VIF(id='22222222-2222-4222-8222-222222222222', address='52:54:00:00:00:01',
                              type=kind, devname=device, vnic_type='normal', active=True, network=bridge)
            # Nova's manager has this in its cache by then.
            self.instance.info_cache.network_info = network.NetworkInfo([vif])
            try:
                self.driver.attach_interface(self.context, self.instance, self.image(), vif)
                return kind
            except exception.NovaException as error:
                if 'no longer supported' not in str(error):
                    raise
            finally:
                self.instance.info_cache.network_info = self.networks
        raise RuntimeError('no kind of interface is supported')

    def destroy(self):
        self.driver.destroy(self.context, self.instance, self.networks)

    @staticmethod
    def providers(directory):
        """The result of Nova's own loader for provider files."""
        return provider_config.get_provider_configs(directory)


if __name__ == '__main__':
    serve(Compute)
    # Newer releases have threads that do not end.
    os._exit(0)
