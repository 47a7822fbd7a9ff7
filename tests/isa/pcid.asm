; SPDX-License-Identifier: MIT
; tests/isa/pcid.asm - process-context identifiers (Intel SDM 3A, 4.10.1 and 4.10.4): what CR3 and CR4 refuse, contexts
; that keep their pages and their code apart, more of them than a processor may care to keep, and what MOV to CR3, INVLPG,
; INVPCID and MOV to CR4 must forget. What they need not forget is not looked at.
%define ISA64
%define USER_ALIAS 0x40000000  ; the image once more, for ring 3
%include "isa.inc"

T       equ 0x8000000000       ; under an entry of each context's own
TABLES  equ 0x300000           ; of context n: PML4, PDPT, directory and table at TABLES + n * 0x4000
PAGES   equ 0x800000           ; page n holds code that returns n
CONTEXTS equ 20
KEEP    equ 1 << 63

; Goes to context %1; with KEEP its translations may be used as they are.
%macro GO 1-2 0
        mov rax, TABLES + (%1) * 0x4000 | (%1) | %2
        mov cr3, rax
%endmacro
; Has T + 0x1000 * %2 of context %1 mean page %3, with flags %4.
%macro MAP 3-4 7
        mov qword [TABLES + (%1) * 0x4000 + 0x3000 + (%2) * 8], PAGES + (%3) * 0x1000 | %4
%endmacro
; Reads T in ring 0 and in ring 3, and runs it in both: the page's number four times.
%macro LOOK 0-1 0
        mov rdi, T + (%1) * 0x1000
        call look
%endmacro

main:
        mov eax, 1
        cpuid
        bt ecx, 17
        jc .has
        SAY {"this processor has no PCID", 10}
        mov al, 1
        jmp finish
.has:
        ALIAS_FOR_USER
        mov edi, TABLES
        mov ecx, CONTEXTS * 0x800
        xor eax, eax
        rep stosq
        mov edi, PAGES
        xor eax, eax
.page:
        mov byte [rdi], 0xb8           ; MOV EAX, number; RET
        mov [rdi + 1], eax
        mov byte [rdi + 5], 0xc3
        add edi, 0x1000
        inc eax
        cmp eax, 2 * CONTEXTS
        jb .page
        mov edi, TABLES
        mov edx, PAGES | 7
.context:
        mov rax, [PML4_AT]
        mov [rdi], rax
        lea rax, [rdi + 0x1007]
        mov [rdi + 8], rax
        add rax, 0x1000
        mov [rdi + 0x1000], rax
        add rax, 0x1000
        mov [rdi + 0x2000], rax
        mov [rdi + 0x3000], rdx
        add edx, 0x1000
        add edi, 0x4000
        cmp edi, TABLES + CONTEXTS * 0x4000
        jb .context

        mov rbx, TABLES | KEEP
        TRY "bad_84 MOV to CR3 with bit 63, PCIDE=0", mov cr3, rbx
        mov rax, TABLES + 0x4000 | 0x18
        mov cr3, rax
        mov rbx, cr4
        bts rbx, 17
        TRY "bad_84 PCIDE with a PCID in CR3", mov cr4, rbx
        mov rax, TABLES
        mov cr3, rax
        TRY "PCIDE", mov cr4, rbx
        mov rbx, cr0
        btr rbx, 31
        TRY "PG=0 with PCIDE", mov cr0, rbx
        mov rbx, TABLES + 0x4000 | 1 | KEEP
        TRY "MOV to CR3 with bit 63", mov cr3, rbx
        mov rax, cr3
        SAY "CR3:"
        SHOW rax
        call line

        SAY "1, 2, 1 and 2 kept:"
        GO 1
        LOOK
        GO 2
        LOOK
        GO 1, KEEP
        LOOK
        GO 2, KEEP
        LOOK
        call line

        SAY "MOV to CR3 of the same:"
        GO 1
        LOOK
        MAP 1, 0, 21
        GO 1
        LOOK
        call line
        SAY "MOV to CR3 of another, not kept:"
        GO 2, KEEP
        MAP 1, 0, 1
        GO 1
        LOOK
        call line
        SAY "INVLPG:"
        MAP 1, 0, 21
        mov rdi, T
        invlpg [rdi]
        LOOK
        MAP 1, 0, 1
        invlpg [rdi + 0xfff]
        LOOK
        call line

; Each of the next changes context 1 from 2.
%macro OTHER 2+
        SAY %1
        GO 1, KEEP
        LOOK
        GO 2, KEEP
        MAP 1, 0, 21
        %2
        GO 1, KEEP
        LOOK
        MAP 1, 0, 1
        GO 1
        call line
%endmacro
%macro INVPCID_OF 3
        mov qword [descriptor], %2
        mov rax, %3
        mov [descriptor + 8], rax
        mov ecx, %1
        invpcid rcx, [descriptor]
%endmacro
        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ebx, 10
        jnc .no_invpcid
        OTHER "INVPCID of an address:", INVPCID_OF 0, 1, T
        OTHER "INVPCID of a context:", INVPCID_OF 1, 1, 0
        OTHER "INVPCID of all:", INVPCID_OF 2, 0, 0
        OTHER "INVPCID of all but global ones:", INVPCID_OF 3, 0, 0
        mov rdi, descriptor
        mov ecx, 4
        TRY "INVPCID of type 4", invpcid rcx, [rdi]
        mov qword [descriptor], 0x1000
        mov ecx, 1
        TRY "INVPCID of PCID 0x1000", invpcid rcx, [rdi]
        mov qword [descriptor], 1
        mov rax, 0x800000000000
        mov [descriptor + 8], rax
        xor ecx, ecx
        TRY "INVPCID of an address that is not canonical", invpcid rcx, [rdi]
        mov rdi, descriptor + USER_ALIAS
        mov ecx, 2
        TRY_USER "INVPCID in ring 3", invpcid rcx, [rdi]
.no_invpcid:
        OTHER "PGE off and on:", call toggle_pge

; T + 0x1000 is global, and the same in all contexts.
%assign n 0
%rep CONTEXTS
        MAP n, 1, 30, 0x107
%assign n n + 1
%endrep
        SAY "INVLPG of a global page, seen from another context:"
        GO 1
        LOOK 1
        GO 2
        LOOK 1
%assign n 0
%rep CONTEXTS
        MAP n, 1, 31, 0x107
%assign n n + 1
%endrep
        mov rdi, T + 0x1000
        invlpg [rdi]
        LOOK 1
        GO 1, KEEP
        LOOK 1
        call line

; More contexts than are kept, in turns; all must be as their tables say.
        xor ebp, ebp                   ; those that are not
        mov r12d, 30                   ; turns
.turn:
        mov r13d, 1
.next:
        mov eax, r13d
        shl eax, 14
        lea rax, [rax + r13 + TABLES]
        cmp r12d, 30
        je .go
        bts rax, 63
.go:
        mov cr3, rax
        mov rdi, T
        QUIET_USER call rdi
        cmp eax, r13d
        setne al
        movzx eax, al
        add ebp, eax
        inc r13d
        cmp r13d, CONTEXTS
        jb .next
        dec r12d
        jnz .turn
        SAY "19 contexts in turns, wrong:"
        SHOW rbp
        call line

        mov rax, TABLES
        mov cr3, rax
        mov rbx, cr4
        btr rbx, 17
        TRY "PCIDE=0", mov cr4, rbx
        SAY "context 0:"
        LOOK
        call line
        mov al, 0
        jmp finish

toggle_pge:
        mov rax, cr4
        btr rax, 7
        mov cr4, rax
        bts rax, 7
        mov cr4, rax
        ret

look:
        QUIET mov eax, [rdi + 1]
        SHOW rax
        QUIET_USER mov eax, [rdi + 1]
        SHOW rax
        QUIET call rdi
        SHOW rax
        QUIET_USER call rdi
        SHOW rax
        SAY ","
        ret

        align 16
descriptor: dq 0, 0
