; SPDX-License-Identifier: MIT
; tests/guest/debugcon.asm - finds the debug port 0xE9 and prints through it. Ends with code 0.
%include "lib.inc"

main:
        in al, 0xe9
        cmp al, 0xe9
        jne .wrong
        mov esi, .text
        mov ecx, .text_end - .text
        mov dx, 0xe9
        rep outsb
        xor eax, eax
        jmp finish
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "debugcon: hello", 10
.text_end:
