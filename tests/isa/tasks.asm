; SPDX-License-Identifier: MIT
; tests/isa/tasks.asm - task switches (Intel SDM 3A, chapter 8): 32-bit and 16-bit TSS by JMP, CALL, IRET, an interrupt
; and a fault through task gates; busy bits, NT, TS and the link; TSS that are busy, short, not present or hold bad
; data segments (bad_91). The new task tells of itself in one line.
%include "isa.inc"

; This one is A. B is a 32-bit and C a 16-bit task.
B_AT    equ 0x270000
C_AT    equ 0x271000
B       equ FREE_SEL
C       equ FREE_SEL + 8
GATE_B  equ FREE_SEL + 16
CODE_C  equ FREE_SEL + 24      ; the image, as seen with 16-bit offsets
%define ENTRY(sel) (isa_gdt + (sel))

%macro TSS_ENTRY 4             ; selector, base, limit, access byte
        mov dword [ENTRY(%1)], ((%2) & 0xffff) << 16 | (%3)
        mov dword [ENTRY(%1) + 4], (%4) << 8 | (%2) >> 16
%endmacro

main:
        mov dword [ENTRY(CODE_C)], 0xffff
        mov dword [ENTRY(CODE_C) + 4], 0x00409b10
        mov dword [ENTRY(GATE_B)], B << 16
        mov dword [ENTRY(GATE_B) + 4], 0x8500
        call fresh

        SAY {"task: TR, link, NT, TS, busy A B C; in the task, then after it", 10}
%macro SWITCH 2+
        call fresh
        SAY %1
        %2
        call tell
        call line
%endmacro
        SWITCH "JMP B, JMP A", jmp B:0
        mov dword [B_AT + 32], b_jumps
        SWITCH "CALL B, IRET", call B:0
        SWITCH "CALL gate to B, IRET", call GATE_B:0
        SWITCH "JMP gate to B, JMP A", jmp GATE_B:0
        SWITCH "CALL C, IRET", call C:0
        mov eax, 0x30
        call task_gate
        SWITCH "INT 0x30 to B, IRET", int 0x30
        call fresh
        mov byte [with_error], 1
        mov eax, 11
        call task_gate
        mov dword [isa_gdt_free + 5 * 8 + 4], 0x00cf1300
        SAY "#NP to B with its error code, IRET:"
        mov ecx, FREE_SEL + 5 * 8
        mov ds, ecx
        call tell
        call line
        mov byte [with_error], 0
        mov eax, 11
        mov esi, isa_stubs + 11 * (isa_stub_1 - isa_stubs)
        mov edx, 0x8e00
        call set_gate

; What a task keeps.
        call fresh
        mov eax, 0x11111111
        mov ebx, 0x22222222
        mov ecx, 0x33333333
        mov edx, 0x44444444
        mov esi, 0x55555555
        mov edi, 0x66666666
        mov ebp, 0x77777777
        mov fs, [null]
        call B:0
        SAY "; registers after a CALL:"
        SHOW eax
        SHOW ebx
        SHOW ecx
        SHOW edx
        SHOW esi
        SHOW edi
        SHOW ebp
        mov eax, fs
        SHOW eax
        call line
        call fresh
        mov eax, 0x11111111
        mov ebp, 0x77777777
        push 0x202 & ~0x200
        popf
        stc
        call C:0
        setc cl
        SAY "; after a CALL of C:"
        SHOW eax
        SHOW ebp
        movzx ecx, cl
        SHOW ecx
        call line

; What does not work. Before the switch, in A.
%macro FAIL_IN_B 1
        SAY %1
        QUIET call B:0
        mov dword [case_ip], b_begin
        call fail_end
%endmacro
%macro FAIL 2+
        SAY %1
        QUIET %2
        call fail_end
%endmacro
        call fresh
        SAY {"fault: how it ended, TR", 10}
        FAIL "bad_91 JMP to a busy TSS", jmp TSS_SEL:0
        FAIL "bad_91 CALL of a busy TSS", call TSS_SEL:0
        mov byte [ENTRY(B) + 5], 0x8b
        FAIL "bad_91 JMP gate to a busy TSS", jmp GATE_B:0
        TSS_ENTRY B, B_AT, 0x66, 0x89
        FAIL "bad_91 JMP to a short TSS", jmp B:0
        TSS_ENTRY C, C_AT, 0x2a, 0x81
        FAIL "bad_91 JMP to a short 16-bit TSS", jmp C:0
        mov byte [ENTRY(B) + 5], 0x09
        FAIL "JMP to a TSS not present", jmp B:0
        mov byte [ENTRY(GATE_B) + 5], 0x05
        FAIL "JMP gate not present", jmp GATE_B:0
        mov byte [ENTRY(GATE_B) + 5], 0x85
        mov word [ENTRY(GATE_B) + 2], CODE
        FAIL "JMP gate to code", jmp GATE_B:0
        mov word [ENTRY(GATE_B) + 2], 0x1000
        FAIL "JMP gate beyond the GDT", jmp GATE_B:0
        mov word [ENTRY(GATE_B) + 2], B
        TRY_USER "ring 3: JMP to a TSS of DPL 0", jmp B:0
        call fresh
        push 0x4002
        popf
        mov word [TSS_AT], B
        FAIL "IRET with NT, the link is not busy", iret
        push 0x4002
        popf
        mov word [TSS_AT], CODE
        FAIL "IRET with NT, the link is code", iret
        push 0x4002
        popf
        mov word [TSS_AT], 0
        FAIL "IRET with NT, the link is null", iret
; After it, in B. (A handler of its own task would be needed for those of its CS, SS and LDT.)
        mov word [B_AT + 84], TSS_SEL
        FAIL_IN_B "~DS of B is a TSS"
        mov word [B_AT + 84], FREE_SEL + 5 * 8
        mov dword [ENTRY(FREE_SEL + 5 * 8) + 4], 0x00cf1300
        FAIL_IN_B "~DS of B is not present"
        mov byte [B_AT + 100], 1
        mov eax, 0xffff0ff0
        mov dr6, eax
        SAY "~T bit of B"
        QUIET call B:0
        mov eax, dr6
        and eax, 0xe00f
        SHOW eax
        mov dword [case_ip], b_begin
        call fail_end
        mov al, 0
        jmp finish

fail_end:
        call verdict_inline
        SAY ", TR"
        str ecx
        SHOW ecx
        call line
; All of A again, B and C anew.
fresh:
        pushad
        clts
        push 2
        popf
        mov byte [ENTRY(TSS_SEL) + 5], 0x89
        mov eax, TSS_SEL
        ltr ax
        xor eax, eax
        lldt ax
        mov word [TSS_AT], 0
        TSS_ENTRY B, B_AT, 0x67, 0x89
        TSS_ENTRY C, C_AT, 0x2b, 0x81
        mov edi, B_AT
        xor eax, eax
        mov ecx, 26
        rep stosd
        mov dword [B_AT + 4], ENTRY_TOP
        mov dword [B_AT + 8], DATA
        mov dword [B_AT + 32], b_begin
        mov dword [B_AT + 36], 2
        mov dword [B_AT + 56], OTHER_TOP
        mov dword [B_AT + 72], DATA
        mov dword [B_AT + 76], CODE
        mov dword [B_AT + 80], DATA
        mov dword [B_AT + 84], DATA
        mov word [B_AT + 102], 104
        mov edi, C_AT
        mov ecx, 11
        rep stosd
        mov word [C_AT + 14], c_begin - 0x100000
        mov word [C_AT + 16], 2
        mov word [C_AT + 26], 0xfff0   ; SP: the upper half of ESP is all ones (SDM 3A, 8.6), C loads its own
        mov word [C_AT + 34], DATA
        mov word [C_AT + 36], CODE_C
        mov word [C_AT + 38], DATA
        mov word [C_AT + 40], DATA
        popad
        ret

; Vector eax goes to B.
task_gate:
        mov dword [IDT_AT + eax * 8], B << 16
        mov dword [IDT_AT + eax * 8 + 4], 0x8500
        ret

verdict_inline:
        pushad
        SAY ": "
        call how_it_ended
        popad
        ret

b_begin:
        cmp byte [with_error], 0
        je .tell
        pop eax
        SAY " error code"
        SHOW eax
        mov dword [ENTRY(FREE_SEL + 5 * 8) + 4], 0x00cf9300
.tell:
        call tell
        mov eax, 0xbbbbbbbb
        mov ebx, eax
        mov ecx, eax
        mov edx, eax
        mov esi, eax
        mov edi, eax
        mov ebp, eax
        pushf
        test byte [esp + 1], 0x40
        jz b_jumps
        popf
        iret
        jmp b_begin
b_jumps:
        popf
        jmp TSS_SEL:0
c_begin:
        mov esp, OTHER_TOP
        jmp CODE:.flat
.flat:
        call tell
        mov ebp, 0
        clc
        iret

; TR, link, NT, TS, busy bits.
tell:
        pushfd
        pushad
        SAY ":"
        str ecx
        SHOW ecx
        movzx eax, cx
        mov eax, TSS_AT
        cmp ecx, TSS_SEL
        je .link
        mov eax, B_AT
        cmp ecx, B
        je .link
        mov eax, C_AT
.link:
        movzx eax, word [eax]
        SHOW eax
        mov eax, [esp + 32]
        shr eax, 14
        and eax, 1
        SHOW eax
        mov eax, cr0
        shr eax, 3
        and eax, 1
        SHOW eax
%macro BUSY 1
        movzx eax, byte [ENTRY(%1) + 5]
        shr eax, 1
        and eax, 1
        SHOW eax
%endmacro
        BUSY TSS_SEL
        BUSY B
        BUSY C
        popad
        popfd
        ret

        align 4
null:       dd 0
with_error: db 0
