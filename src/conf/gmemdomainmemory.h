/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainmemory.h: a domain's memory: sizes, cells, memory devices, huge pages and nodesets. */
#pragma once

#include "gmemdomaindef.h"

/* gmemDomainMemoryParse: the part of gmemDomainParseXML() that reads a domain's memory. */
void gmemDomainMemoryParse(gmemDomainDef *def);

/* gmemDomainMemoryMainRam: RAM that is not in memory devices, in KiB, for a domain without cells.
 */
unsigned long long gmemDomainMemoryMainRam(const gmemDomainDef *def);

/* gmemDomainMemoryRam: guest RAM in KiB: all cells, or <memory> if there are none, and DIMMs; 0 if
 * a size is unreadable. */
unsigned long long gmemDomainMemoryRam(const gmemDomainDef *def);

/* gmemDomainMemoryHugeRam: guest RAM that is on huge pages, in KiB. */
unsigned long long gmemDomainMemoryHugeRam(const gmemDomainDef *def);
