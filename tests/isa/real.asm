; SPDX-License-Identifier: MIT
; tests/isa/real.asm - a boot sector in real mode (Intel SDM 3A, chapter 21): interrupts and faults through the table at 0,
; offsets that wrap at 64 KiB, limits, instructions that real mode has not, segments and A20 (bad_86), and the way to
; protected mode and back with a segment of 4 GiB.
%define GUEST16
%define ORIGIN 0x7c00
%include "lib.inc"

main:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, ORIGIN
        xor di, di
        mov cx, 32
.vector:
        mov [di], di
        mov word [di + 2], 0
        add di, 4
        loop .vector
%assign n 0
%rep 16
        mov word [n * 4], on_vector + n * 4
%assign n n + 1
%endrep
        mov word [0x21 * 4], on_int
        mov word [0x21 * 4 + 2], 0

; TRY: text, instruction. Prints the vector, or ff, and how far IP went.
%macro TRY 2+
        mov si, %%text
        call print
        mov byte [vector], 0xff
        mov word [begin], %%begin
        mov word [recover], %%end
        mov [saved_sp], sp
        jmp %%begin
%%text: db %1, ": ", 0
%%begin:
        %2
%%end:  call verdict
%endmacro
        xor bx, bx
        TRY "NOP", nop
        TRY "INT 0x21", int 0x21
        TRY "DIV by zero", div bx
        TRY "INT3", int3
        TRY "UD2", ud2
        TRY "BOUND", bound bx, [bounds]
        TRY "INTO", call do_into
        TRY "SLDT", sldt ax
        TRY "LAR", lar ax, bx
        TRY "ARPL", arpl ax, bx
        TRY "SYSENTER", sysenter
        mov bx, 0xffff
        TRY "~word at 0xffff", mov ax, [bx]
        TRY "byte at 0xffff", mov al, [bx]
        mov ebx, 0x10000
        TRY "~byte at 0x10000", mov al, [ebx]
        mov sp, 2
        push ax
        push ax
        mov bx, sp
        mov sp, ORIGIN
        mov ax, bx
        mov si, wrap_text
        call print_show
        mov ax, sp
        push sp
        pop bx
        sub ax, bx
        mov si, push_text
        call print_show

; 0xffff:0x10 is 0x100000, and with the A20 gate closed 0. Here the gate is open.
        mov word [0x500], 0x1234
        mov ax, 0xffff
        mov es, ax
        mov word [es:0x510], 0x5678
        mov ax, [0x500]
        mov si, a20_text
        call print_show
        xor ax, ax
        mov es, ax

; Protected mode for a moment: DS keeps its limit.
        o32 lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp .here
.here:  mov bx, 8
        mov fs, bx
        and al, 0xfe
        mov cr0, eax
        jmp 0:.back
.back:  mov ebx, 0x300000
        mov dword [fs:ebx], 0x89abcdef
        mov ax, [fs:ebx]
        mov si, unreal_text
        call print_show
        xor ax, ax
        mov fs, ax
        mov ebx, 0x300000
        mov ax, [fs:ebx + 2]
        mov si, still_text
        call print_show
        mov al, 0
        jmp finish

; Vector n comes to on_vector + n * 4.
on_vector:
%assign n 0
%rep 16
        push byte n
        jmp short on_all
%assign n n + 1
%endrep
on_all:
        pop word [cs:vector]
        pop word [cs:saved_ip]
        xor ax, ax
        mov ds, ax
        mov sp, [saved_sp]
        jmp [recover]
do_into:
        mov al, 0x7f
        inc al
        into
        ret
on_int: mov byte [cs:vector], 0x21
        iret

; Vector and distance of IP.
verdict:
        movzx eax, byte [vector]
        cmp al, 0xff
        je .none
        cmp al, 0x21
        je .interrupt
        mov ah, [saved_ip]
        sub ah, [begin]
        call show
        ret
.none:  mov si, ok_text
        jmp print
.interrupt:
        mov si, int_text
        jmp print
; A text, AX and a new line.
print_show:
        push ax
        call print
        pop ax
show:
        movzx eax, ax
        call print_hex
        mov al, 10
        jmp putc

bounds: dw 1, 2
gdtr:   dw 15
        dd gdt
        align 8
gdt:    dq 0, 0x00cf93000000ffff
vector:   dw 0
begin:    dw 0
recover:  dw 0
saved_ip: dw 0
saved_sp: dw 0
ok_text:  db "ok", 10, 0
int_text: db "interrupt", 10, 0
wrap_text: db "SP after two pushes from 2: ", 0
push_text: db "PUSH SP pushes it as it was, the difference: ", 0
a20_text: db "bad_86 0x500 after a write to 0x100500: ", 0
unreal_text: db "by a segment of 4 GiB: ", 0
still_text: db "and with its selector loaded again in real mode: ", 0
