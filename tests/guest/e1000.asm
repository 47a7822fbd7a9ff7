; SPDX-License-Identifier: MIT
; tests/guest/e1000.asm - a driver for the 82540EM at 00:03.0, of the smallest kind: it resets the card by I/O ports,
; reads its address from the EEPROM, waits for the link, and sends a frame to itself, which a backend that brings
; everything back returns. Polled; interrupts are only looked at in ICR and the status register of configuration space.
; Prints a line for each step, ends with code 0, or the number of the check that failed.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"
%include "e1000.inc"

PORTS equ 0xc000               ; BAR 1: IOADDR, IODATA
ICR equ 0x00c0
IMS equ 0x00d0
IMC equ 0x00d8
RCTL equ 0x0100
TCTL equ 0x0400
RDBAL equ 0x2800
RDLEN equ 0x2808
RDT equ 0x2818
TDBAL equ 0x3800
TDLEN equ 0x3808
TDT equ 0x3818
GPTC equ 0x4080
GPRC equ 0x4074
RX_RING equ 0x300000           ; 8 descriptors each
TX_RING equ 0x301000
RX_BUFFERS equ 0x310000        ; of 2048 bytes
FRAME equ 0x320000
LENGTH equ 100

main:
        mov rsp, 0x280000
        mov eax, NIC
        mov dx, CONFIG_ADDRESS
        out dx, eax
        mov dx, CONFIG_DATA
        in eax, dx
        check eax, 0x100e8086, 1
        config 0x10, REGISTERS
        config 0x14, PORTS
        config 0x04, 7
        mov ebx, REGISTERS
        mov esi, found_text
        call print

        ; A reset by IOADDR and IODATA.
        mov dword [rbx + IMS], 4
        mov dx, PORTS
        mov eax, CTRL
        out dx, eax
        mov dx, PORTS + 4
        mov eax, 1 << 26
        out dx, eax
        check dword [rbx + IMS], 0, 2
        test dword [rbx + CTRL], 1 << 26
        setnz al
        check al, 0, 3

        ; The address, word by word.
        mov edi, FRAME
        xor ebp, ebp
.word:
        mov eax, ebp
        shl eax, 8
        or eax, 1
        mov [rbx + EERD], eax
        wait_for [rbx + EERD], 0x10, 4
        mov eax, [rbx + EERD]
        shr eax, 16
        mov [rdi + rbp * 2], ax
        mov [rdi + rbp * 2 + 6], ax
        inc ebp
        cmp ebp, 3
        jne .word
        mov esi, address_text
        call print
        mov eax, [FRAME]
        bswap eax
        push rbx
        call print_hex
        pop rbx
        mov al, 10
        call putc

        or dword [rbx + CTRL], 0x40
        wait_for [rbx + STATUS], 2, 5
        mov esi, link_text
        call print

        ; Rings, and a frame of bytes that count.
        xor ecx, ecx
        mov eax, RX_BUFFERS
.descriptor:
        mov edx, ecx
        shl edx, 4
        mov [rdx + RX_RING], rax
        mov qword [rdx + RX_RING + 8], 0
        add eax, 2048
        inc ecx
        cmp ecx, 8
        jne .descriptor
        mov dword [rbx + RDBAL], RX_RING
        mov dword [rbx + RDLEN], 128
        mov dword [rbx + RCTL], 0x04000002 ; EN, SECRC
        mov dword [rbx + RDT], 7
        mov word [FRAME + 12], 0xb588
        mov ecx, 14
.byte:
        mov [rcx + FRAME], cl
        inc ecx
        cmp ecx, LENGTH
        jne .byte
        mov qword [TX_RING], FRAME
        mov dword [TX_RING + 8], LENGTH | 0x0b << 24 ; RS, IFCS, EOP
        mov dword [TX_RING + 12], 0
        mov dword [rbx + TDBAL], TX_RING
        mov dword [rbx + TDLEN], 128
        mov dword [rbx + TCTL], 2
        mov eax, [rbx + ICR]
        mov dword [rbx + IMS], 0x81
        mov dword [rbx + TDT], 1
        wait_for [TX_RING + 12], 1, 6
        mov esi, sent_text
        call print
        wait_for [RX_RING + 12], 1, 7
        movzx eax, word [RX_RING + 8]
        check eax, LENGTH, 8
        mov esi, FRAME
        mov edi, RX_BUFFERS
        mov ecx, LENGTH
        repe cmpsb
        setne al
        check al, 0, 9
        mov esi, received_text
        call print

        ; INTA is asserted, until ICR is read.
        mov eax, NIC + 4
        mov dx, CONFIG_ADDRESS
        out dx, eax
        mov dx, CONFIG_DATA
        in eax, dx
        shr eax, 19
        and eax, 1
        check eax, 1, 10
        mov eax, [rbx + ICR]
        and eax, 0x81
        check eax, 0x81, 11
        check dword [rbx + ICR], 0, 12
        in eax, dx
        shr eax, 19
        and eax, 1
        check eax, 0, 13
        check dword [rbx + GPTC], 1, 14
        check dword [rbx + GPRC], 1, 15
        check dword [rbx + GPRC], 0, 16
        mov esi, interrupt_text
        call print
        xor eax, eax
        call finish
failed:
        mov al, r15b
        call finish

found_text db "8086:100e", 10, 0
address_text db "address begins ", 0
link_text db "link", 10, 0
sent_text db "sent", 10, 0
received_text db "received", 10, 0
interrupt_text db "interrupted", 10, 0
