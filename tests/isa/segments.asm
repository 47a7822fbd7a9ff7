; SPDX-License-Identifier: MIT
; tests/isa/segments.asm - segmentation and privilege in 32-bit mode (Intel SDM 3A, chapter 5): limits, expand-down, null
; selectors, types and rights at loads, LAR, LSL, VERR, VERW and ARPL, call gates of 32 and 16 bits with parameters,
; conforming code, far returns. QEMU's emulation checks no limits: those lines have ~.
%include "isa.inc"

; descriptor(number from FREE_SEL, base, limit, access byte, flags G D/B L AVL)
%macro SEGMENT 5
        mov dword [isa_gdt_free + %1 * 8], ((%2) & 0xffff) << 16 | ((%3) & 0xffff)
        mov dword [isa_gdt_free + %1 * 8 + 4], ((%2) & 0xff000000) | (%5) << 20 | ((%3) & 0xf0000) | (%4) << 8 | ((%2) >> 16 & 0xff)
%endmacro
%macro GATE_CALL 5             ; number, selector, offset, access byte, parameters
        mov eax, %3
        and eax, 0xffff
        or eax, (%2) << 16
        mov [isa_gdt_free + %1 * 8], eax
        mov eax, %3
        and eax, 0xffff0000
        or eax, (%4) << 8 | %5
        mov [isa_gdt_free + %1 * 8 + 4], eax
%endmacro
%define SEL(n) (FREE_SEL + (n) * 8)

main:
        mov edi, 0x400000
        xor eax, eax
        mov ecx, 0x4000
        rep stosd
        SEGMENT 0, 0x400000, 0xfff, 0x92, 4    ; data, 4 KiB
        SEGMENT 1, 0x400000, 0xfff, 0x96, 4    ; expand-down above 0xfff
        SEGMENT 2, 0x400000, 0xfff, 0x96, 0    ; expand-down, to 0xffff
        SEGMENT 3, 0x400000, 0, 0x92, 0xc      ; one page by granularity
        SEGMENT 4, 0x400000, 0xfff, 0x90, 4    ; read-only
        SEGMENT 5, 0x400000, 0xfff, 0x98, 4    ; execute-only
        SEGMENT 6, 0x400000, 0xfff, 0x9a, 4    ; readable code
        SEGMENT 7, 0x400000, 0xfff, 0x12, 4    ; data, not present
        SEGMENT 8, 0, 0xfffff, 0x9e, 0xc       ; conforming code of ring 0
        SEGMENT 9, 0, 0xfffff, 0xfe, 0xc       ; conforming code of ring 3
        SEGMENT 10, 0, 0xffff, 0x82, 0         ; LDT
        SEGMENT 11, 0, 0xfffff, 0x9a, 0x8      ; 16-bit code

%macro LIMIT 3+                ; text, DS, instruction
        SAY %1
        BEGIN_CASE
        mov dword [case_ip], %%insn
        mov eax, %2
        mov ds, eax
%%insn: %3
CASE_ENDED:
        mov eax, DATA
        mov ds, eax
        call verdict
%endmacro
        LIMIT "byte at the limit", SEL(0), mov al, [0xfff]
        LIMIT "~byte above it", SEL(0), mov al, [0x1000]
        LIMIT "~dword across it", SEL(0), mov eax, [0xffd]
        LIMIT "dword up to it", SEL(0), mov eax, [0xffc]
        LIMIT "~dword at 0xffffffff", SEL(0), mov eax, [0xffffffff]
        LIMIT "~expand-down, byte at the limit", SEL(1), mov al, [0xfff]
        LIMIT "expand-down, byte above it", SEL(1), mov al, [0x1000]
        LIMIT "expand-down, 16 bits, last byte", SEL(2), mov al, [0xffff]
        LIMIT "~expand-down, 16 bits, beyond", SEL(2), mov al, [0x10000]
        LIMIT "pages, last byte", SEL(3), mov al, [0xfff]
        LIMIT "~pages, beyond", SEL(3), mov al, [0x1000]
        LIMIT "~write of read-only data", SEL(4), mov [0], al
        LIMIT "read of read-only data", SEL(4), mov al, [0]
        LIMIT "~write of readable code", SEL(6), mov [0], al
        LIMIT "read of readable code", SEL(6), mov al, [0]
        SAY "~SS by EBP beyond the limit"
        BEGIN_CASE
        mov dword [case_ip], .ebp
        mov eax, SEL(0)
        mov ebp, 0x1000
        mov ss, eax
        mov esp, 0x800
.ebp:   mov al, [ebp]
CASE_ENDED:
        mov eax, DATA
        mov ss, eax
        mov esp, [recover_sp]
        call verdict
        SAY "~SS by EBP below an expand-down limit"
        BEGIN_CASE
        mov dword [case_ip], .down
        mov eax, SEL(1)
        mov ss, eax
        mov esp, 0x2000
        mov ebp, 0x1002
.down:  mov [ebp - 4], eax
CASE_ENDED:
        mov eax, DATA
        mov ss, eax
        mov esp, [recover_sp]
        call verdict
        xor eax, eax
        mov es, eax
        TRY "~ES null, read", mov al, [es:0x400000]
        xor eax, eax
        mov es, eax
        TRY "~ES null, write", mov [es:0x400000], al
        mov eax, DATA
        mov es, eax

%macro LOAD 3
        SAY %1
        BEGIN_CASE
        mov dword [case_ip], %%insn
        mov ecx, %2
%%insn: mov %3, ecx
CASE_ENDED:
        mov eax, DATA
        mov ds, eax
        mov ss, eax
        call verdict
%endmacro
        LOAD "DS null", 0, ds
        LOAD "SS null", 0, ss
        LOAD "DS execute-only", SEL(5), ds
        LOAD "DS readable code", SEL(6), ds
        LOAD "DS not present", SEL(7), ds
        LOAD "SS not present", SEL(7), ss
        LOAD "SS read-only", SEL(4), ss
        LOAD "SS code", SEL(6), ss
        LOAD "bad_77 SS with RPL 3", SEL(0) | 3, ss
        LOAD "DS a TSS", TSS_SEL, ds
        LOAD "DS at the end of the GDT", isa_gdt_end - isa_gdt, ds
        LOAD "DS with RPL 3 in ring 0", SEL(0) | 3, ds

; Ring 3 loads.
%macro LOAD_USER 2
        mov ecx, %2
        TRY_USER %1, mov es, ecx
%endmacro
        LOAD_USER "ring 3: data of ring 0", SEL(0) | 3
        LOAD_USER "ring 3: conforming code of ring 0", SEL(8) | 3
        LOAD_USER "ring 3: data of ring 3", USER_DATA
        LOAD_USER "ring 3: null", 3
        TRY_USER "ring 3: far JMP to ring 0", jmp CODE:0
        TRY_USER "ring 3: far CALL to ring 0", call CODE | 3:0
        TRY_USER "ring 3: far JMP to a TSS of DPL 0", jmp TSS_SEL:0
        TRY_USER "ring 3: far JMP to null", jmp 0:0
        TRY_USER "ring 3: far JMP to data", jmp USER_DATA:0
        TRY_USER "ring 3: far JMP to conforming code", jmp SEL(8):conforming
        SHOW32 [seen_cs]
        call line
        TRY "far JMP to conforming code of ring 3", jmp SEL(9):0
        TRY "far JMP to code with RPL 3", jmp CODE | 3:0
        TRY "far JMP beyond the limit", jmp SEL(6):0x1000
        TRY "far JMP beyond the GDT", jmp 0x1000:0

; LAR, LSL, VERR, VERW: ZF and what they give.
%macro QUERY 2
        mov ecx, %2
        SAY %1
        call query
%endmacro
        SAY {"LAR, LSL, VERR, VERW", 10}
        QUERY "null", 0
        QUERY "code", CODE
        QUERY "data", DATA
        QUERY "pages", SEL(3)
        QUERY "expand-down", SEL(1)
        QUERY "execute-only", SEL(5)
        QUERY "not present", SEL(7)
        QUERY "TSS", TSS_SEL
        QUERY "LDT", SEL(10)
        QUERY "beyond the GDT", 0x1000
        QUERY "conforming", SEL(8)
        GATE_CALL 12, CODE, gate_32, 0x8c, 0
        QUERY "call gate", SEL(12)
        QUERY "data with RPL 3", DATA | 3
        mov eax, 0x13
        mov ecx, 0x18 | 2
        arpl cx, ax
        setz dl
        movzx edx, dl
        SAY "ARPL:"
        SHOW32 ecx
        SHOW32 edx
        call line

; Call gates.
        GATE_CALL 12, CODE, gate_32, 0xec, 3
        SEGMENT 19, 0x100000, 0xffff, 0x9a, 4  ; a 16-bit gate reaches this image so
        GATE_CALL 13, SEL(19), gate_16 - 0x100000, 0xe4, 3
        SEGMENT 20, 0, 0xfffff, 0xba, 0xc      ; code of ring 1
        GATE_CALL 21, SEL(20), user_gate, 0xec, 0
        GATE_CALL 14, CODE, gate_32, 0x8c, 0
        GATE_CALL 15, CODE, gate_32, 0x6c, 0
        GATE_CALL 16, DATA, gate_32, 0xec, 0
        GATE_CALL 17, 0, gate_32, 0xec, 0
        GATE_CALL 18, USER_CODE, user_gate, 0xec, 0
        TRY_USER "32-bit call gate with 3 parameters", call user_call_32
        call show_seen
        TRY_USER "16-bit call gate with 3 parameters", call user_call_16
        call show_seen
        TRY_USER "call gate of DPL 0", call SEL(14):0
        TRY_USER "call gate not present", call SEL(15):0
        TRY_USER "call gate to data", call SEL(16):0
        TRY_USER "call gate to null", call SEL(17):0
        TRY_USER "JMP by a call gate to ring 0", jmp SEL(12):0
        TRY_USER "call gate to the same ring", call SEL(18) | 3:0
        call show_seen
        TRY "call gate in ring 0", call SEL(12):0
        call show_seen
        mov dword [TSS_AT + 12], OTHER_TOP
        mov dword [TSS_AT + 16], DATA
        TRY_USER "call gate to ring 1, the TSS has SS of ring 0", call SEL(21):0
        mov dword [TSS_AT + 16], 1
        TRY_USER "call gate to ring 1, the TSS has a null SS", call SEL(21):0

; Far returns and IRET.
        push USER_CODE & ~3
        push 0
        TRY "RETF to DPL 3 with RPL 0", retf
        push DATA
        push 0
        TRY "RETF to data", retf
        push 0
        push 0
        TRY "RETF to null", retf
        push DATA
        push USER_TOP
        push USER_CODE
        push 0
        TRY "RETF to ring 3 with SS of ring 0", retf
        push 2
        push CODE | 1
        push 0
        TRY "IRET to ring 1 by code of ring 0", iret
        TRY_USER "RETF from ring 3 to ring 0", call user_retf
        mov al, 0
        jmp finish

conforming:
        mov [ss:seen_cs], cs
        int 0x80
user_call_32:
        push 0x11
        push 0x22
        push 0x33
        call SEL(12) | 3:0x12345678    ; the offset does not matter
        ret
user_call_16:
        push word 0x44
        push word 0x55
        push word 0x66
        call SEL(13) | 3:0
        ret
user_retf:
        push CODE
        push 0
        retf
; What it finds on the stack: return address (whether it is right), CS, parameters, then the caller's stack.
gate_32:
        mov [seen_cs], cs
        mov eax, [esp + 4]
        mov [seen], eax
        mov eax, [esp + 8]
        mov [seen + 4], eax
        mov eax, [esp + 16]
        mov [seen + 8], eax
        mov eax, [esp + 20]
        sub eax, USER_TOP
        mov [seen + 12], eax
        mov eax, cs
        cmp [esp + 4], eax
        je .same
        retf 12
.same:
        mov dword [seen + 4], 0
        mov dword [seen + 8], 0
        mov dword [seen + 12], 0
        retf
gate_16:
        mov [seen_cs], cs
        movzx eax, word [esp + 2]
        mov [seen], eax
        movzx eax, word [esp + 4]
        mov [seen + 4], eax
        movzx eax, word [esp + 8]
        mov [seen + 8], eax
        movzx eax, word [esp + 10]
        sub eax, USER_TOP & 0xffff
        mov [seen + 12], eax
        int 0x80               ; the 16-bit return address would not lead back
user_gate:
        mov [seen_cs], cs
        mov dword [seen], 0
        mov dword [seen + 4], 0
        mov dword [seen + 8], 0
        mov dword [seen + 12], 0
        retf
show_seen:
        SAY "  CS, caller's CS, first and last parameter, stack:"
        SHOW32 [seen_cs]
        SHOW32 [seen]
        SHOW32 [seen + 4]
        SHOW32 [seen + 8]
        SHOW32 [seen + 12]
        jmp line

query:
        SAY ":"
        mov eax, 0
        lar eax, ecx
        call .flag
        SHOW32 eax
        mov eax, 0
        lsl eax, ecx
        call .flag
        SHOW32 eax
        verr cx
        call .flag
        verw cx
        call .flag
        jmp line
.flag:
        jz .yes
        SAY " no"
        ret
.yes:
        SAY " yes"
        ret

        align 4
seen_cs: dd 0
seen:   times 4 dd 0
