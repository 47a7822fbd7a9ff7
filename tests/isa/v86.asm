; SPDX-License-Identifier: MIT
; tests/isa/v86.asm - virtual-8086 mode (Intel SDM 3A, chapter 21): what IOPL decides, the I/O bitmap, faults and interrupts
; out of it, segment limits, and how it is entered and left. Virtual interrupts (CR4.VME) are left out.
%include "isa.inc"

V86     equ 0x8000             ; where its code is copied to; stack below
%macro SHOW_STACK 1
        mov eax, [OTHER_TOP - 64 + %1]
        SHOW eax
%endmacro

main:
        mov esi, real_code
        mov edi, V86
        mov ecx, real_end - real_code
        rep movsb

; TRY_V86: text, IOPL, label of the code.
%macro TRY_V86 3
        SAY {%1, ", IOPL ", '0' + %2}
        mov ebx, 0x20002 | %2 << 12
        mov ecx, %3 - real_code
        call v86
        call verdict
%endmacro
%macro BOTH 2
        TRY_V86 %1, 0, %2
        TRY_V86 %1, 3, %2
%endmacro
        BOTH "NOP, INT 0x80", v_nop
        BOTH "CLI", v_cli
        BOTH "STI", v_sti
        BOTH "PUSHF", v_pushf
        BOTH "POPF", v_popf
        BOTH "IRET", v_iret
        BOTH "INT 0x21", v_int
        BOTH "INT3", v_int3
        BOTH "INTO", v_into
        BOTH "HLT", v_hlt
        BOTH "MOV CR0", v_cr0
        BOTH "LGDT", v_lgdt
        BOTH "SLDT", v_sldt
        BOTH "ARPL", v_arpl
        BOTH "LAR", v_lar
        BOTH "UD2", v_ud2
        BOTH "DIV by zero", v_div
        BOTH "OUT of an allowed port", v_out
        mov byte [TSS_AT + 104 + 0x10], 1
        BOTH "OUT of a denied port", v_out
        BOTH "OUT word with the second denied", v_out_word
        BOTH "OUTSB to a denied port", v_outs
        mov word [TSS_AT + 102], TSS_LIMIT - 0xf
        TRY_V86 "OUT beyond the bitmap", 3, v_out
        mov word [TSS_AT + 102], 104
        mov byte [TSS_AT + 104 + 0x10], 0
        TRY_V86 "~word at 0xffff", 3, v_limit
        TRY_V86 "byte at 0xffff", 3, v_last
        TRY_V86 "~32-bit address beyond 64 KiB", 3, v_beyond
        TRY_V86 "segment registers hold what they like", 3, v_segments
        TRY_V86 "far JMP, far CALL, RETF", 3, v_far

; Out of it by an interrupt: what is on the stack.
        GATE 0x80, on_v86, 0xee00
        SAY "INT 0x80: EIP, CS, VM and IOPL, SS, ES, DS, FS, GS; segments in the handler:"
        mov ebx, 0x23002
        mov ecx, v_load - real_code
        call v86
        call line
        GATE 0x80, isa_done, 0xee00
        GATE 0x21, isa_stubs, 0xee00
        mov dword [isa_gdt_free], 0xffff
        mov dword [isa_gdt_free + 4], 0x00cffe00       ; conforming: not ring 0
        mov word [IDT_AT + 0x21 * 8 + 2], FREE_SEL
        TRY_V86 "INT 0x21 to a ring that is not 0", 3, v_int
        mov word [IDT_AT + 0x21 * 8 + 2], CODE
        TRY_V86 "INT 0x21 of DPL 3", 3, v_int
        TRY_V86 "INT 0x21 of DPL 3", 0, v_int

; Into it.
        push 0x20002
        popf
        pushf
        pop eax
        SAY "POPF in ring 0 does not set VM:"
        SHOW eax
        call line
        push 0
        push 0
        push 0
        push 0
        push 0
        push 0x8000
        push 0x20002
        push V86 >> 4
        push 0x10000
        SAY "~IRET to EIP 0x10000"
        QUIET iret
        call verdict
        call find_strict
        IF_STRICT .end
        TRY_USER "~IRET in ring 3 does not set VM", call user_iret
.end:
        mov al, 0
        jmp finish

user_iret:
        pop eax
        push 0x20002
        push USER_CODE
        push eax
        iret

; Enters it with flags ebx at offset ecx of the code; returns when it ends.
v86:
        pop dword [recover]
        mov dword [got_vector], -1
        mov [recover_sp], esp
        mov [case_ip], ecx
        push 0x1111            ; GS, FS, DS, ES
        push 0x2222
        push V86 >> 4
        push V86 >> 4
        push 0x0700
        push 0x0ffe
        push ebx
        push V86 >> 4
        push ecx
        iret

on_v86:
        mov ebp, esp
        mov eax, ds
        mov ebx, es
        mov ecx, fs
        mov edx, gs
        or eax, ebx
        or eax, ecx
        or eax, edx
        mov edx, DATA
        mov ds, edx
        mov es, edx
        mov ebx, eax
%macro FRAME 2
        mov eax, [ebp + %1]
        and eax, %2
        SHOW eax
%endmacro
        sub dword [ebp], v_load_end - real_code
        FRAME 0, -1
        FRAME 4, 0xffff
        FRAME 8, 0x23000
        FRAME 16, 0xffff
        FRAME 20, 0xffff
        FRAME 24, 0xffff
        FRAME 28, 0xffff
        FRAME 32, 0xffff
        SHOW ebx
        jmp isa_done

        bits 16
real_code:
v_nop:  nop
        int 0x80
v_cli:  cli
        int 0x80
v_sti:  sti
        cli
        int 0x80
v_pushf:
        pushf
        int 0x80
v_popf: push 2
        popf
        int 0x80
v_iret: push 2
        push cs
        push .on - real_code
        iret
.on:    int 0x80
v_int:  int 0x21
        int 0x80
v_int3: int3
        int 0x80
v_into: mov al, 0x7f
        inc al
        into
        int 0x80
v_hlt:  hlt
        int 0x80
v_cr0:  mov eax, cr0
        int 0x80
v_lgdt: lgdt [0]
        int 0x80
v_sldt: sldt ax
        int 0x80
v_arpl: arpl ax, bx
        int 0x80
v_lar:  lar ax, bx
        int 0x80
v_ud2:  ud2
        int 0x80
v_div:  xor cx, cx
        div cx
        int 0x80
v_out:  out 0x80, al
        int 0x80
v_out_word:
        out 0x7f, ax
        int 0x80
v_outs: mov dx, 0x80
        xor si, si
        outsb
        int 0x80
v_limit:
        mov bx, 0xffff
        mov ax, [bx]
        int 0x80
v_last: mov bx, 0xffff
        mov al, [bx]
        int 0x80
v_beyond:
        mov ebx, 0x10000
        mov al, [ebx]
        int 0x80
v_segments:
        mov ax, 0xffff
        mov es, ax
        mov fs, ax
        mov gs, ax
        pop dx
        push dx
        int 0x80
v_far:  call (V86 >> 4):.called - real_code
        jmp (V86 >> 4):.on - real_code
.called:
        retf
.on:    int 0x80
v_load: mov ax, 0x3333
        mov es, ax
        int 0x80
v_load_end:
real_end:
        bits 32
