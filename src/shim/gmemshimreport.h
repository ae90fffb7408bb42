/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreport.h: the shim's words on QEMU's stderr, which libvirt keeps as the domain's log. */
#pragma once

/* Longer texts are cut: some of them quote what somebody else wrote. */
#define GMEM_SHIM_REPORT_MAX 1024

/**
 * gmemShimReport:
 * @format: printf format of the message, without prefix and newline
 *
 * One line, one write(2), on descriptor 2. Keeps errno; %m in @format is the errno of the call.
 */
void gmemShimReport(const char *format, ...) __attribute__((format(printf, 1, 2)));
