; SPDX-License-Identifier: MIT
; tests/isa/triple.asm - a fault whose handler is not there, nor that of #DF (Intel SDM 3A, 6.15; bad_80, bad_81): the
; machine's end is that of a triple fault.
%define ISA64
%include "isa.inc"

main:
        SAY {"bad_80 the IDT's limit is 0", 10}
        lidt [.none]
        ud2
        SAY {"not reached", 10}
        mov al, 1
        jmp finish
.none:  dw 0
        dq IDT_AT
