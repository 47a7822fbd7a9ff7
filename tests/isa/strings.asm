; SPDX-License-Identifier: MIT
; tests/isa/strings.asm - repeated string instructions (Intel SDM 2, REP; bad_87): overlap, DF, addresses that wrap, faults
; in the middle with an enormous RCX, interrupts between the elements; x87, MMX and SSE exceptions (#NM, #MF, #XM),
; FXSAVE and FXRSTOR (bad_89); CPUID and MSRs that every processor has (bad_93).
%define ISA64
%include "isa.inc"

AREA    equ 0x400000
GAP     equ 0xa00000           ; from here on 2 MiB are absent

; RCX, and how far RSI and RDI came.
%macro STATE 0
        SAY "  rcx, rsi, rdi:"
        SHOW rcx
        SHOW rsi
        SHOW rdi
        call line
%endmacro

main:
        call find_strict
        mov qword [PML4_AT + 0x2000 + 5 * 8], 0
        mov rax, cr3
        mov cr3, rax

        call bytes
        mov ecx, 16
        mov esi, AREA
        mov edi, AREA + 1
        rep movsb
        SAY "MOVSB, overlap by one:"
        SHOW [AREA]
        SHOW [AREA + 16]
        call line
        call bytes
        mov ecx, 16
        mov esi, AREA
        mov edi, AREA + 3
        rep movsb
        SAY "MOVSB, overlap by three:"
        SHOW [AREA]
        SHOW [AREA + 16]
        call line
        call bytes
        mov ecx, 3
        mov esi, AREA
        mov edi, AREA + 4
        rep movsq
        SAY "MOVSQ, overlap by four:"
        SHOW [AREA]
        SHOW [AREA + 8]
        SHOW [AREA + 16]
        SHOW [AREA + 24]
        call line
        call bytes
        mov ecx, 8
        mov esi, AREA + 15
        mov edi, AREA + 17
        std
        rep movsb
        cld
        SAY "MOVSB down:"
        SHOW [AREA + 8]
        SHOW [AREA + 16]
        call line
        call bytes
        mov ecx, 2
        mov esi, AREA + 24
        mov edi, AREA + 20
        std
        rep movsq
        cld
        SAY "MOVSQ down, overlap:"
        SHOW [AREA + 8]
        SHOW [AREA + 16]
        SHOW [AREA + 24]
        call line
        STATE
        call bytes
        mov ecx, 4
        mov esi, AREA + 4
        mov edi, AREA
        a32 rep movsw
        SAY "MOVSW by 32-bit addresses:"
        SHOW [AREA]
        call line
        mov rcx, 0x123456789abc0000
        mov rsi, 0xffffffff00400000
        mov rdi, 0xffffffff00400000
        a32 movsb
        SAY {"MOVSB by 32-bit addresses, once: rsi, rdi lose their upper halves", 10}
        STATE

; Across a fault: all before it is done, and it goes on there.
        mov rcx, -1
        mov esi, AREA
        mov edi, GAP - 5
        TRY "bad_87 STOSB into an absent page, RCX 2^64-1", rep stosb
        STATE
        mov rcx, -1
        mov edi, GAP - 20
        TRY "bad_87 STOSQ", rep stosq
        STATE
        mov rcx, -1
        mov esi, GAP - 3
        mov edi, AREA
        TRY "bad_87 MOVSB from an absent page", rep movsb
        STATE
        mov rcx, -1
        mov esi, AREA
        mov edi, GAP - 0x1003
        TRY "bad_87 MOVSB into an absent page, 4 KiB before", rep movsb
        STATE
        mov rcx, -1
        mov esi, GAP + 0x200002
        mov edi, AREA
        SAY "bad_87 MOVSB down into an absent page"
        std
        QUIET rep movsb
        call verdict
        STATE
        mov rcx, -1
        mov edi, GAP - 2
        mov al, 1
        TRY "bad_87 SCASB", repe scasb
        STATE
        mov rcx, -1
        mov edi, GAP - 0x10
        xor eax, eax
        mov [GAP - 0x10], rax
        mov [GAP - 8], rax
        TRY "bad_87 REPE SCASB into an absent page", repe scasb
        STATE
        mov rcx, -1
        mov esi, GAP - 0x10
        TRY "bad_87 REP LODSB", rep lodsb
        STATE
        mov rcx, 3
        mov esi, AREA
        mov edi, GAP
        TRY "bad_87 REPE CMPSB", repe cmpsb
        STATE
        xor ecx, ecx
        mov edi, GAP
        TRY "REP STOSB of nothing at an absent page", rep stosb
        mov byte [AREA + 5], 0x77
        mov edi, AREA
        mov ecx, 100
        mov al, 0x77
        repne scasb
        SAY {"REPNE SCASB, found", 10}
        STATE

; Interrupts of the PIT between the elements: 256 KiB are filled many times, and are right.
        GATE 0x20, on_pit, 0x8e00
        LINE_0_ONLY
        mov al, 0x34
        out 0x43, al
        mov al, 0
        out 0x40, al
        mov al, 4
        out 0x40, al
        xor ebp, ebp
        sti
.fill:  inc ebp
        mov eax, ebp
        mov edi, AREA
        mov ecx, 0x10000
        rep stosd
        mov esi, AREA
        mov edi, AREA + 0x40000
        mov ecx, 0x40000
        rep movsb
        mov edi, AREA + 0x40000
        mov ecx, 0x10000
        repe scasd
        jne .wrong
        cmp qword [ticks], 20
        jb .fill
.wrong: cli
        mov al, 0xff
        out 0x21, al
        SAY "bad_87 with interrupts between the elements, what is left:"
        SHOW rcx
        call line

; x87, MMX, SSE.
        mov rax, cr0
        or eax, 8
        mov cr0, rax
        TRY "TS: x87", fninit
        TRY "TS: MMX", paddb mm0, mm1
        TRY "TS: SSE", addps xmm0, xmm1
        TRY "TS: FXSAVE", fxsave [AREA]
        TRY "TS: WAIT without MP", fwait
        mov rax, cr0
        or eax, 2
        mov cr0, rax
        TRY "TS: WAIT with MP", fwait
        clts
        mov rax, cr0
        or eax, 4
        mov cr0, rax
        TRY "EM: x87", fninit
        TRY "EM: MMX", paddb mm0, mm1
        TRY "EM: SSE", addps xmm0, xmm1
        mov rax, cr0
        and eax, ~6
        mov cr0, rax
        mov rax, cr4
        and eax, ~0x200
        mov cr4, rax
        TRY "no OSFXSR: SSE", addps xmm0, xmm1
        mov rax, cr4
        or eax, 0x200
        mov cr4, rax
        fninit
        mov word [AREA], 0x37b         ; division by zero is not masked
        fldcw [AREA]
        fld1
        fldz
        TRY "FDIV by zero is only noted", fdivp st1, st0
        TRY "~#MF at the next instruction", fld1
        TRY "FNSTSW does not wait", fnstsw ax
        TRY "#MF at WAIT", fwait
        TRY "~#MF at MMX", paddb mm0, mm1
        fnclex
        TRY "after FNCLEX", fld1
        fninit
        mov dword [AREA], 0x1d80       ; MXCSR: division by zero is not masked
        ldmxcsr [AREA]
        mov dword [AREA], 0x3f800000
        movss xmm0, [AREA]
        xorps xmm1, xmm1
        TRY "~#XM by DIVSS", divss xmm0, xmm1
        mov rax, cr4
        and eax, ~0x400
        mov cr4, rax
        TRY "~#UD by DIVSS without OSXMMEXCPT", divss xmm0, xmm1
        mov rax, cr4
        or eax, 0x400
        mov cr4, rax
        stmxcsr [AREA]
        SAY "MXCSR then:"
        SHOW32 [AREA]
        call line
        mov dword [AREA], 0x11f80
        TRY "~LDMXCSR, reserved bits", ldmxcsr [AREA]
        mov dword [AREA], 0x1f80
        ldmxcsr [AREA]
        TRY "~FXSAVE misaligned", fxsave [AREA + 8]
        fxsave [AREA]
        mov dword [AREA + 24], 0x11f80
        TRY "~bad_89 FXRSTOR, reserved bits of MXCSR", fxrstor [AREA]
        mov dword [AREA + 24], 0x1f80
        mov rax, 0x1122334455667788
        mov [AREA + 416 + 8], rax
        mov [AREA + 500], rax
        TRY "FXRSTOR, bytes that are for software", fxrstor [AREA]

; CPUID and MSRs.
%macro LEAF 2                  ; text, leaf
        mov eax, %2
        xor ecx, ecx
        cpuid
        SAY %1
%endmacro
        LEAF "bad_93 CPUID 1: FPU, TSC, MSR, PAE, CX8, APIC, CMOV, MMX, FXSR, SSE, SSE2:", 1
        and edx, 0x07808371
        SHOW rdx
        call line
        LEAF "bad_93 CPUID 1: SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT:", 1
        and ecx, 0x00982201
        SHOW rcx
        call line
        LEAF "bad_93 CPUID 80000001: NX, LM, SYSCALL:", 0x80000001
        and edx, 0x20100800
        SHOW rdx
        call line
        mov rax, -1
        mov rbx, rax
        LEAF "bad_93 CPUID clears the upper halves:", 0
        or rax, rbx
        or rax, rcx
        or rax, rdx
        shr rax, 32
        SHOW rax
        call line
%macro MSR 2
        SAY {"bad_93 RDMSR ", %1}
        mov ecx, %2
        QUIET rdmsr
        call verdict
%endmacro
        MSR "TSC", 0x10
        MSR "APIC_BASE", 0x1b
        MSR "SYSENTER_CS", 0x174
        MSR "MTRR_CAP", 0xfe
        MSR "PAT", 0x277
        MSR "MTRR_DEF_TYPE", 0x2ff
        MSR "EFER", 0xc0000080
        MSR "STAR", 0xc0000081
        MSR "LSTAR", 0xc0000082
        MSR "SFMASK", 0xc0000084
        MSR "FS_BASE", 0xc0000100
        MSR "KERNEL_GS_BASE", 0xc0000102
        MSR "what is not", 0x4fffffff
        mov ecx, 0x277
        xor eax, eax
        mov eax, 2
        xor edx, edx
        TRY "bad_93 WRMSR PAT, a reserved type", wrmsr
        mov ecx, 0xc0000080
        mov eax, 0xffff
        TRY "bad_93 WRMSR EFER, reserved bits", wrmsr
        mov al, 0
        jmp finish

bytes:
        mov edi, AREA
        xor eax, eax
.byte:  mov [rdi + rax], al
        inc eax
        cmp eax, 64
        jb .byte
        ret
on_pit:
        push rax
        inc qword [ticks]
        mov al, 0x20
        out 0x20, al
        pop rax
        iretq
        align 8
ticks:  dq 0
