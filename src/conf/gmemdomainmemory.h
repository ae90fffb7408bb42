/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainmemory.h: a domain's memory: sizes, cells, memory devices, huge pages and nodesets. */
#pragma once

#include "gmemdomain.h"

/* gmemDomainParseMemory: the part of gmemDomainParseXML() that reads them. */
void gmemDomainParseMemory(gmemDomainDef *def);

/* gmemDomainCellId: the number of @def->cells[@i] among libvirt's cells. */
unsigned long long gmemDomainCellId(const gmemDomainDef *def, size_t i);

/* gmemDomainPageOfCell, gmemDomainPageOfMemory: the size, in KiB, of the huge pages that libvirt
 * takes for a cell (0 where there are no cells) or a memory device; 0 for ordinary pages. The
 * host's default size counts as the smallest that it can be. */
unsigned long long gmemDomainPageOfCell(const gmemDomainDef *def, unsigned long long id);
unsigned long long gmemDomainPageOfMemory(const gmemDomainDef *def, const gmemDomainMemory *memory);

/* gmemDomainMainRam: KiB of RAM that is no memory device, where there are no cells. */
unsigned long long gmemDomainMainRam(const gmemDomainDef *def);

/* gmemDomainRam: KiB of guest RAM: cells, or <memory> where there are none, and DIMMs. 0 where a
 * size is unreadable. */
unsigned long long gmemDomainRam(const gmemDomainDef *def);

/* gmemDomainHugeRam: KiB of guest RAM that huge pages are for. */
unsigned long long gmemDomainHugeRam(const gmemDomainDef *def);
