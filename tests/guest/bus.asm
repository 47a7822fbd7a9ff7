; SPDX-License-Identifier: MIT
; tests/guest/bus.asm - accesses to where nothing is: reads of every width give all ones, writes are dropped; and
; the PCI configuration ports: an absent function reads as all ones, and byte and word writes to 0xCF8 do
; not reach the address register. Prints a line for each group, ends with code 0, or the number of the check
; that failed.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"

ABSENT_PORT equ 0x3000
ABSENT_MMIO equ 0xd0000000
CONFIG_ADDRESS equ 0xcf8
CONFIG_DATA equ 0xcfc

; Ends with code %2 unless %1 equals all ones, or %3.
%macro check 2-3 -1
        mov bpl, %2
        cmp %1, %3
        jne failed
%endmacro

main:
        mov dx, ABSENT_PORT
        xor eax, eax
        out dx, al
        out dx, ax
        out dx, eax
        in al, dx
        check al, 1
        xor eax, eax
        in ax, dx
        check ax, 2
        xor eax, eax
        in eax, dx
        check eax, 3
        mov dx, ABSENT_PORT + 1 ; unaligned
        xor eax, eax
        in eax, dx
        check eax, 4
        mov dx, 0xfffe         ; the last ports
        xor eax, eax
        in ax, dx
        check ax, 5
        mov esi, port_text
        call print

        mov ebx, ABSENT_MMIO
        mov byte [rbx], 0
        mov word [rbx], 0
        mov dword [rbx], 0
        mov qword [rbx], 0
        xor eax, eax
        mov al, [rbx]
        check al, 6
        mov ax, [rbx]
        check ax, 7
        mov eax, [rbx]
        check eax, 8
        mov rax, [rbx]
        check rax, 9
        mov rax, [rbx + 5]     ; unaligned
        check rax, 10
        mov rax, [rbx + 0xffc] ; over the end of a page
        check rax, 11
        mov esi, mmio_text
        call print

        mov dx, CONFIG_ADDRESS
        mov eax, 0x8000ff00    ; bus 0, device 31, function 7
        out dx, eax
        mov dx, CONFIG_DATA
        xor eax, eax
        in eax, dx
        check eax, 12
        xor eax, eax
        in ax, dx
        check ax, 13
        mov dx, CONFIG_DATA + 3
        in al, dx
        check al, 14
        mov dx, CONFIG_ADDRESS
        xor eax, eax
        out dx, al
        mov dx, CONFIG_ADDRESS + 2
        out dx, ax
        mov dx, CONFIG_ADDRESS
        in eax, dx
        check eax, 15, 0x8000ff00
        mov esi, pci_text
        call print
        xor eax, eax
        jmp finish

failed:
        mov al, bpl
        jmp finish

port_text: db "bus: absent ports read as ones", 10, 0
mmio_text: db "bus: absent memory reads as ones", 10, 0
pci_text:  db "bus: absent functions read as ones", 10, 0
