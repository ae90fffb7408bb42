// SPDX-License-Identifier: GPL-2.0
/* clang-format off */
/*
 * private_memory: pages of a KVM guest that its host cannot read, for processes of the guest.
 *
 * In a guest with <launchSecurity type='sw-protected'/> all memory is shared with the host until the guest says
 * otherwise, and Linux itself never does: its page tables, the buffers of its devices and everything else that the host
 * has to read may be in any of its pages. This module takes pages that are not used for anything else, makes them
 * private with KVM's hypercall, and maps them into the process that asks for them. This is safe for the following
 * reasons:
 *
 *  - No device is given such a page. The mapping has no struct pages (VM_PFNMAP), so O_DIRECT, vmsplice,
 *    io_uring's registered buffers, process_vm_readv and everything else that pins pages fails with EFAULT. read(2) and
 *    write(2) copy through the processor, so they work; what a program writes goes where the program sends it.
 *  - Core dumps do not contain it (VM_DONTDUMP), ptrace does not read it (VM_IO), and a child of fork does not get
 *    it (VM_DONTCOPY). The memory cannot be moved or swapped: it belongs to the kernel, and is charged to the
 *    process's memory cgroup.
 *  - However the process ends, the pages are overwritten while they are still private, then shared, and only then
 *    freed. If the host refuses to share them, the guest loses them rather than using them.
 *  - Before a reboot or a kexec, the mappings are removed (SIGBUS), and the pages are overwritten and shared:
 *    the next kernel finds only memory that its devices can use. Hibernation is refused while there are
 *    private pages, as its image would hold them.
 *
 * The guest's root and its crash kernel can still read the memory: this module protects it from the host only.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/kvm_para.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/version.h>
#if __has_include(<asm/cpuid/api.h>) /* Linux 6.16 */
#include <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

/* Blocks of 2 MiB if possible: each block takes one hypercall and one piece of the host's page tables. */
#define BLOCK_ORDER 9

/* One mapping: blocks of pages in the order of addresses, linked by lru, with the order of each in private. */
struct region {
	struct list_head node;
	struct list_head blocks;
	struct kref mappings; /* a mapping that is split in two counts twice */
	struct address_space *file;
	bool shared; /* the pages are shared again, and hold nothing */
};

/* Guards what follows. Taken while a process's mmap_lock is held, never the other way round. */
static DEFINE_MUTEX(regions_lock);
static LIST_HEAD(regions);
static bool stopped;

static int block_convert(struct page *block, bool private)
{
	const unsigned long what = KVM_MAP_GPA_RANGE_PAGE_SZ_4K |
		(private ? KVM_MAP_GPA_RANGE_ENCRYPTED : KVM_MAP_GPA_RANGE_DECRYPTED);

	return kvm_hypercall3(KVM_HC_MAP_GPA_RANGE, page_to_phys(block),
			      1UL << page_private(block), what) ? -EIO : 0;
}

static void block_wipe(struct page *block)
{
	memzero_explicit(page_address(block), PAGE_SIZE << page_private(block));
}

/* A block of at most that many pages, which are private and read as zeros. */
static struct page *block_new(unsigned long pages)
{
	unsigned int order = min_t(unsigned int, ilog2(pages), BLOCK_ORDER);
	struct page *block;

	/* ENOMEM is better than a killed process. */
	while (!(block = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY, order))) {
		if (!order--)
			return ERR_PTR(-ENOMEM);
	}
	set_page_private(block, order);
	if (!block_convert(block, true)) {
		/* The contents of the pages are now undefined. */
		block_wipe(block);
		return block;
	}
	/* A host that refuses the last of several pages may have converted the first ones. */
	if (!block_convert(block, false)) {
		set_page_private(block, 0);
		__free_pages(block, order);
	}
	return ERR_PTR(-EIO);
}

static void region_share(struct region *region)
{
	struct page *block, *next;

	list_for_each_entry_safe(block, next, &region->blocks, lru) {
		block_wipe(block);
		if (block_convert(block, false)) {
			pr_err("%lu pages at %#llx cannot be shared again, and are lost\n",
			       1UL << page_private(block), (u64)page_to_phys(block));
			list_del(&block->lru);
		}
		cond_resched();
	}
	region->shared = true;
}

static void region_release(struct kref *mappings)
{
	struct region *region = container_of(mappings, struct region, mappings);
	struct page *block, *next;

	list_del(&region->node);
	if (!region->shared)
		region_share(region);
	list_for_each_entry_safe(block, next, &region->blocks, lru) {
		const unsigned int order = page_private(block);

		list_del(&block->lru);
		set_page_private(block, 0);
		__free_pages(block, order);
	}
	kfree(region);
}

static void region_open(struct vm_area_struct *vma)
{
	struct region *region = vma->vm_private_data;

	kref_get(&region->mappings);
}

static void region_close(struct vm_area_struct *vma)
{
	struct region *region = vma->vm_private_data;

	mutex_lock(&regions_lock);
	kref_put(&region->mappings, region_release);
	mutex_unlock(&regions_lock);
}

static int region_fill(struct region *region, unsigned long pages)
{
	while (pages) {
		struct page *block = block_new(pages);

		if (IS_ERR(block))
			return PTR_ERR(block);
		list_add_tail(&block->lru, &region->blocks);
		pages -= 1UL << page_private(block);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* A fault also maps the pages around it. The lock keeps this apart from the last look before a reboot. */
static vm_fault_t region_fault(struct vm_fault *fault)
{
	struct vm_area_struct *vma = fault->vma;
	struct region *region = vma->vm_private_data;
	const unsigned long begin = max(round_down(fault->pgoff, 1UL << BLOCK_ORDER), vma->vm_pgoff);
	const unsigned long end = min(round_up(fault->pgoff + 1, 1UL << BLOCK_ORDER),
				      vma->vm_pgoff + vma_pages(vma));
	vm_fault_t result = VM_FAULT_SIGBUS;
	unsigned long first = 0; /* of the block, in pages */
	struct page *block;

	mutex_lock(&regions_lock);
	list_for_each_entry(block, &region->blocks, lru) {
		const unsigned long last = first + (1UL << page_private(block));
		unsigned long at = max(first, begin);

		for (; !region->shared && at < min(last, end); at++) {
			result = vmf_insert_pfn(vma, vma->vm_start + ((at - vma->vm_pgoff) << PAGE_SHIFT),
						page_to_pfn(block) + (at - first));
			if (result != VM_FAULT_NOPAGE)
				break;
		}
		if (at < min(last, end) || last >= end)
			break;
		first = last;
	}
	mutex_unlock(&regions_lock);
	return result;
}

static const struct vm_operations_struct region_operations = {
	.open = region_open,
	.close = region_close,
	.fault = region_fault,
};

static void set_flags(struct vm_area_struct *vma)
{
	const unsigned long flags = VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	vma->vm_flags |= flags;
#else
	vm_flags_set(vma, flags);
#endif
}

static int private_memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct region *region;
	int err;

	/* A private mapping in the sense of mmap(2) would be copied to ordinary pages when it is written to. */
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff)
		return -EINVAL;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	INIT_LIST_HEAD(&region->blocks);
	kref_init(&region->mappings);
	region->file = file->f_mapping;

	mutex_lock(&regions_lock);
	list_add(&region->node, &regions);
	err = stopped ? -ESHUTDOWN : region_fill(region, vma_pages(vma));
	if (err) {
		kref_put(&region->mappings, region_release);
	} else {
		set_flags(vma);
		vma->vm_private_data = region;
		vma->vm_ops = &region_operations;
	}
	mutex_unlock(&regions_lock);
	return err;
}

static const struct file_operations private_memory_operations = {
	.owner = THIS_MODULE,
	.mmap = private_memory_mmap,
};

static struct miscdevice private_memory_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "private-memory",
	.fops = &private_memory_operations,
	.mode = 0600,
};

/* Processes may still be running on other processors, so their mappings are removed first. */
static int private_memory_reboot(struct notifier_block *block, unsigned long action, void *data)
{
	struct region *region;

	mutex_lock(&regions_lock);
	stopped = true;
	list_for_each_entry(region, &regions, node) {
		if (region->shared)
			continue;
		unmap_mapping_range(region->file, 0, 0, 1);
		region_share(region);
	}
	mutex_unlock(&regions_lock);
	return NOTIFY_DONE;
}

static int private_memory_sleep(struct notifier_block *block, unsigned long action, void *data)
{
	int err = 0;

	if (action == PM_HIBERNATION_PREPARE) {
		mutex_lock(&regions_lock);
		err = list_empty(&regions) ? 0 : -EBUSY;
		mutex_unlock(&regions_lock);
	}
	return notifier_from_errno(err);
}

static struct notifier_block reboot_notifier = {
	.notifier_call = private_memory_reboot,
};

static struct notifier_block sleep_notifier = {
	.notifier_call = private_memory_sleep,
};

/* Looks for it like the kernel's own code, which modules cannot call: it is not the first one if KVM also offers the
 * interfaces of others. */
static bool __init hypercall_is_there(void)
{
	u32 base, last, signature[3];

	for (base = KVM_CPUID_SIGNATURE; base < KVM_CPUID_SIGNATURE + 0x10000; base += 0x100) {
		cpuid(base, &last, &signature[0], &signature[1], &signature[2]);
		if (!memcmp(signature, KVM_SIGNATURE, sizeof(signature)))
			return cpuid_eax(base + KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE) &
			       BIT(KVM_FEATURE_HC_MAP_GPA_RANGE);
	}
	return false;
}

static int __init private_memory_init(void)
{
	int err;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR) || !hypercall_is_there()) {
		pr_err("this is not a KVM guest that can have private memory\n");
		return -ENODEV;
	}
	err = register_reboot_notifier(&reboot_notifier);
	if (err)
		return err;
	err = register_pm_notifier(&sleep_notifier);
	if (err)
		goto no_pm;
	err = misc_register(&private_memory_device);
	if (err)
		goto no_device;
	return 0;

no_device:
	unregister_pm_notifier(&sleep_notifier);
no_pm:
	unregister_reboot_notifier(&reboot_notifier);
	return err;
}

/* Mappings hold the file, and the file holds the module, so there are no regions any more. */
static void __exit private_memory_exit(void)
{
	misc_deregister(&private_memory_device);
	unregister_pm_notifier(&sleep_notifier);
	unregister_reboot_notifier(&reboot_notifier);
}

module_init(private_memory_init);
module_exit(private_memory_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Pages of a KVM guest that its host cannot read");
