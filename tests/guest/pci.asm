; SPDX-License-Identifier: MIT
; tests/guest/pci.asm - a guest that plays with the PCI device of tests/fakes/plugins/pci_parts.c, at 00:04.0 to 2: BARs
; over RAM, over each other, over ports of a device, at 0, at the end of the address space, moved and switched off
; twenty thousand times; MSI-X beyond its table; a message to RAM; accesses that no device takes as they are.
; Prints a line for each group, ends with code 0, or the number of the check that failed.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"

CONFIG_ADDRESS equ 0xcf8
CONFIG_DATA equ 0xcfc
FN0 equ 0x80002000
FN1 equ 0x80002100
COMMAND equ 0x04
BAR0 equ 0x10
BAR1 equ 0x14
BAR2 equ 0x18
ID equ 0x49435042
WINDOW equ 0xd0000000          ; where BAR 0 of function 0 is put
OTHER equ 0xd1000000           ; BAR 1 of function 1
MEMORY equ 0xd2000000          ; BAR 0 of function 1, which is memory
RAM equ 0x300000
SCRATCH equ 0x1c

; Ends with code %3 unless %1 equals %2.
%macro check 3
        mov r15b, %3
        cmp %1, %2
        jne failed
%endmacro

; Writes dword %2 to register %1 of configuration space.
%macro config 2
        mov edi, %1
        mov eax, %2
        call config_write
%endmacro

main:
        mov rsp, 0x280000
        config FN0 + BAR0, WINDOW
        config FN0 + BAR1, 0
        config FN0 + COMMAND, 7
        config FN1 + BAR0, MEMORY
        config FN1 + BAR1, OTHER
        config FN1 + COMMAND, 6
        mov ebx, WINDOW
        check dword [rbx], ID, 1
        mov esi, found_text
        call print

        ; 57: over RAM, which wins
        mov ebp, RAM
        mov dword [rbp], 0x12345678
        config FN0 + BAR0, RAM
        check dword [rbp], 0x12345678, 2
        mov dword [rbp + SCRATCH], 5
        config FN1 + BAR0, RAM
        check dword [rbp + SCRATCH], 5, 3
        config FN1 + BAR0, MEMORY
        check dword [rbp], 0x12345678, 4
        ; 59: at 0, decoded
        mov eax, [0]
        mov r14d, eax
        config FN0 + BAR0, 0
        mov eax, [0]
        check eax, r14d, 5
        config FN0 + BAR0, WINDOW
        check dword [rbx], ID, 6
        check dword [rbx + SCRATCH], 0, 7
        mov esi, ram_text
        call print

        ; 58: over each other: the one mapped earlier wins, and the other is there afterwards
        mov ecx, OTHER
        mov dword [rbx + SCRATCH], 1
        mov dword [rcx + SCRATCH], 2
        config FN1 + BAR1, WINDOW
        mov ebx, WINDOW
        mov ecx, OTHER
        check dword [rbx + SCRATCH], 1, 8
        check dword [rcx + SCRATCH], -1, 9
        config FN0 + COMMAND, 0
        mov ebx, WINDOW
        check dword [rbx + SCRATCH], 2, 10
        config FN0 + COMMAND, 7
        check dword [rbx + SCRATCH], 2, 11
        config FN1 + BAR1, OTHER
        check dword [rbx + SCRATCH], 1, 12
        ; ports over COM1, which is fixed
        config FN0 + BAR2, 0x3e0
        mov esi, bar_text
        call print
        config FN0 + BAR2, 0xc000
        mov dx, 0xc000
        in eax, dx
        check eax, ID, 13
        config FN0 + BAR2, 0xfffffffc ; beyond the ports
        mov dx, 0xffe0
        in eax, dx
        check eax, -1, 14

        ; 60: the end of the space, and sizing while it is decoded
        config FN1 + BAR1, 0xfffffff0
        mov edi, FN1 + BAR1
        call config_read
        check eax, 0xfffff000, 15
        config FN1 + BAR1, OTHER
        config FN0 + BAR1, 0xffffffff
        config FN0 + BAR0, 0xffffffff
        mov edi, FN0 + BAR0
        call config_read
        check eax, 0xffffc00c, 16
        config FN0 + BAR1, 0
        config FN0 + BAR0, WINDOW
        mov ebx, WINDOW
        check dword [rbx], ID, 17
        mov esi, end_text
        call print

        ; A BAR that is memory: it keeps, and it moves
        mov ebp, MEMORY
        mov qword [rbp + 0xffc], -2
        config FN1 + BAR0, MEMORY + 0x1000000
        mov ebp, MEMORY
        check dword [rbp + 0xffc], -1, 18
        check dword [rbp + 0x1000ffc], -2, 19
        config FN1 + BAR0, MEMORY
        check dword [rbp + 0xffc], -2, 20

        ; 62: the last entry's mask, behind it, across; and pending bits
        mov ebx, WINDOW
        mov rax, -1
        mov [rbx + 0x207c], rax
        check dword [rbx + 0x207c], 1, 21
        check dword [rbx + 0x2080], 0, 22
        mov [rbx + 0x3000], rax
        check qword [rbx + 0x3000], 0, 23
        mov [rbx + 0x200c], al ; narrower than a dword: dropped
        mov dword [rbx + 0x200c], 0
        mov [rbx + 0x200c], al
        check dword [rbx + 0x200c], 0, 24
        mov dword [rbx + 4], 0x7fffffff ; notify beyond all there are
        ; 63: a message to RAM is a memory write (MSI of function 1 stands at 0x40)
        config FN1 + 0x44, RAM
        config FN1 + 0x4c, 0xbeef
        config FN1 + 0x40, 0x10000
        mov ecx, OTHER
        mov dword [rcx + 4], 0
        mov ebp, RAM
        check dword [rbp], 0xbeef, 25
        config FN1 + 0x40, 0
        mov esi, message_text
        call print

        ; 66: 8 bytes to a device of 4, over the end of a region, LOCK, string instructions
        mov ebx, WINDOW
        mov rax, [rbx + SCRATCH - 4]
        shr rax, 32
        check eax, 1, 26
        lock add dword [rbx + SCRATCH], 41
        check dword [rbx + SCRATCH], 42, 27
        mov ecx, OTHER
        check dword [rcx + 0xffe], 0xffff0000, 28
        mov dword [rcx + 0xffe], 0
        lea rsi, [rbx]
        mov edi, RAM
        mov ecx, 8
        rep movsd
        mov ebp, RAM
        check dword [rbp], ID, 29
        check dword [rbp + SCRATCH], 42, 30
        mov esi, access_text
        call print

        mov r13d, 20000
.toggle:
        config FN0 + COMMAND, 0
        config FN0 + COMMAND, 7
        dec r13d
        jnz .toggle
        mov ebx, WINDOW
        check dword [rbx + SCRATCH], 42, 31
        mov esi, toggle_text
        call print
        xor al, al
        jmp finish

failed:
        mov al, r15b
        jmp finish

; Register edi of configuration space in eax.
config_read:
        mov eax, edi
        mov dx, CONFIG_ADDRESS
        out dx, eax
        mov dx, CONFIG_DATA
        in eax, dx
        ret

config_write:
        push rax
        mov eax, edi
        mov dx, CONFIG_ADDRESS
        out dx, eax
        pop rax
        mov dx, CONFIG_DATA
        out dx, eax
        ret

found_text:   db "BARs are where they were put", 10, 0
ram_text:     db "RAM stays RAM", 10, 0
bar_text:     db "the earlier of two BARs wins, COM1 over both", 10, 0
end_text:     db "addresses end without harm", 10, 0
message_text: db "messages go where they are sent", 10, 0
access_text:  db "accesses of all kinds", 10, 0
toggle_text:  db "20000 times off and on", 10, 0
