/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreport.h: the shim's messages on QEMU's stderr, which libvirt keeps as the domain's log.
 */
#pragma once

/* Longer texts are cut, because some of them quote what somebody else wrote. */
#define GMEM_SHIM_REPORT_MAX 1024

/**
 * gmemShimReport:
 * @format: printf format of the message, without prefix and newline
 *
 * Writes one line with one write(2) to descriptor 2. Preserves errno; %m in @format is the errno at
 * the time of the call.
 */
void gmemShimReport(const char *format, ...) __attribute__((format(printf, 1, 2)));
