; SPDX-License-Identifier: MIT
; tests/isa/ferr.asm - x87 errors with CR0.NE = 0, as on a PC/AT (Intel SDM 1, 8.7.2 and appendix D): the next waiting
; instruction asserts FERR#, which is IRQ 13, and stands still until an interrupt comes; a write to port 0xF0 ends the IRQ
; and asserts IGNNE# for as long as there is an error. KVM does none of it: the guest is for cpu-interp.
%include "isa.inc"

NE      equ 0x20
PIC1    equ 0x20
PIC2    equ 0xa0
PIT     equ 0x40

%macro OUTB 2
        mov al, %2
        out %1, al
%endmacro
; An error that nobody has heard of yet: 1 / 0.
%macro DIVIDE 0
        fninit
        fldcw [unmasked]
        fld1
        fldz
        fdivp
%endmacro
; Interrupts on, for one instruction: which must be the one that is interrupted.
%macro WAITING 2+
        SAY %1
        call reset_counts
        mov dword [case_ip], %%at
        sti
%%at:   %2
        cli
        call told
%endmacro

main:
        OUTB PIC1, 0x11                ; vectors 0x20 and 0x28; the second one at input 2
        OUTB PIC2, 0x11
        OUTB PIC1 + 1, 0x20
        OUTB PIC2 + 1, 0x28
        OUTB PIC1 + 1, 4
        OUTB PIC2 + 1, 2
        OUTB PIC1 + 1, 1
        OUTB PIC2 + 1, 1
        OUTB PIC1 + 1, 0xfb            ; all but the cascade masked
        OUTB PIC2 + 1, 0xdf            ; all but IRQ 13
        GATE 0x2d, on_error, 0x8e00
        GATE 0x20, on_tick, 0x8e00
        OUTB PIT + 3, 0x34             ; 1 kHz
        OUTB PIT, 0xa9
        OUTB PIT, 0x04

        fninit
        fldcw [unmasked]
        fld1
        fldz
        fdivp
        TRY "NE=1, FWAIT", fwait
        fnclex
        mov eax, cr0
        and eax, ~NE
        mov cr0, eax

        SAY "NE=0, instructions that do not wait:"
        call reset_counts
        DIVIDE
        sti
        fnstsw [saved]
        fnstcw [saved]
        nop
        cli
        fnclex
        call told

        DIVIDE
        WAITING "FWAIT:", fwait
        DIVIDE
        WAITING "FLD1:", fld1
        DIVIDE
        WAITING "MOVD of MMX:", movd mm0, eax
        emms
        DIVIDE
        WAITING "FLDCW:", fldcw [unmasked]

        mov byte [clears], 0
        DIVIDE
        WAITING "the handler writes 0xF0, and leaves the error:", fwait
        WAITING "so it is ignored:", fld1
        fnstsw ax
        and eax, 0x80
        SAY "and still there:"
        SHOW eax
        call line
        fnclex
        mov byte [clears], 1
        DIVIDE
        WAITING "another error, after FNCLEX:", fwait

        mov byte [clears], 0
        DIVIDE
        WAITING "once more left:", fwait
        fninit
        SAY "FNINIT, and 0xF0 without an error:"
        OUTB 0xf0, 0
        call reset_counts
        call told
        mov byte [clears], 1
        DIVIDE
        WAITING "is no IGNNE#:", fwait

; IRQ 13 is masked at first: ticks find the processor before the same instruction, and the third unmasks it.
        OUTB PIC2 + 1, 0xff
        OUTB PIC1 + 1, 0xfa
        DIVIDE
        WAITING "FWAIT, for the third tick:", fwait
        SAY "ticks, and those elsewhere:"
        SHOW dword [ticks]
        SHOW dword [elsewhere]
        call line

        DIVIDE
        mov eax, cr0
        or eax, NE
        mov cr0, eax
        sti
        nop
        TRY "NE=1 again, FWAIT", fwait
        fnclex
        mov al, 0
        jmp finish

reset_counts:
        mov dword [errors], 0
        mov dword [ticks], 0
        mov dword [elsewhere], 0
        ret

; " interrupts", and if there were any, how far from the instruction and whether ES was set.
told:
        SHOW dword [errors]
        cmp dword [errors], 0
        je .line
        SAY " at"
        mov eax, [got_ip]
        sub eax, [case_ip]
        call show_value
        SAY " ES"
        mov eax, [saved]
        and eax, 0x80
        call show_value
.line:  jmp line

on_error:
        push eax
        mov eax, [esp + 4]
        mov [got_ip], eax
        inc dword [errors]
        fnstsw [saved]
        out 0xf0, al
        fldcw [unmasked]               ; waits, and with IGNNE# does not care
        cmp byte [clears], 0
        je .left
        fnclex
.left:  OUTB PIC2, 0x20
        OUTB PIC1, 0x20
        pop eax
        iret

on_tick:
        push eax
        mov eax, [esp + 4]
        cmp eax, [case_ip]
        je .here
        inc dword [elsewhere]
.here:  inc dword [ticks]
        cmp dword [ticks], 3
        jb .end
        OUTB PIC1 + 1, 0xfb            ; and no more ticks
        OUTB PIC2 + 1, 0xdf
.end:   OUTB PIC1, 0x20
        pop eax
        iret

        align 4
errors:    dd 0
ticks:     dd 0
elsewhere: dd 0
saved:     dd 0
unmasked:  dw 0x37b                    ; ZM = 0
clears:    db 1
