; SPDX-License-Identifier: MIT
; tests/guest/scratch.asm - drives the example device dev-scratch: its registers, its result by DMA, its
; interrupt flag; then the accesses that devices do not expect: 8 bytes and unaligned to a device of 4-byte
; registers, over the end of its page, by a string instruction, and locked. Ends with code 0, or the number of
; the check that failed.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"

BASE     equ 0xfe000000
ID       equ 0x00
SCRATCH  equ 0x04
ADDEND   equ 0x08
SUM      equ 0x0c
STATUS   equ 0x10
DMA_LOW  equ 0x18
DMA_HIGH equ 0x1c
COMMAND  equ 0x20

%macro check 3
        mov bpl, %2
        mov rcx, %3
        cmp %1, rcx
        jne failed
%endmacro

main:
        mov ebx, BASE
        mov eax, [rbx + ID]
        check rax, 1, 0x43534250
        mov dword [rbx + SCRATCH], 0x12345678
        mov eax, [rbx + SCRATCH]
        check rax, 2, 0x12345678
        mov dword [rbx + ADDEND], 40
        mov dword [rbx + ADDEND], 2
        mov eax, [rbx + SUM]
        check rax, 3, 42

        mov dword [rbx + DMA_LOW], result
        mov dword [rbx + DMA_HIGH], 0
        mov dword [rbx + COMMAND], 1
        mov eax, [result]
        check rax, 4, 42
        mov eax, [rbx + STATUS]
        check rax, 5, 2        ; DONE
        mov dword [rbx + DMA_LOW], BASE ; no RAM: refused
        mov dword [rbx + COMMAND], 1
        mov eax, [rbx + STATUS]
        check rax, 6, 6        ; DONE, DMA_ERROR
        mov dword [rbx + ADDEND], 0xffffffff
        mov eax, [rbx + STATUS]
        check rax, 7, 7        ; OVERFLOW too
        mov dword [rbx + STATUS], 7
        mov eax, [rbx + STATUS]
        check rax, 8, 0
        mov esi, device_text
        call print

        mov rax, [rbx + ID]    ; ID and SCRATCH
        check rax, 9, 0x1234567843534250
        mov rax, 0x0000000511223344
        mov [rbx + SCRATCH], rax ; SCRATCH and ADD, each 4 bytes at a multiple of 4
        mov eax, [rbx + SCRATCH]
        check rax, 10, 0x11223344
        mov eax, [rbx + SUM]
        check rax, 11, 46      ; 42 - 1 + 5
        mov eax, [rbx + 2]     ; halves of ID and SCRATCH
        check rax, 12, 0x33444353
        movzx eax, byte [rbx + SCRATCH + 1]
        check rax, 13, 0x33
        mov rax, [rbx + 0xffc] ; 4 bytes of the page, which read 0, and 4 of nothing
        check rax, 14, 0xffffffff00000000
        lea rsi, [rbx + ID]
        mov edi, result
        mov ecx, 2
        cld
        rep movsd
        mov rax, [result]
        check rax, 15, 0x1122334443534250
        lock add dword [rbx + SCRATCH], 1
        mov eax, [rbx + SCRATCH]
        check rax, 16, 0x11223345
        mov esi, bus_text
        call print
        xor eax, eax
        jmp finish

failed:
        mov al, bpl
        jmp finish

device_text: db "scratch: adds and copies", 10, 0
bus_text:    db "scratch: any access is split", 10, 0
        align 8
result: dq 0
