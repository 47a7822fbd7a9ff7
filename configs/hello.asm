; SPDX-License-Identifier: MIT
; The smallest guest: says hello on COM1 and powers the machine off by ACPI.
; nasm -f bin -o configs/hello.bin configs/hello.asm && backplane run configs/hello.ini
        org 0x7c00             ; where hello.ini loads it, in real mode
        mov si, text
        mov cx, text_length
        mov dx, 0x3f8          ; COM1's transmitter
        rep outsb
        mov dx, 0x604          ; ACPI's PM1a control register
        mov ax, 0x2000         ; SLP_EN, type 0: soft-off
        out dx, ax
        hlt
text:   db "Hello from Backplane", 13, 10
text_length equ $ - text
