; SPDX-License-Identifier: MIT
; tests/isa/paging64.asm - 4-level paging (Intel SDM 3A, 4.5-4.10): present, W, U/S, NX and reserved bits at each
; level with WP and SMEP, error codes and CR2, pages of 1 GiB and 2 MiB, A and D, accesses and instructions that
; cross into an absent page (bad_71), INVLPG, a 2 MiB page that is split (bad_83), global pages (bad_84), page
; tables that map themselves (bad_82), permissions at each level (bad_85), non-canonical addresses (bad_73, bad_74).
; SMAP is smap.asm's, PCIDs are pcid.asm's; protection keys are left out: not every host offers them.
; Lines with ~ are of what QEMU's emulation leaves out or does otherwise (CMakeLists.txt).
%define ISA64
%define USER_ALIAS 0x40000000  ; the image once more, for ring 3
%include "isa.inc"

; The pages under test are alone under their PML4 entry.
T       equ 0x8000000000
E4      equ PML4_AT + 8        ; their entries
E3      equ 0x260000
E2      equ 0x261000
E1      equ 0x262000
PAGE_0  equ 0x400000
PAGE_1  equ 0x600000
NX      equ 1 << 63

%macro ENTRY 2
        mov rax, %2
        mov [%1], rax
%endmacro

main:
; One to one for ring 0 only, the same memory at 1 GiB for all.
        mov eax, PML4_AT + 0x2000
        mov ecx, 512
.mine:
        and byte [rax], ~4
        add eax, 8
        loop .mine
        mov edi, PML4_AT + 0x3000
        mov eax, 0x87
        mov ecx, 512
.alias:
        stosq
        add rax, 0x200000
        loop .alias
        mov rax, cr3
        mov cr3, rax
        mov byte [PAGE_0], 0xc3        ; RET
        mov byte [PAGE_1], 0xc3

        SAY {"pt: kernel read write fetch, user read write fetch: error codes", 10}
        call fresh
        SAY "all allowed"
        call probe
%macro LEVEL 2
        call fresh
        and byte [%2], ~1
        SAY {%1, " absent"}
        call probe
        call fresh
        and byte [%2], ~2
        SAY {%1, " W=0"}
        call probe
        mov rax, cr0
        and eax, ~0x10000
        mov cr0, rax
        SAY {%1, " W=0, WP=0"}
        call probe
        mov rax, cr0
        or eax, 0x10000
        mov cr0, rax
        call fresh
        and byte [%2], ~4
        SAY {%1, " U=0"}
        call probe
        call fresh
        or byte [%2 + 7], 0x80
        SAY {%1, " NX"}
        call probe
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~0x800
        wrmsr
        SAY {%1, " NX is reserved with NXE=0"}
        call probe
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800
        wrmsr
        call fresh
        or byte [%2 + 6], 8            ; bit 51: beyond MAXPHYADDR of any host so far
        SAY {%1, " reserved address bit"}
        call probe
%endmacro
        LEVEL "PML4E", E4
        LEVEL "PDPTE", E3
        LEVEL "PDE", E2
        LEVEL "PTE", E1
        call fresh
        or byte [E4], 0x80
        SAY "PML4E PS is reserved"
        call probe

        call fresh
        ENTRY E2, PAGE_0 | 0x87
        SAY "2 MiB"
        call probe
        ENTRY E2, PAGE_0 | 0x2087
        SAY "2 MiB, bit 13 is reserved"
        call probe
        ENTRY E2, PAGE_0 | 0x1085
        SAY "2 MiB, PAT bit, W=0"
        call probe
        mov eax, 0x80000001
        cpuid
        bt edx, 26
        jnc .no_gigabyte
        mov byte [0], 0xc3
        ENTRY E3, 0x87
        SAY "1 GiB"
        call probe
        ENTRY E3, 0x100087
        SAY "1 GiB, bit 20 is reserved"
        call probe
.no_gigabyte:

        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ebx, 7
        jnc .no_smep
        mov rax, cr4
        bts rax, 20
        mov cr4, rax
        call fresh
        SAY "SMEP"
        call probe
        and byte [E1], ~4
        SAY "SMEP, U=0"
        call probe
        mov rax, cr4
        btr rax, 20
        mov cr4, rax
.no_smep:

; Accessed and dirty.
        call fresh
        SAY "A, D of the levels at first"
        call levels
        call flush
        mov al, [abs qword T]
        SAY "after a read"
        call levels
        mov [abs qword T], al
        SAY "after a write"
        call levels
        call fresh
        mov rdi, T
        mov al, 0
        and byte [E1], ~2
        QUIET mov [rdi], al
        SAY "after a refused write"
        call last_level
        call fresh
        and byte [E1], ~1
        QUIET mov al, [rdi]
        SAY "after a read of an absent page"
        call last_level
        ENTRY E1, PAGE_0 | 7
        call flush
        lock or byte [rdi], 0
        SAY "after LOCK OR"
        call levels
        call fresh
        mov rax, 0x1122334455667788
        QUIET lock cmpxchg [rdi], rbx
        SAY "after LOCK CMPXCHG that differs"
        call levels
        call fresh
        call rdi_ret
        SAY "after a fetch"
        call levels
        ENTRY E2, PAGE_0 | 0x87
        call flush
        mov byte [rdi], 0xc3
        SAY "2 MiB written, PDE"
        SHOW [E2]
        call line

; Across the end of a page.
        call fresh
        mov qword [E1 + 8], 0
        call flush
        mov rdi, T + 0xfff
        TRY "bad_71 word read into an absent page", mov ax, [rdi]
        TRY "bad_71 word write into an absent page", mov [rdi], ax
        mov rdi, T + 0xffd
        TRY "qword read into an absent page", mov rax, [rdi]
        mov dword [PAGE_0 + 0xffc], 0x55555555
        mov rax, -1
        QUIET mov [rdi], rax
        SAY "and nothing was written:"
        SHOW32 [PAGE_0 + 0xffc]
        call line
; QEMU reads first, and tells of that.
        TRY "~read-modify-write into an absent page", add [rdi], rax
        TRY "MOVUPS into an absent page", movups [rdi], xmm0
        mov rsp, T + 0x1004
        BEGIN_CASE
        mov qword [recover_sp], STACK_TOP
        mov qword [case_ip], .push
.push:  push rax
CASE_ENDED:
        SAY "push half into an absent page"
        call verdict
        mov qword [E1 + 8], PAGE_1 | 5
        call flush
        TRY "qword write into a read-only page", mov [rdi], rax
        TRY "qword read across both", mov rax, [rdi]
        and byte [E1], ~1
        call flush
        TRY "qword read from an absent page", mov rax, [rdi]

; Instructions across the end of a page.
%macro FETCH 2+
        SAY %1
        mov rax, %2
        call fetch_across
%endmacro
        mov qword [E1], PAGE_0 | 7
        mov qword [E1 + 8], 0
        FETCH "bad_71 instruction across, 1 of 3 bytes here", 0x48
        FETCH "bad_71 prefix here", 0x66
        FETCH "bad_71 whole instruction here, next absent", 0x90
        FETCH "bad_71 undefined instruction ends here", 0x0b0f00
        mov rax, NX | PAGE_1 | 7
        mov [E1 + 8], rax
        FETCH "bad_71 into a page with NX", 0x48
        mov qword [E1 + 8], PAGE_1 | 7
        mov dword [PAGE_1], 0xc3d889   ; 48 | 89 d8 c3: mov rax, rbx; ret
        FETCH "instruction across both pages", 0x48
        mov byte [PAGE_1], 0xc3

; The TLB. A stale translation may or may not be used, so that only what must be is looked at.
        call fresh
        mov rdi, T
        mov dword [PAGE_0 + 8], 0x1111
        mov dword [PAGE_1 + 8], 0x2222
        mov eax, [rdi + 8]
        mov qword [E1], PAGE_1 | 7
        invlpg [rdi + 0x123]
        SAY "INVLPG: other page"
        SHOW32 [rdi + 8]
        call line
        mov qword [E1], 0
        invlpg [rdi]
        TRY "INVLPG: absent", mov eax, [rdi]
        mov qword [E1], PAGE_0 | 7
        TRY "made present without INVLPG", mov eax, [rdi]
        mov qword [E1], PAGE_0 | 5
        invlpg [rdi]
        mov eax, [rdi]
        mov qword [E1], PAGE_0 | 7
        TRY "made writable without INVLPG", mov [rdi + 16], eax
        mov rax, 0x8000000000000000
        TRY "INVLPG of a non-canonical address", invlpg [rax]
        mov qword [E1], PAGE_0 | 0x107
        call flush
        mov eax, [rdi]
        mov qword [E1], PAGE_1 | 0x107
        mov rax, cr4
        btr rax, 7
        mov cr4, rax
        bts rax, 7
        mov cr4, rax
        SAY "bad_84 global page after CR4.PGE changed"
        SHOW32 [rdi + 8]
        call line
        mov qword [E1], PAGE_0 | 0x107
        invlpg [rdi]
        SAY "bad_84 global page after INVLPG"
        SHOW32 [rdi + 8]
        call line
        mov qword [E1], PAGE_0 | 7
        call flush
        mov eax, [rdi]
        mov qword [E1], PAGE_1 | 7
        mov rax, cr3
        mov cr3, rax
        SAY "bad_84 page after CR3 was written"
        SHOW32 [rdi + 8]
        call line

        mov dword [PAGE_0 + 0x3008], 0x3333
        ENTRY E2, PAGE_0 | 0x87
        call flush
        mov eax, [rdi + 0x3008]
        mov qword [E1 + 3 * 8], PAGE_1 | 7
        ENTRY E2, E1 | 7
        mov rax, T + 0x3000
        invlpg [rax]
        SAY "bad_83 split page"
        SHOW32 [rdi + 0x3008]
        call line

        mov qword [PML4_AT + 511 * 8], PML4_AT | 3
        mov rax, 0xfffffffffffff008
        SAY "bad_82 page tables that map themselves"
        mov rbx, [rax]
        and ebx, ~0x60
        cmp ebx, E3 | 7
        sete bl
        movzx ebx, bl
        SHOW rbx
        call line

; Canonical addresses.
        mov rdi, 0x0000800000000000
        TRY "bad_73 read", mov eax, [rdi]
        TRY "~bad_73 read 8 bytes before the hole", mov rax, [rdi - 4]
        mov rbp, rdi
        TRY "~bad_73 read by RBP", mov eax, [rbp]
        mov qword [TSS_AT + 36], OTHER_TOP
        GATE 12, isa_stubs + 12 * (isa_stub_1 - isa_stubs), 0x8e01
        GATE 13, isa_stubs + 13 * (isa_stub_1 - isa_stubs), 0x8e01
        mov rdi, 0x0000800000000000
        BEGIN_CASE
        mov qword [case_ip], .hole_push
        lea rsp, [rdi + 8]
.hole_push:
        push rax
CASE_ENDED:
        SAY "~bad_73 push"
        call verdict
        TRY "~bad_74 JMP", jmp rdi
        TRY "~bad_74 CALL", call rdi
        push rdi
        TRY "~bad_74 RET", ret
        pop rax
        push 0x10
        push rsp
        push 2
        push CODE
        push rdi
        SAY "bad_74 IRETQ: "
        QUIET iretq
        cmp dword [got_vector], 13
        sete al
        movzx eax, al
        SHOW rax
        call line
        mov al, 0
        jmp finish

rdi_ret:
        jmp rdi

; All levels anew, present, writable and for all.
fresh:
        push rax
        ENTRY E4, E3 | 7
        ENTRY E3, E2 | 7
        ENTRY E2, E1 | 7
        ENTRY E1, PAGE_0 | 7
        ENTRY E1 + 8, PAGE_1 | 7
        pop rax
flush:
        push rax
        mov rax, cr4
        btr rax, 7
        mov cr4, rax
        bts rax, 7
        mov cr4, rax
        pop rax
        ret

; Puts byte al (of rax, up to 3, the lowest last) at the end of the first page and runs it.
fetch_across:
        call flush
        mov ecx, 1
        mov byte [PAGE_0 + 0xffd], 0x90
        mov byte [PAGE_0 + 0xffe], 0x90
        mov [PAGE_0 + 0xfff], al
        test eax, 0xff00
        jz .run
        shr eax, 8
        mov [PAGE_0 + 0xffe], ax
        mov ecx, 2
.run:
        mov rdi, T + 0x1000
        sub rdi, rcx
        QUIET call rdi
        mov qword [case_ip], rdi
        jmp verdict

; Six accesses to the first page, each as it is after a flush.
probe:
        mov rdi, T
        mov bl, 0xc3
%macro PROBE 2+
        call flush
        %1 %2
        call error_code
%endmacro
        SAY ":"
        PROBE QUIET, mov al, [rdi]
        PROBE QUIET, mov [rdi], bl
        PROBE QUIET, call rdi
        SAY ","
        PROBE QUIET_USER, mov al, [rdi]
        PROBE QUIET_USER, mov [rdi], bl
        PROBE QUIET_USER, call rdi
        jmp line

; " -", or the last page fault's error code; CR2 must be T.
error_code:
        push rax
        cmp dword [got_vector], -1
        je .none
        cmp dword [got_vector], 14
        jne .other
        mov rax, T
        cmp [got_cr2], rax
        jne .other
        mov eax, [got_error]
        test al, 8
        jz .show
        or al, 1               ; reserved bits are found in what is present; QEMU does not say so
.show:
        call show_value
        pop rax
        ret
.none:
        SAY " -"
        pop rax
        ret
.other:
        SAY " ?"
        pop rax
        ret

; A and D of the four entries: bits 5 and 6.
levels:
        SAY ":"
        push rax
%macro AD 1
        mov rax, [%1]
        and eax, 0x60
        call show_value
%endmacro
        AD E4
        AD E3
        AD E2
        AD E1
        pop rax
        jmp line

; The same of the last level: what a walk that fails leaves in those above differs among processors.
last_level:
        SAY ":"
        push rax
        AD E1
        pop rax
        jmp line
