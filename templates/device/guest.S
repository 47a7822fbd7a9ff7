/* The guest of machine.ini: lets the ticker tick, waits for three numbers in its memory, says so on
 * the first serial port, and powers the machine off by ACPI. It begins in 64-bit mode. */
        .set    BASE, 0xfe000000
        .globl _start
_start: mov     $BASE, %ebx
        cmpl    $0x4b434954, (%rbx)     /* ID */
        jne     stop
        lea     count(%rip), %rax
        mov     %eax, 0x10(%rbx)        /* TARGET */
        movl    $100, 0x04(%rbx)        /* PERIOD: 100 us */
        movl    $1, 0x08(%rbx)          /* CONTROL: RUN */
wait:   pause
        cmpl    $3, count(%rip)
        jb      wait
        testl   $1, 0x0c(%rbx)          /* STATUS: it ticked */
        jz      stop
        lea     text(%rip), %rsi
        mov     $text_end - text, %ecx
        mov     $0x3f8, %edx            /* COM1's transmitter */
        rep outsb
stop:   mov     $0x604, %edx            /* ACPI's PM1a control register */
        mov     $0x2000, %eax           /* SLP_EN, type 0: soft-off */
        out     %ax, %dx
        hlt
text:   .ascii  "three ticks\n"
text_end:
        .balign 4
count:  .long   0
