; SPDX-License-Identifier: MIT
; tests/isa/exceptions.asm - exceptions in 64-bit mode (Intel SDM 3A, 6.15): error codes and saved RIP, ring 3, DPL of
; gates, IST and #DF (bad_79), gates that are wrong (bad_81), the shadow of STI and MOV SS with TF (bad_78), single
; step, breakpoints and DR6, division (bad_90), length and LOCK (bad_72, bad_88), MOV SS (bad_77), non-canonical
; values for MSRs and tables (bad_75, bad_76).
%define ISA64
%include "isa.inc"

BAD     equ 0x0000800000000000

main:
        call find_strict
        mov r15, BAD
        xor eax, eax
        xor edx, edx
        xor ebp, ebp
        TRY "bad_90 DIV by zero", div ebp
        mov edx, 1
        mov ebp, 1
        TRY "bad_90 DIV overflow", div ebp
        mov eax, 0x80000000
        mov edx, 0xffffffff
        mov ebp, -1
        TRY "bad_90 IDIV of the least by -1", idiv ebp
        mov rax, 0x8000000000000000
        mov rdx, -1
        mov rbp, -1
        TRY "bad_90 IDIV of the least 64-bit number by -1", idiv rbp
        mov ax, 0x8000
        mov bl, -1
        TRY "bad_90 IDIV of bytes", idiv bl
        TRY "INT3", int3
        TRY "INT 3 with a byte", db 0xcd, 3
        TRY "INT 0x21", int 0x21
        TRY "~INT of an absent gate", int 0x90
        TRY "INTO in 64-bit mode", db 0xce
        TRY "UD2", ud2
        TRY "bad_88 LOCK NOP", db 0xf0, 0x90
        TRY "bad_88 LOCK ADD with a register", db 0xf0, 0x01, 0xc0
        TRY "~bad_88 LOCK MOV", db 0xf0, 0x89, 0x04, 0x25, 0, 0, 0x40, 0
        TRY "bad_88 LOCK CMP", db 0xf0, 0x39, 0x04, 0x25, 0, 0, 0x40, 0
        TRY "~bad_88 LOCK BT", db 0xf0, 0x0f, 0xa3, 0x04, 0x25, 0, 0, 0x40, 0
        TRY "bad_88 LOCK BTS", db 0xf0, 0x0f, 0xab, 0x04, 0x25, 0, 0, 0x40, 0
        TRY "~bad_88 LOCK at the end of a jump", db 0xf0, 0xeb, 0
        mov ebp, 0x400008
        TRY "~bad_88 CMPXCHG16B misaligned", cmpxchg16b [rbp]
        TRY "bad_88 CMPXCHG16B with a register", db 0x48, 0x0f, 0xc7, 0xc8
        TRY "~MOVAPS misaligned", movaps xmm0, [rbp]
        TRY "bad_72 15 bytes", db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        TRY "bad_72 16 bytes", db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        TRY "bad_72 15 bytes with an immediate", db 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x48, 0x83, 0xc0, 0x01, 0x90
        TRY "bad_72 16 bytes with an immediate", db 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x48, 0x83, 0xc0, 0x01
        TRY "POP ES in 64-bit mode", db 0x07
        TRY "AAA in 64-bit mode", db 0x37
        TRY "far JMP by a number in 64-bit mode", db 0xea, 0, 0, 0, 0, 0, 0

; Segments, tables and MSRs.
        mov eax, USER_DATA
        TRY "bad_77 MOV SS with RPL 3", mov ss, eax
        mov eax, CODE
        TRY "bad_77 MOV SS with code", mov ss, eax
        xor eax, eax
        TRY "bad_77 MOV SS with null in ring 0", mov ss, eax
        mov eax, DATA
        mov ss, eax
        mov eax, 3
        TRY "~bad_77 MOV SS with null of RPL 3", mov ss, eax
        mov eax, 0xfff8
        TRY "MOV DS beyond the GDT", mov ds, eax
        xor eax, eax
        lldt ax
        mov eax, 4
        TRY "MOV DS from an LDT that is not", mov ds, eax
        mov eax, FREE_SEL
        TRY "MOV DS of an empty entry", mov ds, eax
        mov dword [isa_gdt_free + 4], 0x00cf1300
        TRY "MOV DS not present", mov ds, eax
        TRY "MOV CS", db 0x8e, 0xc8
        mov eax, TSS_SEL
        TRY "LTR of a busy TSS", ltr ax
        mov eax, DATA
        TRY "LTR of data", ltr ax
        TRY "LLDT of data", lldt ax
        mov [0x400002], r15
        TRY "~bad_76 LGDT non-canonical", lgdt [0x400000]
        TRY "~bad_76 LIDT non-canonical", lidt [0x400000]
        lgdt [isa_gdtr]
        lidt [isa_idtr]
%macro BAD_MSR 2
        mov ecx, %2
        mov eax, 0
        mov edx, 0x8000
        TRY %1, wrmsr
%endmacro
        BAD_MSR "~bad_75 WRMSR FS_BASE", 0xc0000100
        BAD_MSR "~bad_75 WRMSR GS_BASE", 0xc0000101
        BAD_MSR "~bad_75 WRMSR KERNEL_GS_BASE", 0xc0000102
        BAD_MSR "~bad_75 WRMSR LSTAR", 0xc0000082
        BAD_MSR "bad_93 WRMSR of what is not", 0x12345678
        TRY "bad_93 RDMSR of what is not", rdmsr
        IF_STRICT .controls_end
        mov rax, 1 << 32
        TRY "~MOV CR0, bit 32", mov cr0, rax
        mov eax, 0x80000010
        TRY "~MOV CR0, PG without PE", mov cr0, rax
        mov eax, 0x20000011
        TRY "~MOV CR0, NW without CD", mov cr0, rax
        mov rax, cr4
        and eax, ~0x20
        TRY "~MOV CR4, PAE off in long mode", mov cr4, rax
        mov rax, cr4
        bts rax, 15
        TRY "~MOV CR4, a reserved bit", mov cr4, rax
        TRY "~MOV CR1", db 0x0f, 0x20, 0xc8
        mov eax, 9
        mov rax, -1
        TRY "~MOV CR8, reserved bits", db 0x44, 0x0f, 0x22, 0xc0
.controls_end:

; Ring 3.
        TRY_USER "ring 3: CLI", cli
        TRY_USER "ring 3: HLT", hlt
        TRY_USER "ring 3: MOV CR0", mov rax, cr0
        TRY_USER "ring 3: MOV DR0", mov rax, dr0
        TRY_USER "ring 3: RDMSR", rdmsr
        TRY_USER "ring 3: LGDT", lgdt [0x400000]
        TRY_USER "ring 3: INVLPG", invlpg [0x400000]
        TRY_USER "ring 3: WBINVD", wbinvd
        TRY_USER "ring 3: SWAPGS", swapgs
        TRY_USER "ring 3: SYSRET", o64 sysret
        mov byte [TSS_AT + 104 + 0x10], 1
        TRY_USER "ring 3: IN of a port that the bitmap denies", in al, 0x80
        TRY_USER "ring 3: INT3, a gate of DPL 3", int3
        TRY_USER "ring 3: INT 3, a gate of DPL 3", db 0xcd, 3
        TRY_USER "~ring 3: INT 0x21, a gate of DPL 0", int 0x21
        TRY_USER "~ring 3: INT1, DPL does not matter", db 0xf1
        TRY_USER "ring 3: UD2", ud2
        mov qword [user_flags], 0x3002
        TRY_USER "ring 3: CLI with IOPL 3", cli
        TRY_USER "ring 3: IN with IOPL 3", in al, 0x80
        mov qword [user_flags], 2
        TRY_USER "ring 3: POPF leaves IOPL", call user_popf
        SAY "flags then"
        SHOW r14
        call line
        mov byte [TSS_AT + 104 + 0x10], 0xfe
        TRY_USER "ring 3: IN byte from an allowed port", in al, 0x80
        TRY_USER "ring 3: IN word of which the second is denied", in ax, 0x80

; Alignment check: only in ring 3, with AM and AC.
        mov rax, cr0
        bts rax, 18
        mov cr0, rax
        mov ebp, 0x400001
        TRY_USER "AM without AC", mov eax, [rbp]
        mov qword [user_flags], 0x40002
        TRY_USER "~#AC: dword at an odd address", mov eax, [rbp]
        TRY_USER "#AC: byte", mov al, [rbp]
        mov qword [user_flags], 2

; Gates.
        mov rsi, isa_stubs
        GATE 0x30, isa_fault, 0x0e00
        TRY "~bad_81 INT of a gate that is not present", int 0x30
        GATE 0x30, isa_fault, 0x8900
        TRY "~bad_81 INT of a gate of a bad type", int 0x30
        GATE 0x30, isa_fault, 0x8e00
        mov word [IDT_AT + 0x302], DATA
        TRY "bad_81 INT by data", int 0x30
        mov word [IDT_AT + 0x302], 0
        TRY "bad_81 INT by null", int 0x30
        mov word [IDT_AT + 0x302], CODE32
        TRY "bad_81 INT by 32-bit code", int 0x30
        mov word [IDT_AT + 0x302], 0x1000
        TRY "bad_81 INT by a selector beyond the GDT", int 0x30
        mov word [IDT_AT + 0x302], CODE
        mov dword [IDT_AT + 0x308], 0x8000
        TRY "~bad_81 INT to a non-canonical address", int 0x30

; IST, and the stack's alignment.
        mov qword [TSS_AT + 36], OTHER_TOP - 3
        GATE 0x31, ist_handler, 0x8e01
        SAY "IST: stack pointer in the handler"
        int 0x31
        SHOW r14
        call line
        GATE 0x31, ist_handler, 0x8e00
        SAY "no IST: bytes from an aligned stack to the frame"
        mov rbp, rsp
        and rsp, -16
        mov rbx, rsp
        sub rsp, 8
        int 0x31
        mov rsp, rbp
        sub rbx, r14
        SHOW rbx
        call line
        mov [TSS_AT + 36], r15
        GATE 0x31, ist_handler, 0x8e01
        mov qword [TSS_AT + 44], OTHER_TOP
        GATE 12, isa_stubs + 12 * (isa_stub_1 - isa_stubs), 0x8e02
        GATE 13, isa_stubs + 13 * (isa_stub_1 - isa_stubs), 0x8e02
        TRY "~bad_81 IST non-canonical", int 0x31

; A page fault whose handler is not there, then one on a stack that is not.
        mov qword [PML4_AT + 0x2000 + 5 * 8], 0
        mov rax, cr3
        mov cr3, rax
        GATE 14, isa_fault, 0x0e00
        GATE 8, isa_stubs + 8 * (isa_stub_1 - isa_stubs), 0x8e02
        TRY "bad_79 page fault without a gate", mov eax, [0xa00000]
        GATE 14, isa_stubs + 14 * (isa_stub_1 - isa_stubs), 0x8e00
        BEGIN_CASE
        mov rsp, 0xb00000
        mov qword [case_ip], .no_stack
.no_stack:
        push rax
CASE_ENDED:
        SAY "bad_79 page fault without a stack"
        call verdict
        mov word [IDT_AT + 14 * 16 + 2], 0x1000
        TRY "bad_79 page fault whose gate has a bad selector", mov eax, [0xa00000]
        mov word [IDT_AT + 14 * 16 + 2], CODE
        GATE 0x30, isa_fault, 0x0e00
        GATE 11, isa_fault, 0x0e00
        TRY "bad_79 gate not present, nor that of #NP", int 0x30
        mov al, 0
        jmp finish
ist_handler:
        mov r14, rsp
        iretq
user_popf:
        push 0x3202
        popfq
        pushfq
        pop r14
        ret
