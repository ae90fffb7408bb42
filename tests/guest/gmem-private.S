/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmem-private.S: a guest that makes pages of its RAM private and shared again as commands on its serial
 * port say. It is built as a boot disk, and as a firmware (with ROM defined).
 *
 * 32-bit code without paging, on two processors. All of it, its stacks and its tables stay in shared
 * pages below 1 MiB: KVM reads what it emulates through the shared half, and page tables would be part of
 * that.
 *
 * Firmware: what QEMU's -bios takes, 64 KiB at 0xf0000 and below 4 GiB; the last 16 bytes get control and
 * copy the stage to STAGE. Disk: the boot sector reads the stage there, from the third sector on. The
 * application processor is sent to the same place; the first one to get there is the boot processor.
 *
 *     0x05000  interrupt descriptors      0x07c00  boot sector; below: stacks, the second's at 0x7000
 *     0x06000  the line that is read      0x08000  this code (STAGE)
 *     0x0c000  what fw_cfg gave           0x10000  commands from fw_cfg
 *
 * COM1 (115200 8n1) prints this at the start and after each reset (addresses and counts are 8 hexadecimal
 * digits, except for cells and processors):
 *
 *     gmem-private: start rom|disk
 *     gmem-private: cpus 2
 *     gmem-private: hypercall vmmcall|vmcall yes|no    whether KVM says that there is MAP_GPA_RANGE
 *     gmem-private: ram 00000000 02800000              by QEMU's map, below 4 GiB
 *     gmem-private: cell 0 00000000 01000000           likewise; none where there is no NUMA
 *     gmem-private: ready
 *
 * Then it accepts commands, one per line: a letter and hexadecimal arguments (missing arguments are 0),
 * first from the fw_cfg file opt/org.libvirt-gmem/commands, then from the port. The answer is the line,
 * followed by " = " and results:
 *
 *     p ADDRESS PAGES               KVM_HC_MAP_GPA_RANGE, private = what it returned: 0, or negative;
 *                                   -1000 without a call where KVM does not say that there is one
 *     s ADDRESS PAGES               shared, likewise
 *     c ADDRESS PAGES ATTRIBUTES    any attributes, likewise
 *     w ADDRESS PAGES SEED          fill with the pattern = pages
 *     v ADDRESS PAGES SEED          look for it = pages that are whole
 *     z ADDRESS PAGES               = pages that are all zeros
 *     t ADDRESS UNITS STEP ROUNDS SEED
 *                                   both processors at once: = conversions, mistakes (see toggle)
 *     x ADDRESS PAGES ROUNDS        one makes it private, the other shared, at the same time
 *                                   = hypercalls that failed
 *     r                             reset the machine
 *
 * The pattern fills a page with blocks of 32 bytes: 16 that depend on the seed, the block's own guest
 * address, 12 zeros. The 16 are combined in one register, four at a time, from two constants and the
 * seed, so they only exist in the pages that were filled. Number i of them is
 *
 *     ONE[i] ^ rotate_left(seed, 8 * i) ^ TWO[i]
 */

        .set    STAGE, 0x8000
        .set    STAGE_SECTORS, 16
        .set    IMAGE_SIZE, 1474560             # bytes: 80 tracks, 2 heads, 18 sectors of 512 bytes
        .set    BOOT_STACK, 0x7c00
        .set    OTHER_STACK, 0x7000
        .set    IDT, 0x5000
        .set    LINE, 0x6000
        .set    LINE_MAX, 120
        .set    FW_CFG_DATA, 0xc000
        .set    FW_CFG_MAX, 0x4000
        .set    COMMANDS, 0x10000
        .set    COMMANDS_MAX, 0x1000

        .set    COM1, 0x3f8
        .set    FW_CFG, 0x510
        .set    FW_CFG_CPUS, 0x05               # of the machine
        .set    FW_CFG_NUMA, 0x0d
        .set    FW_CFG_MAX_CPUS, 0x0f           # APIC ids
        .set    FW_CFG_FILES, 0x19
        .set    APIC, 0xfee00000
        .set    SERIAL_VECTOR, 0x24             # the PIC's IRQ 4, base 0x20
        .set    WAKE_VECTOR, 0x30
        .set    WAKE_EACH, 50000000             # of the APIC's clock, KVM's being 1 GHz

        .set    MAP_GPA_RANGE, 12
        .set    NO_SUCH_CALL, -1000             # what KVM answers where it knows none
        .set    TO_SHARED, 0
        .set    TO_PRIVATE, 0x10
        .set    PAGE, 4096
        .set    BLOCK, 32

        .set    ONE0, 0x6c62272e
        .set    ONE1, 0x07bb0142
        .set    ONE2, 0xa17b4f93
        .set    ONE3, 0x5e2dc8f1
        .set    TWO0, 0x1b873593
        .set    TWO1, 0xcc9e2d51
        .set    TWO2, 0x38b34ae5
        .set    TWO3, 0x97d0e6ab

.ifndef ROM
        .section .boot, "ax"
        .code16
        .globl  boot
boot:   ljmp    $0, $1f
1:      cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $BOOT_STACK, %sp
        sti
        mov     $3, %si
2:      mov     $0x200 + STAGE_SECTORS, %ax     # read; %dl is the drive still
        mov     $STAGE, %bx
        mov     $3, %cx                         # cylinder 0, sector 3
        xor     %dh, %dh
        int     $0x13
        jnc     3f
        xor     %ah, %ah
        int     $0x13
        dec     %si
        jnz     2b
        int     $0x18                           # nothing to boot from
3:      ljmp    $0, $STAGE
        .org    510
        .byte   0x55, 0xaa
.endif

        .text
        .code16
        .globl  stage
stage:
        cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        lgdtl   gdt_pointer
        mov     %cr0, %eax
        and     $0x9fffffff, %eax               # caches on
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $8, $protected

        .code32
protected:
        mov     $16, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %fs
        mov     %ax, %gs
        mov     %ax, %ss
        mov     $1, %eax
        lock xadd %eax, arrived
        cmp     $1, %eax
        je      other
        ja      stop
        mov     $BOOT_STACK, %esp
        call    make_idt
        call    pic_init
        call    apic_init
        call    serial_init
        mov     $text_start, %esi
        call    puts

        call    start_other
        mov     $text_cpus, %esi
        call    puts
        mov     cpus, %eax
        call    put_digit
        call    put_end
        call    find_hypercall
        call    find_ram
        call    find_cells
        call    find_commands
        mov     $text_ready, %esi
        call    puts
        sti
1:      call    command
        jmp     1b

other:
        mov     $OTHER_STACK, %esp
        lidt    idt_pointer
        call    apic_init
        lock incl cpus
1:      cli                                     # so that no wake-up comes before the hlt
        mov     work, %eax
        test    %eax, %eax
        jnz     2f
        sti
        hlt
        jmp     1b
2:      sti
        mov     $2, %ebp
        call    *%eax
        movl    $0, work
        jmp     1b

stop:   cli
        hlt
        jmp     stop

        # both: %eax on both processors at once, %ebp being 0 and 2; or here alone, one after the other.
both:
        cmpl    $2, cpus
        jb      2f
        mov     %eax, work
        movl    $0xc4000 | WAKE_VECTOR, APIC + 0x300
        xor     %ebp, %ebp
        call    *%eax
1:      pause
        cmpl    $0, work
        jne     1b
        ret
2:      push    %eax
        xor     %ebp, %ebp
        call    *%eax
        pop     %eax
        mov     $2, %ebp
        jmp     *%eax

        # ---- commands ----

        # command: reads a line, obeys, answers.
command:
        call    read_line
        mov     $LINE, %esi
        lodsb
        test    %al, %al
        jz      9f
        push    %eax
        call    arguments
        mov     $text_name, %esi
        call    puts
        mov     $LINE, %esi
        call    puts
        pop     %edx
        mov     $verbs, %edi
1:      mov     (%edi), %eax
        test    %eax, %eax
        jz      2f
        cmp     %al, %dl
        je      3f
        add     $8, %edi
        jmp     1b
2:      mov     $text_unknown, %esi
        jmp     puts
3:      movl    $1, results
        call    *4(%edi)
        mov     %eax, result
        mov     %ecx, result + 4
        mov     $text_is, %esi
        call    puts
        mov     result, %eax
        call    put_hex
        cmpl    $1, results
        je      put_end
        mov     $' ', %al
        call    putc
        mov     result + 4, %eax
        call    put_hex
        jmp     put_end
9:      ret

verbs:  .long   'p', do_private, 's', do_shared, 'c', do_convert, 'w', do_write, 'v', do_verify
        .long   'z', do_zeros, 't', do_toggle, 'x', do_contend, 'r', do_reset, 0

        # arguments: the hexadecimal numbers at %esi into args.
arguments:
        mov     $args, %edi
        mov     $6, %ecx
1:      xor     %edx, %edx
2:      lodsb
        cmp     $' ', %al
        je      2b
        dec     %esi
3:      lodsb
        sub     $'0', %al
        jb      5f
        cmp     $9, %al
        jbe     4f
        or      $0x20, %al
        sub     $'a' - '0' - 10, %al
        cmp     $10, %al
        jb      5f
        cmp     $15, %al
        ja      5f
4:      shl     $4, %edx
        movzbl  %al, %eax
        or      %eax, %edx
        jmp     3b
5:      dec     %esi
        mov     %edx, (%edi)
        add     $4, %edi
        loop    1b
        ret

load_range:
        mov     args, %ebx
        mov     args + 4, %ecx
        mov     args + 8, %edx
        ret

do_private:
        call    load_range
        mov     $TO_PRIVATE, %edx
        jmp     hypercall

do_shared:
        call    load_range
        mov     $TO_SHARED, %edx
        jmp     hypercall

do_convert:
        call    load_range

        # hypercall: %ebx: address, %ecx: pages, %edx: attributes; what it returned in %eax.
hypercall:
        mov     $NO_SUCH_CALL, %eax
        cmpl    $0, offered
        je      2f
        mov     $MAP_GPA_RANGE, %eax
        cmpl    $0, intel
        jne     1f
        vmmcall
2:      ret
1:      vmcall
        ret

do_write:
        call    load_range
        push    %ecx
        call    write_pages
        pop     %eax
        ret

do_verify:
        call    load_range
        xor     %ebp, %ebp
1:      test    %ecx, %ecx
        jz      2f
        push    %ecx
        mov     $1, %ecx
        call    verify_pages
        pop     %ecx
        jne     3f
        inc     %ebp
3:      add     $PAGE, %ebx
        dec     %ecx
        jmp     1b
2:      mov     %ebp, %eax
        ret

do_zeros:
        call    load_range
        mov     %ecx, %edx
        mov     %ebx, %edi
        xor     %ebp, %ebp
1:      test    %edx, %edx
        jz      2f
        mov     $PAGE / 4, %ecx
        xor     %eax, %eax
        mov     %edi, %esi
        repe scasl
        jne     3f
        inc     %ebp
3:      lea     PAGE(%esi), %edi
        dec     %edx
        jmp     1b
2:      mov     %ebp, %eax
        ret

do_reset:
        call    put_end
        mov     $0xcf9, %dx
        mov     $2, %al
        outb    %al, %dx
        mov     $6, %al
        outb    %al, %dx
        jmp     stop

        # ---- the pattern ----

        # make_block: a block at %edi of seed %edx, %edi after it.
make_block:
        push    %edx
        push    %edi
        .macro  word one, two
        mov     $\one, %eax
        xor     %edx, %eax
        xor     $\two, %eax
        stosl
        rol     $8, %edx
        .endm
        word    ONE0, TWO0
        word    ONE1, TWO1
        word    ONE2, TWO2
        word    ONE3, TWO3
        pop     %eax
        stosl
        xor     %eax, %eax
        stosl
        stosl
        stosl
        pop     %edx
        ret

        # check_block: whether the block at %edi is one of seed %edx (ZF), %edi after it.
check_block:
        push    %edx
        push    %ebp
        mov     %edi, %ebp
        .macro  same one, two, offset
        mov     $\one, %eax
        xor     %edx, %eax
        xor     $\two, %eax
        cmp     %eax, \offset(%ebp)
        jne     1f
        rol     $8, %edx
        .endm
        same    ONE0, TWO0, 0
        same    ONE1, TWO1, 4
        same    ONE2, TWO2, 8
        same    ONE3, TWO3, 12
        cmp     %ebp, 16(%ebp)
        jne     1f
        mov     20(%ebp), %eax
        or      24(%ebp), %eax
        or      28(%ebp), %eax
1:      mov     $0, %eax
        pop     %ebp
        pop     %edx
        lea     BLOCK(%edi), %edi
        ret

        # write_pages: %ecx pages from %ebx with seed %edx.
write_pages:
        mov     %ebx, %edi
        shl     $7, %ecx                        # blocks
1:      test    %ecx, %ecx
        jz      2f
        call    make_block
        dec     %ecx
        jmp     1b
2:      ret

        # verify_pages: whether they are all as write_pages made them (ZF). %ebx, %edx, %ebp are kept.
verify_pages:
        mov     %ebx, %edi
        shl     $7, %ecx
        cmp     %eax, %eax
1:      jecxz   2f
        call    check_block
        jne     2f
        dec     %ecx
        cmp     %eax, %eax
        jmp     1b
2:      ret

        # touch_pages, check_pages, clear_pages: the first and last block of each of %ecx pages from
        # %ebx: written with seed %edx, compared with it, compared with zeros (ZF).
touch_pages:
        mov     %ebx, %edi
1:      call    make_block
        add     $PAGE - 2 * BLOCK, %edi
        call    make_block
        loop    1b
        ret

check_pages:
        mov     %ebx, %edi
1:      call    check_block
        jne     2f
        add     $PAGE - 2 * BLOCK, %edi
        call    check_block
        jne     2f
        dec     %ecx
        jnz     1b
2:      ret

clear_pages:
        mov     %ebx, %edi
1:      push    %ecx
        xor     %eax, %eax
        mov     $BLOCK / 4, %ecx
        repe scasl
        jne     2f
        add     $PAGE - 2 * BLOCK, %edi
        mov     $BLOCK / 4, %ecx
        repe scasl
2:      pop     %ecx
        jne     3f
        dec     %ecx
        jnz     1b
3:      ret

        # ---- conversions by both processors at once ----

        # Units of STEP pages. Of four that follow each other, number 0 is converted to and fro by one
        # processor and number 2 by the other; number 1 is private all the time, number 3 shared, and
        # neither may change. Each conversion must find zeros where it has come to. In the end the
        # range is shared.
do_toggle:
        movl    $2, results
        xor     %eax, %eax
        mov     %eax, conversions
        mov     %eax, mistakes
        mov     args + 8, %ecx                  # bytes of a unit
        shl     $12, %ecx
        mov     %ecx, unit_size
        jz      9f
        mov     args, %ebx
        mov     args + 4, %ecx
        imul    args + 8, %ecx
        mov     $TO_SHARED, %edx
        call    convert
        mov     $make_still, %eax
        call    each_still
        mov     $toggle, %eax
        call    both
        mov     $check_still, %eax
        call    each_still
        mov     args, %ebx
        mov     args + 4, %ecx
        imul    args + 8, %ecx
        mov     $TO_SHARED, %edx
        call    convert
9:      mov     conversions, %eax
        mov     mistakes, %ecx
        ret

        # convert: hypercall, counting a mistake where it fails.
convert:
        call    hypercall
        test    %eax, %eax
        jnz     mistake
        lock incl conversions
        ret
mistake:
        lock incl mistakes
        ret

        # each_still: %eax for units 1 and 3 of each four, %ebx: address, %edx: seed.
each_still:
        mov     %eax, %esi
        mov     $1, %ebp
1:      cmp     args + 4, %ebp
        jae     2f
        call    unit
        push    %esi
        push    %ebp
        call    *%esi
        pop     %ebp
        pop     %esi
        add     $2, %ebp
        jmp     1b
2:      ret

        # unit: %ebx, %ecx and %edx of unit %ebp: address, pages, seed if it is one that stays.
unit:
        mov     %ebp, %ebx
        imul    unit_size, %ebx
        add     args, %ebx
        mov     args + 8, %ecx
        mov     args + 16, %edx
        test    $2, %ebp
        jz      1f
        not     %edx
1:      ret

make_still:
        test    $2, %ebp
        jnz     1f
        push    %edx
        mov     $TO_PRIVATE, %edx
        call    convert
        pop     %edx
        mov     args + 8, %ecx
1:      jmp     write_pages

check_still:
        call    verify_pages
        jne     mistake
        ret

        # toggle: the share of one processor, %ebp being its first unit.
toggle:
        mov     args + 12, %eax
        push    %ebp
        push    %eax                            # 4(%esp): first unit; (%esp): rounds that are left
1:      cmpl    $0, (%esp)
        je      9f
        mov     4(%esp), %ebp
2:      cmp     args + 4, %ebp
        jae     8f
        call    unit
        mov     $TO_PRIVATE, %edx
        call    convert
        mov     args + 8, %ecx
        call    clear_pages
        je      3f
        call    mistake
3:      mov     args + 16, %edx                 # a seed of this unit and this round
        xor     (%esp), %edx
        ror     $7, %edx
        xor     %ebp, %edx
        mov     args + 8, %ecx
        call    touch_pages
        mov     args + 8, %ecx
        call    check_pages
        je      4f
        call    mistake
4:      dec     %ebp
        js      5f
        call    check_neighbour
5:      inc     %ebp
        inc     %ebp
        cmp     args + 4, %ebp
        jae     6f
        call    check_neighbour
6:      dec     %ebp
        call    unit
        mov     $TO_SHARED, %edx
        call    convert
        mov     args + 8, %ecx
        call    clear_pages
        je      7f
        call    mistake
7:      add     $4, %ebp
        jmp     2b
8:      decl    (%esp)
        jmp     1b
9:      add     $8, %esp
        ret

check_neighbour:
        call    unit
        call    check_pages
        jne     mistake
        ret

do_contend:
        movl    $0, mistakes
        mov     $contend, %eax
        call    both
        call    load_range
        mov     $TO_SHARED, %edx
        call    convert
        mov     mistakes, %eax
        ret

contend:
        mov     args + 8, %esi
1:      test    %esi, %esi
        jz      3f
        call    load_range
        mov     $TO_PRIVATE, %edx
        test    %ebp, %ebp
        jz      2f
        mov     $TO_SHARED, %edx
2:      push    %esi
        xor     %esi, %esi
        call    convert
        pop     %esi
        dec     %esi
        jmp     1b
3:      ret

        # ---- the machine ----

        # make_idt: exceptions end in a line, what comes from outside only wakes.
make_idt:
        mov     $IDT, %edi
        mov     $exceptions, %esi
        mov     $32, %ecx
1:      call    gate
        add     $EXCEPTION_SIZE, %esi
        loop    1b
        mov     $wake, %esi
        mov     $256 - 32, %ecx
2:      call    gate
        loop    2b
        mov     $IDT + SERIAL_VECTOR * 8, %edi
        mov     $serial_interrupt, %esi
        call    gate
        mov     $IDT + 0x27 * 8, %edi           # the PIC's way to say that it was nothing
        mov     $nothing, %esi
        call    gate
        lidt    idt_pointer
        ret

gate:
        mov     %esi, %eax
        and     $0xffff, %eax
        or      $8 << 16, %eax
        stosl
        mov     %esi, %eax
        and     $0xffff0000, %eax
        or      $0x8e00, %eax
        stosl
        ret

serial_interrupt:
        push    %eax
        mov     $0x20, %al
        outb    %al, $0x20
        pop     %eax
nothing:
        pushl   8(%esp)                         # not iret: KVM, where it emulates, has none for this
        popf
        lret    $4

wake:   movl    $0, APIC + 0xb0
        jmp     nothing

exceptions:
        .set    vector, 0
        .rept   32
        .balign 8
        push    $vector
        jmp     exception
        .set    vector, vector + 1
        .endr
        .balign 8
        .set    EXCEPTION_SIZE, (. - exceptions) / 32

exception:
        mov     $text_exception, %esi
        call    puts
        pop     %eax
        call    put_hex
        mov     $' ', %al
        call    putc
        mov     (%esp), %eax                    # the error code, where there is one, else %eip
        call    put_hex
        mov     $' ', %al
        call    putc
        mov     4(%esp), %eax
        call    put_hex
        call    put_end
        jmp     stop

pic_init:
        mov     $0x11, %al
        outb    %al, $0x20
        outb    %al, $0xa0
        mov     $0x20, %al
        outb    %al, $0x21
        mov     $0x28, %al
        outb    %al, $0xa1
        mov     $4, %al
        outb    %al, $0x21
        mov     $2, %al
        outb    %al, $0xa1
        mov     $1, %al
        outb    %al, $0x21
        outb    %al, $0xa1
        mov     $0xef, %al                      # IRQ 4 and no other
        outb    %al, $0x21
        mov     $0xff, %al
        outb    %al, $0xa1
        ret

apic_init:
        movl    $0x1ff, APIC + 0xf0
        mov     $0x10700, %eax
        cmpl    $0, cpus
        jne     1f
        mov     $0x700, %eax                    # LINT0: the PIC's interrupts, to the first one only
1:      mov     %eax, APIC + 0x350
        # Whoever waits looks again now and then. On processors an interrupt cannot get in between
        # sti and hlt, on emulated ones it has, and was lost to the one that waits.
        movl    $0xb, APIC + 0x3e0
        movl    $0x20000 | WAKE_VECTOR, APIC + 0x320
        movl    $WAKE_EACH, APIC + 0x380
        ret

start_other:
        mov     $FW_CFG_CPUS, %ax
        mov     $2, %ecx
        call    fw_cfg_read
        movl    $1, cpus
        cmpw    $2, FW_CFG_DATA
        jb      2f
        movl    $0xc4500, APIC + 0x300          # INIT, all but this one
        movl    $0xc4600 | STAGE >> 12, APIC + 0x300
1:      pause
        cmpl    $2, cpus
        jb      1b
2:      ret

find_hypercall:
        xor     %eax, %eax
        cpuid
        mov     $text_vmmcall, %esi
        cmp     $0x756e6547, %ebx               # "Genu"
        jne     1f
        incl    intel
        mov     $text_vmcall, %esi
1:      call    puts
        mov     $0x40000000, %eax
        cpuid
        mov     $text_no, %esi
        cmp     $0x4b4d564b, %ebx               # "KVMK"
        jne     2f
        mov     $0x40000001, %eax
        cpuid
        mov     $text_no, %esi
        bt      $16, %eax
        jnc     2f
        incl    offered
        mov     $text_yes, %esi
2:      jmp     puts

        # find_ram: what etc/e820 says of RAM below 4 GiB.
find_ram:
        mov     $name_e820, %ebp
        mov     $FW_CFG_DATA, %edi
        mov     $FW_CFG_MAX, %ecx
        call    fw_cfg_file
        mov     %eax, %ebp
        mov     $FW_CFG_DATA, %ebx
1:      sub     $20, %ebp
        jb      3f
        cmpl    $1, 16(%ebx)                    # RAM
        jne     2f
        cmpl    $0, 4(%ebx)
        jne     2f
        mov     $text_ram, %esi
        call    puts
        mov     (%ebx), %eax
        call    put_hex
        mov     $' ', %al
        call    putc
        mov     (%ebx), %eax
        add     8(%ebx), %eax
        call    put_hex
        call    put_end
2:      add     $20, %ebx
        jmp     1b
3:      ret

        # find_cells: a count, a cell's number for each APIC id, the cells' sizes, 64 bits each.
find_cells:
        mov     $FW_CFG_MAX_CPUS, %ax
        mov     $2, %ecx
        call    fw_cfg_read
        movzwl  FW_CFG_DATA, %ebp
        mov     $FW_CFG_NUMA, %ax
        mov     $FW_CFG_MAX, %ecx
        call    fw_cfg_read
        lea     FW_CFG_DATA + 8(, %ebp, 8), %ebx
        xor     %ebp, %ebp
        xor     %edx, %edx
1:      cmp     FW_CFG_DATA, %ebp
        jae     2f
        cmp     $8, %ebp
        jae     2f
        mov     $text_cell, %esi
        call    puts
        mov     %ebp, %eax
        call    put_digit
        mov     $' ', %al
        call    putc
        mov     %edx, %eax
        call    put_hex
        mov     $' ', %al
        call    putc
        add     (%ebx), %edx
        mov     %edx, %eax
        call    put_hex
        call    put_end
        add     $8, %ebx
        inc     %ebp
        jmp     1b
2:      ret

find_commands:
        mov     $name_commands, %ebp
        mov     $COMMANDS, %edi
        mov     $COMMANDS_MAX, %ecx
        call    fw_cfg_file
        mov     %eax, commands_left
        movl    $COMMANDS, commands_next
        ret

        # fw_cfg_file: the file named at %ebp to %edi, no more than %ecx bytes; how many in %eax.
fw_cfg_file:
        push    %ecx
        push    %edi
        mov     $FW_CFG_FILES, %ax
        mov     $FW_CFG_MAX, %ecx
        call    fw_cfg_read
        mov     FW_CFG_DATA, %edx
        bswap   %edx
        mov     $FW_CFG_DATA + 4, %ebx
1:      test    %edx, %edx
        jz      5f
        cmp     $FW_CFG_DATA + FW_CFG_MAX - 64, %ebx
        ja      5f
        mov     %ebp, %esi
        lea     8(%ebx), %edi
2:      cmpsb
        jne     3f
        cmpb    $0, -1(%esi)
        jne     2b
        pop     %edi
        pop     %ecx
        mov     (%ebx), %eax
        bswap   %eax
        cmp     %eax, %ecx
        jbe     4f
        mov     %eax, %ecx
4:      push    %ecx
        mov     4(%ebx), %ax
        xchg    %al, %ah
        call    fw_cfg_read_to
        pop     %eax
        ret
3:      add     $64, %ebx
        dec     %edx
        jmp     1b
5:      add     $8, %esp
        xor     %eax, %eax
        ret

        # fw_cfg_read: %ecx bytes of item %ax to FW_CFG_DATA; fw_cfg_read_to: to %edi.
fw_cfg_read:
        mov     $FW_CFG_DATA, %edi
fw_cfg_read_to:
        push    %edx
        mov     $FW_CFG, %dx
        outw    %ax, %dx
        inc     %edx
        rep insb
        pop     %edx
        ret

        # ---- serial port ----

serial_init:
        mov     $serial_settings, %esi
        mov     $(serial_settings_end - serial_settings) / 2, %ecx
1:      movzbl  (%esi), %edx
        add     $COM1, %edx
        mov     1(%esi), %al
        outb    %al, %dx
        add     $2, %esi
        loop    1b
        ret

        # Register and value: 115200 8n1, FIFO, interrupts for what is received.
serial_settings:
        .byte   3, 0x80, 0, 1, 1, 0, 3, 3, 2, 7, 4, 0xb, 1, 1
serial_settings_end:

        # read_line: to LINE, with a zero in place of its end.
read_line:
        mov     $LINE, %edi
1:      call    getc
        cmp     $'\r', %al
        je      1b
        cmp     $'\n', %al
        je      2f
        cmp     $LINE + LINE_MAX, %edi
        jae     1b
        stosb
        jmp     1b
2:      movb    $0, (%edi)
        ret

getc:
        cmpl    $0, commands_left
        je      1f
        decl    commands_left
        mov     commands_next, %eax
        incl    commands_next
        mov     (%eax), %al
        ret
1:      cli
        mov     $COM1 + 5, %dx
        inb     %dx, %al
        test    $1, %al
        jnz     2f
        sti
        hlt
        jmp     1b
2:      sti
        mov     $COM1, %dx
        inb     %dx, %al
        ret

putc:
        push    %edx
        push    %eax
        mov     $COM1 + 5, %dx
1:      inb     %dx, %al
        test    $0x20, %al
        jz      1b
        pop     %eax
        mov     $COM1, %dx
        outb    %al, %dx
        pop     %edx
        ret

puts:
        lodsb
        test    %al, %al
        jz      1f
        call    putc
        jmp     puts
1:      ret

put_end:
        mov     $text_end, %esi
        jmp     puts

put_hex:
        push    %ecx
        mov     $8, %ecx
1:      rol     $4, %eax
        call    put_digit
        loop    1b
        pop     %ecx
        ret

        # put_digit: the lowest 4 bits of %eax, which is kept.
put_digit:
        push    %eax
        and     $0xf, %al
        cmp     $10, %al
        jb      1f
        add     $'a' - '0' - 10, %al
1:      add     $'0', %al
        call    putc
        pop     %eax
        ret

        # ---- data ----

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff              # code, 4 GiB
        .quad   0x00cf93000000ffff              # data
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt
idt_pointer:
        .word   256 * 8 - 1
        .long   IDT

        .balign 4
arrived:
        .long   0                               # processors that came along
cpus:   .long   0                               # that are at work
work:   .long   0                               # for the second: what to call; 0 when done
intel:  .long   0
offered:
        .long   0
args:   .fill   6, 4, 0
results:
        .long   0                               # how many a command has
result: .long   0, 0
unit_size:
        .long   0
conversions:
        .long   0
mistakes:
        .long   0
commands_left:
        .long   0
commands_next:
        .long   0

text_start:
.ifdef ROM
        .asciz  "gmem-private: start rom\r\n"
.else
        .asciz  "gmem-private: start disk\r\n"
.endif
text_cpus:
        .asciz  "gmem-private: cpus "
text_vmmcall:
        .asciz  "gmem-private: hypercall vmmcall "
text_vmcall:
        .asciz  "gmem-private: hypercall vmcall "
text_yes:
        .asciz  "yes\r\n"
text_no:
        .asciz  "no\r\n"
text_ram:
        .asciz  "gmem-private: ram "
text_cell:
        .asciz  "gmem-private: cell "
text_ready:
        .asciz  "gmem-private: ready\r\n"
text_exception:
        .asciz  "gmem-private: stopped by exception "
text_name:
        .asciz  "gmem-private: "
text_is:
        .asciz  " = "
text_unknown:
        .asciz  " ?\r\n"
text_end:
        .asciz  "\r\n"
name_e820:
        .asciz  "etc/e820"
name_commands:
        .asciz  "opt/org.libvirt-gmem/commands"

        .org    stage + STAGE_SECTORS * 512     # fails where the stage is larger
.ifdef ROM
        .org    0xffd0
        .code16
from_reset:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        xor     %ax, %ax
        mov     %ax, %es
        xor     %si, %si
        mov     $STAGE, %di
        mov     $STAGE_SECTORS * 128, %cx
        rep movsl
        ljmp    $0, $STAGE

        .org    0xfff0
        ljmp    $0xf000, $0xffd0
        .org    0x10000
.else
        .org    IMAGE_SIZE - 1024
.endif

        .section .note.GNU-stack, "", @progbits
