; SPDX-License-Identifier: MIT
; tests/guest/irq.asm - interrupts through the two 8259A: the clock's periodic interrupt (line 8, by way of the
; second chip) three times, then the UART's transmitter-empty interrupt (line 4). Prints what came, powers off.
; In real mode, as some hosts' KVM can return from an interrupt in no other.
%define GUEST16
%define ORIGIN 0x7c00
%include "lib.inc"

main:
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, ORIGIN
        mov di, 0x20 * 4       ; the vectors of the 16 lines
        mov cx, 16
.vector:
        mov dword [di], on_other
        add di, 4
        loop .vector
        mov dword [0x24 * 4], on_uart
        mov dword [0x28 * 4], on_clock

        mov al, 0x11           ; ICW1: edge, cascade, ICW4 follows
        out 0x20, al
        out 0xa0, al
        mov al, 0x20           ; ICW2: vectors
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4              ; ICW3: the second chip is on line 2
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1              ; ICW4: 8086 mode
        out 0x21, al
        out 0xa1, al
        mov al, ~0x14 & 0xff   ; lines 2 and 4
        out 0x21, al
        mov al, ~0x01 & 0xff   ; line 8
        out 0xa1, al

        mov al, 0x0a           ; register A: 1024 Hz
        out 0x70, al
        mov al, 0x26
        out 0x71, al
        mov al, 0x0c
        out 0x70, al
        in al, 0x71            ; register C: what was pending
        mov al, 0x0b
        out 0x70, al
        mov al, 0x42           ; register B: PIE, 24 hours
        out 0x71, al
.tick:
        sti
        hlt
        cli
        cmp word [ticks], 3
        jb .tick
        mov al, 0x0b
        out 0x70, al
        mov al, 0x02
        out 0x71, al
        mov esi, clock_text
        call print

        mov dx, COM1 + 4       ; MCR: OUT2 lets the interrupt through
        mov al, 0x0b
        out dx, al
        mov dx, COM1 + 1       ; IER: transmitter empty
        mov al, 2
        out dx, al
.sent:
        sti
        hlt
        cli
        cmp word [sent], 0
        je .sent
        mov esi, uart_text
        call print
        jmp power_off

on_clock:
        push ax
        mov al, 0x0c           ; without reading register C there is no further edge
        out 0x70, al
        in al, 0x71
        test al, 0x40
        jz .done
        inc word [ticks]
.done:
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop ax
        iret

on_uart:
        push ax
        push dx
        mov dx, COM1 + 2       ; IIR
        in al, dx
        and al, 7
        cmp al, 2
        jne .done
        inc word [sent]
.done:
        mov dx, COM1 + 1
        xor eax, eax
        out dx, al
        mov al, 0x20
        out 0x20, al
        pop dx
        pop ax
        iret

; Counts nothing: interrupts that nobody asked for.
on_other:
        push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret

ticks:  dw 0
sent:   dw 0
clock_text: db "irq: three ticks of the clock", 10, 0
uart_text:  db "irq: transmitter empty", 10, 0
