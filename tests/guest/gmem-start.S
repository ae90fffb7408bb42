/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmem-start.S: a firmware for RAM that is private from the start: it runs in its ROM, which is not
 * private.
 *
 * KVM reads the instructions that it emulates from shared memory, so a firmware that copies itself to
 * RAM, as all others do, only gets to the first of them. This one stays in real mode and in its ROM, 64
 * KiB below 1 MiB and below 4 GiB, and does nothing that KVM would have to emulate. It writes a pattern
 * (two words, combined from halves that do not occur elsewhere) to RAM at PRIVATE, makes the page at
 * SHARED shared, and writes another pattern there. COM1 gets, once for each reset:
 *
 *     gmem-start: kept yes|no, shared yes|no       and then it halts for ever
 *
 * kept: both patterns were read back; shared: KVM_HC_MAP_GPA_RANGE returned 0, and the page was zeros. */

        .set    PRIVATE, 0x8000
        .set    SHARED, 0x9000
        .set    STACK, 0x7000
        .set    COM1, 0x3f8
        .set    MAP_GPA_RANGE, 12
        .set    ONE, 0x3c6ef372
        .set    TWO, 0x5be0cd19
        .set    SECRET, 0x76543210
        .set    KNOWN, 0x0f1e2d3c

        .text
        .code16
        .globl  start
start:  cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $STACK, %sp

        mov     $ONE, %eax
        xor     $ONE ^ SECRET, %eax
        mov     %eax, PRIVATE
        not     %eax
        mov     %eax, PRIVATE + 4

        # Not where KVM does not say that there is such a call. Who made the processor decides which
        # of the two instructions KVM does not have to emulate.
        mov     $0x40000001, %eax
        cpuid
        bt      $16, %eax
        jnc     2f
        xor     %eax, %eax
        cpuid
        cmp     $0x756e6547, %ebx               # "Genu"
        mov     $MAP_GPA_RANGE, %eax
        mov     $SHARED, %ebx
        mov     $1, %ecx
        mov     $0, %edx
        je      1f
        vmmcall
        jmp     2f
1:      vmcall
2:      mov     %eax, %ebp
        or      SHARED, %ebp
        or      SHARED + 4, %ebp                # 0: all is well

        mov     $TWO, %eax
        xor     $TWO ^ KNOWN, %eax
        mov     %eax, SHARED
        not     %eax
        mov     %eax, SHARED + 4

        mov     $text_kept, %si
        call    puts
        mov     PRIVATE, %eax
        xor     $SECRET, %eax
        mov     PRIVATE + 4, %edx
        not     %edx
        xor     $SECRET, %edx
        or      %edx, %eax
        mov     SHARED, %edx
        xor     $KNOWN, %edx
        or      %edx, %eax
        call    put_answer
        mov     $text_shared, %si
        call    puts
        mov     %ebp, %eax
        call    put_answer
        mov     $text_end, %si
        call    puts
1:      hlt
        jmp     1b

        # yes where %eax is 0
put_answer:
        mov     $yes, %si
        test    %eax, %eax
        jz      puts
        mov     $no, %si

puts:   mov     $COM1 + 5, %dx
1:      in      %dx, %al
        test    $0x20, %al                      # there is room
        jz      1b
        mov     %cs:(%si), %al
        inc     %si
        test    %al, %al
        jz      2f
        mov     $COM1, %dx
        out     %al, %dx
        jmp     puts
2:      ret

text_kept:
        .asciz  "gmem-start: kept "
text_shared:
        .asciz  ", shared "
text_end:
        .asciz  "\r\n"
yes:    .asciz  "yes"
no:     .asciz  "no"

        .org    0xfff0
        ljmp    $0xf000, $start
        .org    0x10000
