; SPDX-License-Identifier: MIT
; tests/isa/smap.asm - supervisor-mode access prevention (Intel SDM 3A, 4.6.1; bad_85): what ring 0 may do with pages of ring
; 3, with EFLAGS.AC and without, by 4 KiB and 2 MiB, in tables of the processor, and STAC and CLAC.
; Lines with ~ are of what QEMU's emulation does otherwise (CMakeLists.txt).
%define ISA64
%define USER_ALIAS 0x40000000  ; the image once more, for ring 3
%include "isa.inc"

T       equ 0x8000000000       ; alone under its PML4 entry: 4 KiB for all; T + 2 MiB likewise by a large page
E4      equ PML4_AT + 8
E3      equ 0x260000
E2      equ 0x261000
E1      equ 0x262000
PAGE    equ 0x400000

main:
        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ebx, 20
        jc .has
        SAY {"this processor has no SMAP", 10}
        mov al, 1
        jmp finish
.has:
        ALIAS_FOR_USER
        mov qword [E4], E3 | 7
        mov qword [E3], E2 | 7
        mov qword [E2], E1 | 7
        mov qword [E2 + 8], PAGE | 0x87
        mov qword [E1], PAGE | 7
        mov qword [E1 + 8], PAGE | 3   ; ring 0's own
        mov rax, cr3
        mov cr3, rax
        mov byte [PAGE], 0xc3
        mov rdi, T
        mov rsi, T + 0x200000

        TRY "bad_85 SMAP=0, read", mov al, [rdi]
        TRY "bad_85 SMAP=0, write", mov [rdi], al
        mov byte [PAGE], 0xc3
        mov rax, cr4
        bts rax, 21
        TRY "SMAP=1", mov cr4, rax
        TRY "bad_85 read of what was read before", mov al, [rdi]
        TRY "bad_85 write", mov [rdi], al
        TRY "bad_85 fetch, which SMAP does not forbid", call rdi
        TRY "bad_85 read by 2 MiB", mov al, [rsi]
        TRY "bad_85 write by 2 MiB", mov [rsi], al
        TRY "bad_85 read of a page of ring 0", mov al, [rdi + 0x1000]
        mov rbp, T + 0xffc
        TRY "bad_85 read across, from ring 3's page into ring 0's", mov rax, [rbp]
        TRY "STAC", stac
        TRY "bad_85 AC=1, read", mov al, [rdi]
        TRY "bad_85 AC=1, write", mov [rdi], al
        mov byte [PAGE], 0xc3
        TRY "bad_85 AC=1, read by 2 MiB", mov al, [rsi]
        TRY "bad_85 AC=1, read of a page of ring 0", mov al, [rdi + 0x1000]
        TRY "bad_85 AC=1, read across", mov rax, [rbp]
        clac
        TRY "bad_85 CLAC, read", mov al, [rdi]
        pushfq
        or dword [rsp], 1 << 18
        popfq
        TRY "bad_85 AC=1 by POPF, read", mov al, [rdi]
        clac
        TRY_USER "ring 3 reads", mov al, [rdi]
        TRY_USER "ring 3, STAC", stac
        TRY_USER "ring 3, CLAC", clac

; An LDT in a page of ring 3: the processor reads it for itself, and AC does not count.
        mov rax, 0x00cf93000000ffff
        mov [PAGE + 0x808], rax
        mov rax, 0x0000820008000fff    ; T + 0x800
        mov rdx, (T + 0x800) >> 32
        mov [isa_gdt + FREE_SEL], rax
        mov [isa_gdt + FREE_SEL + 8], rdx
        mov eax, FREE_SEL
        lldt ax
        mov edx, 0xc                   ; its entry 1
        TRY "bad_85 a segment of a table there", mov fs, edx
        stac
        TRY "~bad_85 the same with AC=1", mov fs, edx
        clac
        mov rax, cr4
        btr rax, 21
        mov cr4, rax
        TRY "and with SMAP=0", mov fs, edx
        mov eax, DATA
        mov fs, eax

        mov rdi, T
        TRY "bad_85 SMAP=0 again, read", mov al, [rdi]
        mov al, 0
        jmp finish
