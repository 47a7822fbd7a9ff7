; SPDX-License-Identifier: MIT
; tests/isa/debug.asm - single step, breakpoints and DR6 (Intel SDM 3B, 18.2-18.3), the shadow of STI and MOV SS
; (bad_78, SDM 3A, 6.8.3), NMIs blocked until IRET (6.7.1), HLT woken by the PIT, by the local APIC's timer and by an
; NMI. Each #DB is told as its distance from the case's begin, and DR6.
%define ISA64
%include "isa.inc"

APIC    equ 0xfee00000

main:
        call find_strict
        mov r14d, APIC
        GATE 1, on_debug, 0x8e00
        GATE 2, on_nmi, 0x8e00
        GATE 0x40, on_timer, 0x8e00
        GATE 0x41, on_timer, 0x8e00
        GATE 0x20, on_pit, 0x8e00
        GATE 0x22, on_steps, 0x8e00
        xor eax, eax
        mov dr7, rax

%macro BEGIN 1
        SAY {%1, ":"}
        mov eax, 0xffff0ff0
        mov dr6, rax
        lea r12, [%%begin]
        mov r13, 8             ; at most so many are told
%%begin:
%endmacro
; Single step.
        BEGIN "TF set by POPF"
        push 0x102
        popfq
        nop
        nop
        push 2
        popfq
        call line
        BEGIN "bad_78 TF and MOV SS: one step for both"
        mov ecx, DATA
        push 0x102
        popfq
        mov ss, ecx
        nop
        push 2
        popfq
        call line
        BEGIN "TF and INT: not in the handler"
        push 0x102
        popfq
        int 0x22
        push 2
        popfq
        call line
        BEGIN "TF and a repeated instruction"
        mov ecx, 3
        mov esi, 0x400000
        mov edi, 0x400100
        push 0x102
        popfq
        rep movsb
        push 2
        popfq
        call line
        BEGIN "TF and REP with RCX 0"
        xor ecx, ecx
        push 0x102
        popfq
        rep movsb
        push 2
        popfq
        call line
        BEGIN "TF and jumps"
        push 0x102
        popfq
        jmp .jump
        nop
.jump:  call .called
.called:
        push 2
        popfq
        pop rax
        call line

; Breakpoints: DR0 for instructions, DR1 for data.
        BEGIN "instruction breakpoint, a fault; RF passes it"
        mov rax, .here
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        nop
.here:  nop
        nop
        xor eax, eax
        mov dr7, rax
        call line
        BEGIN "~instruction breakpoint after MOV SS waits"
        mov rax, .after_ss
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        mov ecx, DATA
        mov ss, ecx
.after_ss:
        nop
        xor eax, eax
        mov dr7, rax
        call line
%macro WATCH 3+                ; text, DR7, instructions
        BEGIN %1
        mov ebp, 0x400000
        mov dr1, rbp
        mov eax, %2
        mov dr7, rax
        %3
        nop
        xor eax, eax
        mov dr7, rax
        call line
%endmacro
        WATCH "data write breakpoint, a trap", 0x00d00404, mov [rbp], eax
        WATCH "its last byte", 0x00d00404, mov [rbp + 3], al
        WATCH "the byte behind", 0x00d00404, mov [rbp + 4], al
        WATCH "a dword that begins before it", 0x00d00404, mov [rbp - 2], eax
        WATCH "it is read", 0x00d00404, mov eax, [rbp]
        WATCH "read and write breakpoint, read", 0x00f00404, mov eax, [rbp]
        WATCH "disabled", 0x00f00400, mov eax, [rbp]
        WATCH "global enable", 0x00f00408, mov eax, [rbp]
        WATCH "locked ADD", 0x00d00404, lock add [rbp], eax
        WATCH "8 bytes", 0x00900404, mov [rbp + 7], al
        mov edi, 0x400000 - 2
        mov ecx, 4
        WATCH "REP STOSB: the iteration that hits", 0x00100404, rep stosb
        SHOW32 ecx
        call line
        mov rax, cr4
        or eax, 8
        mov cr4, rax
        mov ebp, 0x400000
        TRY "DR4 with DE", mov rax, dr4
        BEGIN "~I/O breakpoint"
        mov eax, 0x80
        mov dr1, rax
        mov eax, 0x00200404
        mov dr7, rax
        out 0x80, al
        nop
        xor eax, eax
        mov dr7, rax
        call line
        mov rax, cr4
        and eax, ~8
        mov cr4, rax
        mov eax, 0xffff0ff0
        mov dr6, rax
        mov rax, dr4
        SAY "DR4 without DE is DR6"
        SHOW rax
        call line
        BEGIN "~general detect"
        mov eax, 0x2400
        mov dr7, rax
        mov rax, dr3
        mov rax, dr7
        SHOW rax
        call line
        xor eax, eax
        mov dr7, rax
        GATE 1, isa_stubs + 1 * (isa_stub_1 - isa_stubs), 0x8e00
        mov rax, 1 << 32
        TRY "MOV DR7, high bits", mov dr7, rax
        TRY "MOV DR6, high bits", mov dr6, rax

; Interrupts.
        LINE_0_ONLY
        mov al, 0x30           ; channel 0, mode 0
        out 0x43, al
        mov al, 0
        out 0x40, al
        mov al, 0x20
        out 0x40, al
        SAY "HLT woken by the PIT:"
        sti
        hlt
        cli
        SHOW [ticks]
        call line
        mov al, 0xff
        out 0x21, al

        mov dword [r14 + 0xf0], 0x1ff
        mov dword [r14 + 0x3e0], 0xb
        mov dword [r14 + 0x320], 0x40
        mov dword [r14 + 0x380], 100000
        SAY "HLT woken by the local APIC's timer:"
        sti
        hlt
        cli
        SHOW [timers]
        call line

        mov dword [r14 + 0x300], 0x44041
        SAY "bad_78 interrupt pending, STI, CLI:"
        sti
        cli
        SHOW [timers]
        SAY ", STI, NOP, CLI:"
        sti
        nop
        cli
        SHOW [timers]
        call line
        mov dword [r14 + 0x300], 0x44041
        SAY "bad_78 POPF lets it in at once:"
        push 0x202
        popfq
        cli
        SHOW [timers]
        call line
        mov dword [r14 + 0x300], 0x44041
        SAY "STI, MOV SS, NOP, CLI:"
        mov ecx, DATA
        sti
        mov ss, ecx
        nop
        cli
        SHOW [timers]
        call line
        mov dword [r14 + 0x80], 0x50
        mov dword [r14 + 0x300], 0x44041
        SAY "priority below TPR waits:"
        sti
        nop
        nop
        SHOW [timers]
        SAY ", until CR8 is lowered:"
        xor eax, eax
        mov cr8, rax
        nop
        nop
        cli
        SHOW [timers]
        call line

        mov dword [r14 + 0x310], 0
        mov dword [r14 + 0x300], 0x4400
        mov ecx, 1000000
.nmi:
        pause
        cmp qword [nmis], 2
        je .nmis
        loop .nmi
.nmis:
        SAY "NMIs with IF=0:"
        SHOW [nmis]
        SAY ", while the first was handled:"
        SHOW [nmis_within]
        SAY ", after an INT and IRET in its handler:"
        SHOW [nmis_after_iret]
        call line
        mov al, 0
        jmp finish

; Tells of a #DB and goes on, with RF.
on_debug:
        PUSH_ALL
        or dword [rsp + 64], 0x10000
        test r13, r13
        jz .out
        dec r13
        mov rax, [rsp + 48]
        sub rax, r12
        call show_value
        mov al, '/'
        call putc
        mov rax, dr6
        and eax, 0xe00f
        call hex
        mov eax, 0xffff0ff0
        mov dr6, rax
.out:
        POP_ALL
        iretq
on_steps:
        nop
        iretq
on_timer:
        inc qword [timers]
        mov dword [r14 + 0xb0], 0
        iretq
on_pit:
        push rax
        inc qword [ticks]
        mov al, 0x20
        out 0x20, al
        pop rax
        iretq
; The first sends itself another one, and sees whether that comes before its own IRET, or after one of an INT.
on_nmi:
        push rax
        push rcx
        inc qword [nmis]
        cmp qword [nmis], 1
        jne .out
        mov dword [r14 + 0x300], 0x4400
        mov ecx, 10000
.wait:
        pause
        loop .wait
        mov rax, [nmis]
        mov [nmis_within], rax
        int 0x22
        mov ecx, 10000
.again:
        pause
        loop .again
        mov rax, [nmis]
        mov [nmis_after_iret], rax
.out:
        pop rcx
        pop rax
        iretq

        align 8
ticks:  dq 0
timers: dq 0
nmis:   dq 0
nmis_within: dq 0
nmis_after_iret: dq 0
