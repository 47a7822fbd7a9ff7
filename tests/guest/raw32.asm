; SPDX-License-Identifier: MIT
; tests/guest/raw32.asm - a raw binary entered in 32-bit mode: protection on, paging off, interrupts off,
; flat segments, a stack that works. Ends with code 0x11.
%include "lib.inc"

main:
        mov eax, cr0
        and eax, 0x80000001
        cmp eax, 1
        jne .wrong
        pushfd
        pop eax
        test eax, 0x200
        jnz .wrong
        mov eax, [es:guest_start]
        cmp eax, [cs:guest_start]
        jne .wrong
        mov esi, .text
        call print
        mov al, 0x11
        jmp finish
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "raw32: protected mode", 10, 0
