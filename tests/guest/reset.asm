; SPDX-License-Identifier: MIT
; tests/guest/reset.asm - boots twice: the first time marks a byte of CMOS RAM, which a reset keeps, and resets
; the machine, by 0xCF9 or, as assembled with TRIPLE_FAULT, by a fault that no handler takes; the second time
; powers off. A byte of its own image shows that the image was loaded again.
%include "lib.inc"

CMOS_MARK equ 0x7e

main:
        mov al, CMOS_MARK
        out 0x70, al
        in al, 0x71
        cmp al, 0x5a
        je .second
        mov al, CMOS_MARK
        out 0x70, al
        mov al, 0x5a
        out 0x71, al
        mov byte [image_mark], 1
        mov esi, .first_text
        call print
%ifdef TRIPLE_FAULT
        lidt [.no_idt]
        xor ecx, ecx
        div ecx
%else
        mov dx, 0xcf9
        mov al, 2
        out dx, al
        mov al, 6
        out dx, al
%endif
        jmp halt
.second:
        cmp byte [image_mark], 0
        jne .wrong
        mov al, CMOS_MARK
        out 0x70, al
        xor eax, eax
        out 0x71, al
        mov esi, .second_text
        call print
        jmp power_off
.wrong:
        mov al, 0x7f
        jmp finish
.first_text:  db "reset: first boot", 10, 0
.second_text: db "reset: second boot", 10, 0
.no_idt: dw 0
        dd 0
image_mark: db 0
