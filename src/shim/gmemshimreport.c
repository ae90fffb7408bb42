/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreport.c: the shim's messages on QEMU's stderr, which libvirt keeps as the domain's log.
 */

#include "gmemshimreport.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gmemshimerrno.h"

#define GMEM_SHIM_REPORT_PREFIX "qemu-gmem: "

void
gmemShimReport(const char *format, ...)
{
    char line[GMEM_SHIM_REPORT_MAX] = GMEM_SHIM_REPORT_PREFIX;
    const size_t prefix = strlen(GMEM_SHIM_REPORT_PREFIX);
    GMEM_SHIM_KEEP_ERRNO;
    size_t length, i;
    va_list args;

    va_start(args, format);
    if (vsnprintf(line + prefix, sizeof(line) - prefix, format, args) < 0)
        line[prefix] = '\0';
    va_end(args);

    length = strlen(line);
    for (i = 0; i < length; i++) {
        if (iscntrl((unsigned char)line[i]))
            line[i] = '?'; /* of a word of the command line: a report is one line */
    }
    if (length == sizeof(line) - 1)
        length--;
    line[length++] = '\n';
    /* If stderr itself fails, there is nobody left to whom it could be reported. */
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}
