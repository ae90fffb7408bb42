/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainmemory.h: a domain's memory: sizes, cells, memory devices, huge pages and nodesets. */
#pragma once

#include "gmemdomaindef.h"

/* gmemDomainMemoryParse: the part of gmemDomainParseXML() that reads them. */
void gmemDomainMemoryParse(gmemDomainDef *def);

/* gmemDomainMemoryMainRam: KiB of RAM that is not a memory device, where there are no cells. */
unsigned long long gmemDomainMemoryMainRam(const gmemDomainDef *def);

/* gmemDomainMemoryRam: KiB of guest RAM: cells, or <memory> where there are none, and DIMMs. 0
 * where a size is unreadable. */
unsigned long long gmemDomainMemoryRam(const gmemDomainDef *def);

/* gmemDomainMemoryHugeRam: KiB of guest RAM that huge pages are for. */
unsigned long long gmemDomainMemoryHugeRam(const gmemDomainDef *def);
