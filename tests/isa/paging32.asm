; SPDX-License-Identifier: MIT
; tests/isa/paging32.asm - 32-bit paging with pages of 4 MiB and PAE paging (Intel SDM 3A, 4.3 and 4.4): rights at each level
; with WP, error codes, reserved bits, PDPTEs that are only read when CR3 is written, A and D.
%include "isa.inc"

PD      equ 0x210000
PT      equ 0x211000
PDPT    equ 0x212000
PD_PAE  equ 0x214000           ; and one for the test
PD_TEST equ 0x215000
PT_PAE  equ 0x216000
T       equ 0x80000000
PAGE_0  equ 0x400000

main:
        call find_strict
        mov byte [PAGE_0], 0xc3
        mov edi, PD            ; one to one, for all
        mov eax, 0x87
.page:  mov [edi], eax
        add edi, 4
        add eax, 0x400000
        jnc .page
        mov eax, cr4
        or eax, 0x90           ; PGE, PSE
        mov cr4, eax
        mov eax, PD
        mov cr3, eax
        mov eax, 0x80010031
        mov cr0, eax

        SAY {"kernel read write fetch, user read write fetch: error codes", 10}
%define E2 (PD + (T >> 22) * 4)
%macro CASE 3                  ; text, PDE, PTE
        mov dword [E2], %2
        mov dword [PT], %3
        SAY %1
        call probe
%endmacro
        CASE "32-bit: all allowed", PT | 7, PAGE_0 | 7
        CASE "PDE absent", PT | 6, PAGE_0 | 7
        CASE "PTE absent", PT | 7, PAGE_0 | 6
        CASE "PDE W=0", PT | 5, PAGE_0 | 7
        CASE "PTE W=0", PT | 7, PAGE_0 | 5
        CASE "PDE U=0", PT | 3, PAGE_0 | 7
        CASE "PTE U=0", PT | 7, PAGE_0 | 3
        CASE "4 MiB", PAGE_0 | 0x87, 0
        CASE "4 MiB, W=0", PAGE_0 | 0x85, 0
        CASE "4 MiB, U=0", PAGE_0 | 0x83, 0
        CASE "4 MiB, PAT bit", PAGE_0 | 0x1087, 0
        CASE "4 MiB, bit 21 is reserved", PAGE_0 | 0x200087, 0
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        CASE "PTE W=0, WP=0", PT | 7, PAGE_0 | 5
        CASE "PTE W=0, U=0, WP=0", PT | 7, PAGE_0 | 1
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        mov dword [E2], PT | 7
        mov dword [PT], PAGE_0 | 7
        call flush
        mov al, [T]
        SAY "A, D after a read:"
        call levels
        mov [T], al
        SAY "A, D after a write:"
        call levels
        mov dword [E2], PAGE_0 | 0x87
        call flush
        mov [T], al
        SAY "4 MiB after a write:"
        call levels
        mov dword [E2], PT | 7
        mov dword [PT + 4], 0
        mov byte [PAGE_0], 0xc3
        call flush
        TRY "dword across into an absent page", mov eax, [T + 0xffd]
        mov byte [PAGE_0 + 0xfff], 0xb8
        mov ecx, T + 0xfff
        SAY "bad_71 instruction across into an absent page"
        QUIET call ecx
        mov [case_ip], ecx
        call verdict
        mov dword [PT], (PAGE_0 + 0x1000) | 7
        mov dword [PAGE_0 + 0x1000], 0x1234
        invlpg [T]
        SAY "after INVLPG:"
        SHOW32 [T]
        call line

; PAE, by way of no paging.
        mov eax, 0x31
        mov cr0, eax
        mov edi, PD_PAE
        mov eax, 0x87
        mov ecx, 512
.large: mov [edi], eax
        mov dword [edi + 4], 0
        add edi, 8
        add eax, 0x200000
        loop .large
        mov dword [PDPT], PD_PAE | 1
        mov dword [PDPT + 16], PD_TEST | 1
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov ecx, 0xc0000080
        xor eax, eax
        xor edx, edx
        mov ah, 8              ; NXE
        wrmsr
        mov eax, PDPT
        mov cr3, eax
        mov eax, 0x80010031
        mov cr0, eax
%macro PAE 5                   ; text, PDE high low, PTE high low
        mov dword [PD_TEST], %3
        mov dword [PD_TEST + 4], %2
        mov dword [PT_PAE], %5
        mov dword [PT_PAE + 4], %4
        SAY %1
        call probe
%endmacro
NX      equ 0x80000000
        PAE "PAE: all allowed", 0, PT_PAE | 7, 0, PAGE_0 | 7
        PAE "PDE absent", 0, PT_PAE | 6, 0, PAGE_0 | 7
        PAE "PTE absent", 0, PT_PAE | 7, 0, PAGE_0 | 6
        PAE "PDE W=0", 0, PT_PAE | 5, 0, PAGE_0 | 7
        PAE "PTE W=0", 0, PT_PAE | 7, 0, PAGE_0 | 5
        PAE "PDE U=0", 0, PT_PAE | 3, 0, PAGE_0 | 7
        PAE "PTE U=0", 0, PT_PAE | 7, 0, PAGE_0 | 3
        PAE "PDE NX", NX, PT_PAE | 7, 0, PAGE_0 | 7
        PAE "PTE NX", 0, PT_PAE | 7, NX, PAGE_0 | 7
        PAE "PTE bit 62 is reserved", 0, PT_PAE | 7, 0x40000000, PAGE_0 | 7
        PAE "2 MiB", 0, PAGE_0 | 0x87, 0, 0
        PAE "2 MiB NX, W=0", NX, PAGE_0 | 0x85, 0, 0
        PAE "2 MiB, bit 13 is reserved", 0, PAGE_0 | 0x2087, 0, 0
        mov dword [PD_TEST], PT_PAE | 7
        mov dword [PD_TEST + 4], 0
        mov dword [PT_PAE], PAGE_0 | 7
        mov dword [PT_PAE + 4], 0
        mov dword [PDPT + 16], PD_TEST
        mov eax, cr3
        mov cr3, eax
        SAY "PDPTE absent"
        call probe
        mov dword [PDPT + 16], PD_TEST | 7
        TRY "~MOV CR3 with reserved bits in a PDPTE", mov cr3, eax
        mov dword [PDPT + 16], PD_TEST | 1
        mov eax, cr3
        mov cr3, eax
        TRY "and with none", mov cl, [T]
        mov al, 0
        jmp finish

; (By CR3, as no page is global: a KVM on QEMU's emulation refuses a change of CR4.PGE under PAE.)
flush:
        push eax
        mov eax, cr3
        mov cr3, eax
        pop eax
        ret
levels:
        mov eax, [E2]
        and eax, 0x60
        SHOW eax
        mov eax, [PT]
        and eax, 0x60
        SHOW eax
        jmp line

; Six accesses to the page, each as it is after a flush.
probe:
        mov edi, T
        mov bl, 0xc3
%macro PROBE 2+
        call flush
        %1 %2
        call error_code
%endmacro
        SAY ":"
        PROBE QUIET, mov al, [edi]
        PROBE QUIET, mov [edi], bl
        PROBE QUIET, call edi
        SAY ","
        PROBE QUIET_USER, mov al, [edi]
        PROBE QUIET_USER, mov [edi], bl
        PROBE QUIET_USER, call edi
        jmp line
error_code:
        push eax
        cmp dword [got_vector], -1
        je .none
        cmp dword [got_vector], 14
        jne .other
        cmp dword [got_cr2], T
        jne .other
        mov eax, [got_error]
        test al, 8
        jz .show
        or al, 1               ; reserved bits are found in what is present; QEMU does not say so
.show:
        call show_value
        pop eax
        ret
.none:
        SAY " -"
        pop eax
        ret
.other:
        SAY " ?"
        pop eax
        ret
