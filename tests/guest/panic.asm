; SPDX-License-Identifier: MIT
; tests/guest/panic.asm - finds the panic port and says that it panicked.
%include "lib.inc"

main:
        mov dx, 0x505
        in al, dx
        and al, 3
        cmp al, 3
        jne .wrong
        mov esi, .text
        call print
        mov dx, 0x505
        mov al, 1
        out dx, al
        jmp halt
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "panic: now", 10, 0
