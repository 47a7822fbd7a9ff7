; SPDX-License-Identifier: MIT
; tests/guest/smp32.asm - starts every application processor by INIT and SIPI through the local APIC's
; registers (Intel SDM 3A, 8.4.4.1); each counts itself under LOCK and halts. Prints the number of processors:
; waits for CPUS (given to the assembler), but not for ever.
%define ORIGIN 0x10000
%include "lib.inc"

%ifndef CPUS
%define CPUS 3
%endif

APIC     equ 0xfee00000
APIC_SVR equ APIC + 0xf0
APIC_ICR equ APIC + 0x300

main:
        mov dword [APIC_SVR], 0x1ff      ; software-enabled, spurious vector 0xff
        mov dword [APIC_ICR], 0xc4500    ; INIT, to all but self
        mov ecx, 200
        call delay
        mov dword [APIC_ICR], 0xc4600 + (ap_start >> 12)
        mov ecx, 200
        call delay
        mov dword [APIC_ICR], 0xc4600 + (ap_start >> 12)
        mov ecx, 2000000
.wait:
        cmp dword [processors], CPUS
        jae .all
        push ecx
        mov ecx, 1
        call delay
        pop ecx
        loop .wait
.all:
        mov esi, .text
        call print
        mov eax, [processors]
        call print_decimal
        mov esi, .newline
        call print
        jmp power_off
.text:    db "smp32: processors: ", 0
.newline: db 10, 0

; About ecx microseconds on a PC, more here.
delay:
        in al, 0x80
        loop delay
        ret

; In real mode, CS:IP = 0x1100:0. The counter is in the same segment.
        align 4096
ap_start equ 0x11000
        bits 16
ap_code:
        lock inc dword [cs:processors - ap_start]
.halt:
        cli
        hlt
        jmp .halt
        align 4
processors: dd 1
