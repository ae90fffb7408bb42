/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmem-guest.S: a guest that fills all its RAM with a pattern and checks it for ever. It is built as a
 * boot disk, and as a firmware (with ROM defined).
 *
 * Disk: the BIOS loads the first 512 bytes to 0x7c00; they load the next STAGE_SECTORS sectors
 * directly after themselves. CHS (0, 0, 2) onwards is one track on a floppy as on a hard disk, so the
 * image boots from either. The rest of the image is empty, up to the size of a 1.44 MB floppy. A
 * virtio or IDE disk is best: SeaBIOS gives a floppy's interrupt 5 seconds, which a busy host may
 * exceed.
 *
 * Firmware: what QEMU's -bios takes, 64 KiB that the machine has at 0xf0000 and below 4 GiB. The
 * processor starts in its last 16 bytes; they copy the same stage to the same place. Then there is no
 * BIOS: the map of RAM comes from QEMU (fw_cfg's file etc/e820), and ACPI's registers and interrupt
 * routing are set up here. If KVM emulates a guest's kernel instruction by instruction, a BIOS takes
 * seconds, but this does not.
 *
 * Both continue as follows: read the E820 map while there is still a BIOS; build page tables (2 MiB
 * pages, one to one, as far as there is RAM, up to RAM_LIMIT: CPU models such as qemu64 have no 1 GiB
 * pages); 64-bit mode; ask the ACPI memory hotplug device for DIMMs, which are not in the map. Every 4
 * KiB page of RAM from 1 MiB up gets
 *
 *     offset    0  "GMEMPAGE"
 *     offset    8  its guest physical address, little-endian
 *     offset 4088  that address with all bits inverted
 *
 * Everything that the guest itself uses is below 1 MiB, so no page above that is left out:
 *
 *     0x05000  E820 map, 24 bytes an entry     0x07000  stack, down from 0x7c00
 *     0x05800  interrupt descriptors           0x07c00  this code, up to 0x09e00
 *     0x06000  RAM ranges, 16 bytes each       0x10000  page tables, up to 0x52000
 *
 * COM1 (115200 8n1) gets lines that all start with "gmem-guest: "; addresses are 0x and 16 digits,
 * ends are exclusive, counts are decimal:
 *
 *     e820 START END usable      (or "reserved")
 *     dimm START END
 *     own pages are below 0x0000000000100000
 *     boot found N pages with the pattern      all of it, before they were written again
 *     wrote N pages
 *     pass K ok N pages          for ever; the CPU halts for a quarter of a second in between
 *     pass K BAD at ADDRESS      the first page of this pass that has lost its pattern
 *     power button, off          virDomainShutdown and virDomainReboot press it
 *     stopped by exception V at ADDRESS
 */

        .set    STAGE_SECTORS, 16
        .set    IMAGE_SIZE, 1440 * 1024

        .set    E820, 0x5000
        .set    E820_MAX, 64
        .set    IDT, 0x5800
        .set    IDT_ENTRIES, 48
        .set    RANGES, 0x6000
        .set    RANGES_MAX, 192
        .set    STACK, 0x7c00
        .set    TABLES, 0x10000
        .set    TABLE_PAGES, 66                 # PML4, PDPT, 64 page directories of 1 GiB
        .set    RAM_FIRST, 0x100000
        .set    RAM_LIMIT, 64 << 30

        .set    MAGIC, 0x454741504d454d47       # "GMEMPAGE"

        .set    COM1, 0x3f8
        .set    TICKS, 5                        # of 1/18.2 s: what PIT channel 0 counts to 65536 in
        .set    PM_BASE, 0x600                  # where SeaBIOS puts ACPI's PM1 block, pc and q35
        .set    PCI_CONFIG, 0xcf8
        .set    FW_CFG, 0x510
        .set    FW_CFG_FILES, 0x19              # the list of its files
        .set    FW_CFG_DATA, 0xa000             # where one is read to
        .set    FW_CFG_MAX, 0x4000
        .set    APIC, 0xfee00000
        .set    DIMM_BASE, 0xa00                # QEMU's memory hotplug registers, pc and q35
        .set    DIMM_SLOTS, 256

        .text
        .code16
        .globl  start
.ifdef ROM
        # The image begins with the stage, which runs where the boot sector would have put it.
start:
.else
start:
        ljmp    $0, $1f
1:      cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $STACK, %sp
        sti
        cld
        mov     %dl, drive

        # A floppy controller may require a second try after reset.
        mov     $3, %di
read:   mov     $0x0200 + STAGE_SECTORS, %ax
        mov     $stage, %bx
        mov     $0x0002, %cx
        mov     drive, %dl
        xor     %dh, %dh
        int     $0x13
        jnc     stage
        xor     %ax, %ax
        mov     drive, %dl
        int     $0x13
        dec     %di
        jnz     read
        mov     $no_stage, %si
1:      lodsb
        test    %al, %al
        jz      2f
        mov     $0x0e, %ah
        xor     %bx, %bx
        int     $0x10
        jmp     1b
2:      hlt
        jmp     2b

drive:  .byte   0
no_stage:
        .asciz  "gmem-guest: the boot disk cannot be read\r\n"

        .org    510
        .byte   0x55, 0xaa
.endif

        # ---- second stage ----
stage:
.ifndef ROM
        mov     $0x2401, %ax                    # A20 on; SeaBIOS has it on already
        int     $0x15

        xor     %ebx, %ebx
        mov     $E820, %di
        xor     %bp, %bp
1:      mov     $0xe820, %eax
        mov     $24, %ecx
        mov     $0x534d4150, %edx               # "SMAP"
        int     $0x15
        jc      2f
        cmp     $0x534d4150, %eax
        jne     2f
        add     $24, %di
        inc     %bp
        cmp     $E820_MAX, %bp
        je      2f
        test    %ebx, %ebx
        jnz     1b
2:      mov     %bp, e820_count
.endif

        cli
        lgdt    gdt_pointer
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmp    $0x08, $protected

        .code32
protected:
        mov     $0x10, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss

        mov     $TABLES, %edi
        xor     %eax, %eax
        mov     $2 * 1024, %ecx
        cld
        rep stosl
        movl    $TABLES + 0x1003, TABLES        # present and writable
        movl    $TABLES + 0x2003, TABLES + 0x1000

        mov     $0x83, %eax                     # 2 MiB pages, present and writable
        mov     $TABLES + 0x2000, %edi          # the first of 1 GiB; map_ram makes the others
1:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $0x200000, %eax
        add     $8, %edi
        cmp     $0x40000083, %eax
        jb      1b

        mov     %cr4, %eax
        or      $0x20, %eax                     # PAE
        mov     %eax, %cr4
        mov     $TABLES, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx               # EFER
        rdmsr
        or      $0x100, %eax                    # LME
        wrmsr
        mov     %cr0, %eax
        or      $0x80000000, %eax               # PG
        mov     %eax, %cr0
        ljmp    $0x18, $long_mode

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff              # 0x08: 32-bit code
        .quad   0x00cf93000000ffff              # 0x10: data
        .quad   0x00af9b000000ffff              # 0x18: 64-bit code
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt

        .code64
long_mode:
        mov     $STACK, %rsp
        call    serial_init
.ifdef ROM
        call    acpi_init
        mov     $APIC, %rax
        call    map_gib
        call    apic_init
        call    read_e820
.endif
        call    interrupts_init
        call    power_button_init
        call    find_ranges
        call    map_ram

        mov     $text_own, %rsi
        call    puts
        mov     $RAM_FIRST, %eax
        call    put_hex
        call    put_end

        mov     $write_range, %rbx
        call    walk
        mov     $text_found, %rsi
        call    puts
        mov     %r15, %rax
        call    put_decimal
        mov     $text_found_end, %rsi
        call    puts
        mov     $text_wrote, %rsi
        call    puts
        mov     %r14, %rax
        call    put_decimal
        mov     $text_pages, %rsi
        call    puts

        xor     %r12, %r12                      # number of the pass
pass:   inc     %r12
        mov     $check_range, %rbx
        call    walk
        mov     $text_pass, %rsi
        call    puts
        mov     %r12, %rax
        call    put_decimal
        test    %r15, %r15
        jnz     1f
        mov     $text_ok, %rsi
        call    puts
        mov     %r14, %rax
        call    put_decimal
        mov     $text_pages, %rsi
        call    puts
        jmp     2f
1:      mov     $text_bad, %rsi
        call    puts
        mov     %r15, %rax
        call    put_hex
        call    put_end
2:      call    sleep
        jmp     pass

        # walk: calls %rbx for every range of RAM with its first page in %rdi, that one's address
        # inverted in %rsi, its end in %r11 and the magic in %rax; the pages are added up in %r14, and
        # %r15 is the callee's own. Hypervisors without hardware help emulate every instruction
        # here: the loops over pages are as short as they can be.
walk:   xor     %r14, %r14
        xor     %r15, %r15
        mov     $MAGIC, %rax
        mov     $RANGES, %r8
        mov     range_count, %r9d
1:      test    %r9d, %r9d
        jz      2f
        mov     (%r8), %rdi
        mov     8(%r8), %r11
        mov     %r11, %rcx
        sub     %rdi, %rcx
        shr     $12, %rcx
        add     %rcx, %r14
        mov     %rdi, %rsi
        not     %rsi
        call    *%rbx
        add     $16, %r8
        dec     %r9d
        jmp     1b
2:      ret

        # write_range: counts in %r15 the pages that have the pattern already.
write_range:
        cmp     %rax, (%rdi)
        je      2f
1:      mov     %rax, (%rdi)
        mov     %rdi, 8(%rdi)
        mov     %rsi, 4088(%rdi)
        sub     $4096, %rsi
        add     $4096, %rdi
        cmp     %r11, %rdi
        jb      write_range
        ret
2:      cmp     %rdi, 8(%rdi)
        jne     1b
        cmp     %rsi, 4088(%rdi)
        jne     1b
        inc     %r15
        jmp     1b

        # check_range: %r15 becomes the first page that does not have the pattern.
check_range:
        cmp     %rax, (%rdi)
        jne     1f
        cmp     %rdi, 8(%rdi)
        jne     1f
        cmp     %rsi, 4088(%rdi)
        jne     1f
        sub     $4096, %rsi
        add     $4096, %rdi
        cmp     %r11, %rdi
        jb      check_range
        ret
1:      test    %r15, %r15
        cmovz   %rdi, %r15
        ret

        # find_ranges: prints the E820 map and the DIMMs and notes the RAM in them.
find_ranges:
        mov     $E820, %r8
        movzwl  e820_count, %r9d
1:      test    %r9d, %r9d
        jz      dimms
        mov     $text_e820, %rsi
        mov     (%r8), %r10
        mov     8(%r8), %r11
        add     %r10, %r11
        call    put_range
        mov     $text_reserved, %rsi
        cmpl    $1, 16(%r8)
        jne     2f
        call    add_range
        mov     $text_usable, %rsi
2:      call    puts
        add     $24, %r8
        dec     %r9d
        jmp     1b

        # A slot that does not exist reads as zeros, a device that does not exist as ones.
dimms:  xor     %r9d, %r9d
1:      mov     $DIMM_BASE, %dx
        mov     %r9d, %eax
        outl    %eax, %dx
        mov     $DIMM_BASE + 0x14, %dx
        inb     %dx, %al
        cmp     $0xff, %al
        je      3f
        test    $1, %al                         # enabled
        jz      2f
        mov     $DIMM_BASE, %dx
        call    in_quad
        mov     %rax, %r10
        mov     $DIMM_BASE + 8, %dx
        call    in_quad
        lea     (%r10, %rax), %r11
        mov     $text_dimm, %rsi
        call    put_range
        call    put_end
        call    add_range
2:      inc     %r9d
        cmp     $DIMM_SLOTS, %r9d
        jb      1b
3:      ret

in_quad:
        inl     %dx, %eax
        mov     %eax, %ecx
        add     $4, %dx
        inl     %dx, %eax
        shl     $32, %rax
        or      %rcx, %rax
        ret

        # add_range: notes the whole pages of %r10 … %r11 that lie between RAM_FIRST and RAM_LIMIT.
add_range:
        add     $4095, %r10
        and     $-4096, %r10
        and     $-4096, %r11
        mov     $RAM_FIRST, %eax
        cmp     %rax, %r10
        cmovb   %rax, %r10
        mov     $RAM_LIMIT, %rax
        cmp     %rax, %r11
        cmova   %rax, %r11
        cmp     %r11, %r10
        jae     1f
        mov     range_count, %eax
        cmp     $RANGES_MAX, %eax
        jae     1f
        shl     $4, %eax
        mov     %r10, RANGES(%rax)
        mov     %r11, RANGES + 8(%rax)
        incl    range_count
1:      ret

        # map_ram: page directories for all that was noted.
map_ram:
        mov     $RANGES, %r8
        mov     range_count, %r9d
1:      test    %r9d, %r9d
        jz      3f
        mov     (%r8), %r10
2:      mov     %r10, %rax
        call    map_gib
        and     $-0x40000000, %r10
        add     $0x40000000, %r10
        cmp     8(%r8), %r10
        jb      2b
        add     $16, %r8
        dec     %r9d
        jmp     1b
3:      ret

        # map_gib: the page directory of the 1 GiB that %rax lies in.
map_gib:
        shr     $30, %rax
        lea     TABLES + 0x1000(, %rax, 8), %rbx
        cmpq    $0, (%rbx)
        jne     2f
        mov     %rax, %rdi
        shl     $12, %rdi
        add     $TABLES + 0x2000, %rdi
        lea     3(%rdi), %rdx
        mov     %rdx, (%rbx)
        shl     $30, %rax
        or      $0x83, %rax
        mov     $512, %ecx
1:      stosq
        add     $0x200000, %rax
        loop    1b
2:      ret

        # put_range: %rsi, then %r10 and %r11 in hexadecimal.
put_range:
        call    puts
        mov     %r10, %rax
        call    put_hex
        mov     $' ', %al
        call    putc
        mov     %r11, %rax
        jmp     put_hex

.ifdef ROM
        # ---- what a BIOS would have done ----

        # acpi_init: the PM1 block to PM_BASE, in the PIIX4 (pc) or the ICH9 (q35).
acpi_init:
        mov     $0x80000b00, %eax               # 00:01.3
        call    pci_read
        cmp     $0x71138086, %eax
        jne     1f
        mov     $0x80000b40, %eax               # PMBA
        mov     $PM_BASE | 1, %ecx
        call    pci_write
        mov     $0x80000b80, %eax               # PMREGMISC: I/O space on
        mov     $1, %ecx
        jmp     pci_write
1:      mov     $0x8000f800, %eax               # 00:1f.0
        call    pci_read
        cmp     $0x29188086, %eax
        jne     2f
        mov     $0x8000f840, %eax               # PMBASE
        mov     $PM_BASE | 1, %ecx
        call    pci_write
        mov     $0x8000f844, %eax               # ACPI_CNTL: on
        mov     $0x80, %ecx
        jmp     pci_write
2:      ret

pci_read:
        mov     $PCI_CONFIG, %dx
        outl    %eax, %dx
        add     $4, %dx
        inl     %dx, %eax
        ret

pci_write:
        mov     $PCI_CONFIG, %dx
        outl    %eax, %dx
        add     $4, %dx
        mov     %ecx, %eax
        outl    %eax, %dx
        ret

        # apic_init: the PIC's interrupts pass through the processor's own controller.
apic_init:
        mov     $APIC, %edi
        movl    $0x1ff, 0xf0(%rdi)
        movl    $0x700, 0x350(%rdi)             # LINT0
        ret

        # read_e820: QEMU's map knows nothing of the hole between 640 KiB and 1 MiB.
read_e820:
        mov     $FW_CFG_FILES, %ax
        mov     $4, %ecx
        call    fw_cfg_read
        mov     FW_CFG_DATA, %r9d
        bswap   %r9d
        imul    $64, %r9d, %ecx
        cmp     $FW_CFG_MAX, %ecx
        ja      4f
        call    fw_cfg_more
        mov     $FW_CFG_DATA, %ebx
        mov     $0x303238652f637465, %rax       # "etc/e820"
1:      test    %r9d, %r9d
        jz      4f
        cmp     %rax, 8(%rbx)
        jne     2f
        cmpb    $0, 16(%rbx)
        je      3f
2:      add     $64, %ebx
        dec     %r9d
        jmp     1b
3:      mov     (%rbx), %ecx
        bswap   %ecx
        cmp     $FW_CFG_MAX, %ecx
        ja      4f
        mov     %ecx, %r9d
        mov     4(%rbx), %ax
        xchg    %al, %ah
        call    fw_cfg_read

        mov     $FW_CFG_DATA, %ebx
        mov     $E820, %edi
        xor     %r8d, %r8d
5:      sub     $20, %r9d
        jb      7f
        cmp     $E820_MAX, %r8d
        jae     7f
        mov     (%rbx), %rax
        mov     8(%rbx), %rcx
        mov     16(%rbx), %edx
        test    %rax, %rax
        jnz     6f
        cmp     $RAM_FIRST, %rcx
        jbe     6f
        mov     %rax, (%rdi)
        movq    $0xa0000, 8(%rdi)
        mov     %edx, 16(%rdi)
        add     $24, %edi
        inc     %r8d
        mov     $RAM_FIRST, %eax
        sub     %rax, %rcx
6:      mov     %rax, (%rdi)
        mov     %rcx, 8(%rdi)
        mov     %edx, 16(%rdi)
        add     $24, %edi
        inc     %r8d
        add     $20, %ebx
        jmp     5b
7:      mov     %r8w, e820_count
4:      ret

        # fw_cfg_read: %ecx bytes of item %ax to FW_CFG_DATA; fw_cfg_more: and what follows them.
fw_cfg_read:
        mov     $FW_CFG, %dx
        outw    %ax, %dx
fw_cfg_more:
        mov     $FW_CFG + 1, %dx
        mov     $FW_CFG_DATA, %edi
        rep insb
        ret
.endif

        # ---- serial port ----
serial_init:
        mov     $COM1 + 1, %dx                  # no interrupts
        xor     %al, %al
        outb    %al, %dx
        mov     $COM1 + 3, %dx                  # divisor latch
        mov     $0x80, %al
        outb    %al, %dx
        mov     $COM1, %dx
        mov     $1, %al
        outb    %al, %dx
        mov     $COM1 + 1, %dx
        xor     %al, %al
        outb    %al, %dx
        mov     $COM1 + 3, %dx                  # 8n1
        mov     $0x03, %al
        outb    %al, %dx
        mov     $COM1 + 2, %dx                  # FIFOs on, empty
        mov     $0x07, %al
        outb    %al, %dx
        mov     $COM1 + 4, %dx                  # DTR, RTS
        mov     $0x03, %al
        outb    %al, %dx
        ret

putc:   push    %rdx
        push    %rax
        mov     $COM1 + 5, %dx
1:      inb     %dx, %al
        test    $0x20, %al                      # transmitter empty
        jnz     2f
        pause
        jmp     1b
2:      pop     %rax
        mov     $COM1, %dx
        outb    %al, %dx
        pop     %rdx
        ret

puts:   lodsb
        test    %al, %al
        jz      1f
        call    putc
        jmp     puts
1:      ret

put_end:
        mov     $text_end, %rsi
        jmp     puts

put_hex:
        push    %rax
        mov     $'0', %al
        call    putc
        mov     $'x', %al
        call    putc
        pop     %rdx
        mov     $16, %ecx
1:      rol     $4, %rdx
        mov     %dl, %al
        and     $0x0f, %al
        add     $'0', %al
        cmp     $'9', %al
        jbe     2f
        add     $'a' - '0' - 10, %al
2:      call    putc
        loop    1b
        ret

put_decimal:
        xor     %ecx, %ecx
        mov     $10, %edi
1:      xor     %edx, %edx
        div     %rdi
        push    %rdx
        inc     %ecx
        test    %rax, %rax
        jnz     1b
2:      pop     %rax
        add     $'0', %al
        call    putc
        loop    2b
        ret

        # ---- interrupts: the PIT's, to sleep with; nothing else is let through ----
interrupts_init:
        mov     $IDT, %rdi
        mov     $exceptions, %rax
        mov     $32, %ecx
1:      call    set_gate
        add     $EXCEPTION_SIZE, %rax
        loop    1b
        mov     $timer, %rax
        call    set_gate
        mov     $spurious, %rax
        mov     $IDT_ENTRIES - 33, %ecx
1:      call    set_gate
        loop    1b
        lidt    idt_pointer

        mov     $0x11, %al                      # both PICs: vectors 0x20 and 0x28 up
        outb    %al, $0x20
        outb    %al, $0xa0
        mov     $0x20, %al
        outb    %al, $0x21
        mov     $0x28, %al
        outb    %al, $0xa1
        mov     $0x04, %al
        outb    %al, $0x21
        mov     $0x02, %al
        outb    %al, $0xa1
        mov     $0x01, %al
        outb    %al, $0x21
        outb    %al, $0xa1
        mov     $0xfe, %al                      # the timer alone
        outb    %al, $0x21
        mov     $0xff, %al
        outb    %al, $0xa1

        mov     $0x34, %al                      # PIT channel 0, rate generator
        outb    %al, $0x43
        xor     %al, %al
        outb    %al, $0x40
        outb    %al, $0x40

        # On for good: KVM delivers the ticks that were held back later, and there would be no sleep.
        sti
        ret

set_gate:
        mov     %ax, (%rdi)
        movw    $0x18, 2(%rdi)
        movw    $0x8e00, 4(%rdi)
        movw    $0, 6(%rdi)                     # all code lies below 64 KiB
        movq    $0, 8(%rdi)
        add     $16, %rdi
        ret

sleep:  movl    $0, ticks
1:      hlt
        call    power_button
        cmpl    $TICKS, ticks
        jb      1b
        ret

timer:  push    %rax
        incl    ticks
        mov     $0x20, %al
        outb    %al, $0x20
        pop     %rax
spurious:
        iretq

        # QEMU raises the status bit only where the enable bit is set.
power_button_init:
        mov     $PM_BASE + 2, %dx
        mov     $0x100, %ax
        outw    %ax, %dx
        ret

power_button:
        mov     $PM_BASE, %dx
        inw     %dx, %ax
        cmp     $0xffff, %ax                    # no ACPI in this machine
        je      1f
        test    $0x100, %ax
        jz      1f
        mov     $0x100, %ax                     # seen
        outw    %ax, %dx
        mov     $text_off, %rsi
        call    puts
        mov     $PM_BASE + 4, %dx
        mov     $0x2000, %ax                    # SLP_EN; type 0 is S5 in QEMU
        outw    %ax, %dx
1:      ret

exceptions:
        .set    vector, 0
        .rept   32
        .balign 8
        pushq   $vector
        jmp     exception
        .set    vector, vector + 1
        .endr
        .balign 8
        .set    EXCEPTION_SIZE, (. - exceptions) / 32

exception:
        mov     $text_exception, %rsi
        call    puts
        pop     %rax
        call    put_decimal
        mov     $text_at, %rsi
        call    puts
        mov     %cr2, %rax
        call    put_hex
        call    put_end
1:      cli
        hlt
        jmp     1b

idt_pointer:
        .word   IDT_ENTRIES * 16 - 1
        .quad   IDT

        .balign 4
range_count:
        .long   0
ticks:  .long   0
e820_count:
        .word   0

text_e820:
        .asciz  "gmem-guest: e820 "
text_usable:
        .asciz  " usable\r\n"
text_reserved:
        .asciz  " reserved\r\n"
text_dimm:
        .asciz  "gmem-guest: dimm "
text_own:
        .asciz  "gmem-guest: own pages are below "
text_found:
        .asciz  "gmem-guest: boot found "
text_found_end:
        .asciz  " pages with the pattern\r\n"
text_wrote:
        .asciz  "gmem-guest: wrote "
text_pages:
        .asciz  " pages\r\n"
text_pass:
        .asciz  "gmem-guest: pass "
text_ok:
        .asciz  " ok "
text_bad:
        .asciz  " BAD at "
text_off:
        .asciz  "gmem-guest: power button, off\r\n"
text_exception:
        .asciz  "gmem-guest: stopped by exception "
text_at:
        .asciz  " at "
text_end:
        .asciz  "\r\n"

        .org    stage + STAGE_SECTORS * 512     # fails where the second stage is larger
.ifdef ROM
        .org    0xff00
        .code16
from_reset:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        xor     %ax, %ax
        mov     %ax, %es
        xor     %si, %si
        mov     $stage, %di
        mov     $STAGE_SECTORS * 128, %cx
        rep movsl
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $STACK, %sp
        ljmp    $0, $stage

        .org    0xfff0
        ljmp    $0xf000, $0xff00
        .org    0x10000
.else
        .org    IMAGE_SIZE
.endif

        .section .note.GNU-stack, "", @progbits
