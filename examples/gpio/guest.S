/* SPDX-License-Identifier: MIT
 *
 * The guest of configs/third-party.ini, in 16-bit real mode: blinks lights 0 and 1, reads them back,
 * lets light 2 interrupt, and puts on light 3. Then it sleeps until somebody flips switch 5, and powers
 * the machine off. Light 31 instead says that something is not as it should be.
 */
        .code16
        .set    DIRECTION, 0x04
        .set    OUTPUT, 0x08
        .set    SET, 0x0c
        .set    CLEAR, 0x10
        .set    INPUT, 0x14
        .set    RISING, 0x18
        .set    MASK, 0x20
        .set    PENDING, 0x24

        .globl  _start
_start: cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $0x7c00, %sp
        mov     $0xd000, %ax            /* the registers, at 0xd0000, are at %es:0 from here on */
        mov     %ax, %es
        movw    $interrupt, 0x25 * 4    /* vector 0x25: its offset, and segment 0 */
        movw    $0, 0x25 * 4 + 2

        mov     $0x11, %al              /* the first 8259A: ICW1, edges, cascaded, ICW4 follows */
        out     %al, $0x20
        mov     $0x20, %al              /* ICW2: line n is vector 0x20 + n */
        out     %al, $0x21
        mov     $4, %al                 /* ICW3: the second one is on line 2 */
        out     %al, $0x21
        mov     $1, %al                 /* ICW4: 8086 mode */
        out     %al, $0x21
        mov     $0xdf, %al              /* OCW1: line 5 alone */
        out     %al, $0x21

        cmpl    $0x50474250, %es:0      /* ID */
        jne     failed
        movl    $0x8000000f, %es:DIRECTION
        movl    $3, %es:SET             /* "0 on", "1 on" */
        cmpl    $3, %es:INPUT
        jne     failed
        movl    $1, %es:CLEAR           /* "0 off" */
        cmpl    $2, %es:OUTPUT
        jne     failed
        movl    $0, %es:OUTPUT          /* "1 off" */

        movl    $0x24, %es:RISING       /* lines 2 and 5 */
        movl    $0x24, %es:MASK
        movl    $4, %es:SET             /* "2 on": an edge */
        call    sleep
        cmpl    $4, taken
        jne     failed
        movl    $8, %es:SET             /* "3 on": ready */
        call    sleep
        cmpl    $0x20, taken
        jne     failed
        mov     $0x604, %dx             /* ACPI's PM1a control register */
        mov     $0x2000, %ax            /* SLP_EN, type 0: soft-off */
        out     %ax, %dx
halt:   cli
        hlt
        jmp     halt

failed: movl    $0x80000000, %es:SET
        jmp     halt

/* Returns after an interrupt, which may have come already. */
sleep:  cli
        cmpw    $0, count
        jne     1f
        sti                             /* takes effect behind the next instruction */
        hlt
        jmp     sleep
1:      movw    $0, count
        ret

interrupt:
        push    %eax
        mov     %es:PENDING, %eax
        mov     %eax, %es:PENDING       /* a 1 clears */
        mov     %eax, taken
        incw    count
        mov     $0x20, %al              /* end of interrupt */
        out     %al, $0x20
        pop     %eax
        iret

        .balign 4
taken:  .long   0
count:  .word   0
