; SPDX-License-Identifier: MIT
; tests/guest/mmio_console.asm - prints by byte writes to the MMIO console at 0x9000000, which lies within RAM.
; The page after it must be RAM. Powers off.
%include "lib.inc"

CONSOLE equ 0x9000000

main:
        mov dword [CONSOLE + 0x1000], 0x600d
        cmp dword [CONSOLE + 0x1000], 0x600d
        jne .wrong
        mov esi, .text
.next:
        lodsb
        test al, al
        jz power_off
        mov [CONSOLE], al
        jmp .next
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "mmio-console: hello", 10, 0
