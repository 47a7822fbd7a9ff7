; SPDX-License-Identifier: MIT
; tests/guest/raw64.asm - a raw binary entered in 64-bit mode: long mode active, memory identity-mapped, also
; between 3 and 4 GiB, a stack that works. Ends with code 0x15.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"

main:
        mov ecx, 0xc0000080    ; EFER
        rdmsr
        and eax, 0x500         ; LME, LMA
        cmp eax, 0x500
        jne .wrong
        mov rax, 0x123456789abcdef0
        push rax
        pop rbx
        cmp rax, rbx
        jne .wrong
        mov ebx, 0xd0000000    ; nothing is there: a fault if it is not mapped
        mov eax, [rbx]
        mov esi, .text
        call print
        mov al, 0x15
        jmp finish
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "raw64: long mode", 10, 0
