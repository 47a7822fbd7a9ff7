; SPDX-License-Identifier: MIT
;
; Two lines as a kernel's, with times before them, to the serial port; then power off.
bits 16
org 0x7c00
    mov si, text
    mov cx, text_end - text
    mov dx, 0x3f8
    rep outsb
    mov dx, 0x604
    mov ax, 0x2000
    out dx, ax
    hlt

times 0x40 - ($ - $$) db 0
text:                           ; at 0x7c40
    db "[    0.100000] first", 10
    db "[    0.200000] second", 10
text_end:
