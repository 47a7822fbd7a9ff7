; SPDX-License-Identifier: MIT
; tests/isa/smc.asm - code that changes (Intel SDM 3A, 9.1.3): the next byte (bad_69), the own block, an immediate in a loop,
; another page, an instruction across two pages, code at two linear addresses, code that REP MOVS and a locked
; instruction write, code that another processor changes and tells of by an IPI or by memory and CPUID.
%define ISA64
%define CPUS 2
%include "isa.inc"
%include "smp.inc"

PLAY    equ 0x400000           ; where the code under test is
ALIAS   equ 0x8000000000       ; the same memory once more

; Copies code of the label to rdi.
%macro COPY 2
        mov esi, %1
        mov edi, %2
        mov ecx, %1 %+ _end - %1
        rep movsb
%endmacro
%macro TELL 1
        SAY %1
        SHOW32 eax
        call line
%endmacro

main:
        call start_others
        mov qword [PML4_AT + 8], 0x260003
        mov qword [0x260000], 0x261003
        mov qword [0x261000], PLAY | 0x83
        COPY next_byte, PLAY
        mov ecx, PLAY
        call rcx
        TELL "bad_69 the next byte"
        COPY next_byte, PLAY
        mov ecx, PLAY
        call rcx
        call rcx
        TELL "bad_69 the next byte, run again"
        COPY later, PLAY
        mov ecx, PLAY
        call rcx
        TELL "bad_69 later in the own block"
        COPY looped, PLAY
        mov ecx, PLAY
        call rcx
        TELL "an immediate that changes in each round"
        COPY before, PLAY
        mov ecx, PLAY
        call rcx
        TELL "earlier in the own block, in a loop"
        COPY repeated, PLAY
        mov ecx, PLAY
        call rcx
        TELL "REP STOSB over what follows"
        COPY by_lock, PLAY
        mov ecx, PLAY
        call rcx
        TELL "a locked instruction changes the next one"
        COPY by_vector, PLAY
        mov ecx, PLAY
        call rcx
        TELL "MOVUPS over what follows"

; Another page: B8 imm32, C3 at PLAY, changed from here.
        call plain
        mov ebp, 100
        xor ebx, ebx
.other: mov [PLAY + 1], ebp
        mov ecx, PLAY
        call rcx
        add ebx, eax
        dec ebp
        jnz .other
        mov eax, ebx
        TELL "another page, 100 times"
        call plain
        mov rcx, ALIAS
        call rcx
        mov dword [PLAY + 1], 0x2222
        call rcx
        TELL "run at one address, written at another"
        mov dword [rcx + 1], 0x3333
        call rcx
        TELL "written where it is run"
        mov dword [rcx + 1], 0x4444
        mov edx, PLAY
        call rdx
        TELL "run at the other one"

; B8 imm32 C3 of which two bytes lie in the next page.
        mov byte [PLAY + 0xffd], 0xb8
        mov dword [PLAY + 0xffe], 0x12345678
        mov byte [PLAY + 0x1002], 0xc3
        mov ecx, PLAY + 0xffd
        call rcx
        TELL "across pages"
        mov byte [PLAY + 0x1000], 0x99
        call rcx
        TELL "across pages, the second changed"
        mov byte [PLAY + 0xfff], 0x88
        call rcx
        TELL "across pages, the first changed"
        mov word [PLAY + 0xfff], 0xabcd
        call rcx
        TELL "across pages, both changed at once"

; The mapping changes under the code.
        call plain
        mov qword [0x261000], 0x262003
        mov qword [0x262000], PLAY | 3
        mov rax, cr3
        mov cr3, rax
        mov rcx, ALIAS
        call rcx
        mov byte [PLAY + 0x2000], 0xb8
        mov dword [PLAY + 0x2001], 0x5555
        mov byte [PLAY + 0x2005], 0xc3
        mov qword [0x262000], (PLAY + 0x2000) | 3
        invlpg [rcx]
        call rcx
        TELL "another page at the same address"
        mov dword [PLAY + 0x2001], 0x6666
        call rcx
        TELL "and that changed"

; Two processors.
        GATE 0x40, on_ipi, 0x8e00
        call plain
        mov rax, by_ipi
        call on_all
        mov eax, [wrong]
        TELL "~changed by another processor, told by IPI: wrong"
        mov rax, by_memory
        call on_all
        mov eax, [wrong]
        TELL "told by memory, with CPUID: wrong"
        call plain
        mov rax, by_itself
        call on_all
        mov eax, [wrong]
        TELL "both change and run their own: wrong"
        mov al, 0
        jmp finish

plain:
        mov byte [PLAY], 0xb8
        mov dword [PLAY + 1], 0x1111
        mov byte [PLAY + 5], 0xc3
        ret

next_byte:
        xor eax, eax
        mov byte [rel .next], 0xb0     ; MOV AL, imm8 in place of MOV CL, imm8
.next:  mov cl, 0x5a
        mov ecx, PLAY
        ret
next_byte_end:
later:
        xor eax, eax
        mov dword [rel .add + 1], 7
        nop
        nop
.add:   add eax, 0x1000
        mov dword [rel .second + 1], 0x70
        nop
.second:
        add eax, 0x2000
        ret
later_end:
looped:
        xor eax, eax
        mov ecx, 50
.round:
        add eax, 1
        inc byte [rel .round + 2]
        dec ecx
        jnz .round
        ret
looped_end:
before:
        xor eax, eax
        mov ecx, 3
.round: add eax, strict dword 1
        shl dword [rel .round + 1], 4
        dec ecx
        jnz .round
        ret
before_end:
repeated:
        mov eax, 0x90
        lea rdi, [rel .over]
        mov ecx, 5
        rep stosb
.over:  mov eax, 0xbad
        ret
repeated_end:
by_lock:
        xor eax, eax
        lock add byte [rel .next + 1], 5
.next:  mov eax, strict dword 2
        ret
by_lock_end:
by_vector:
        movups xmm0, [rel .nops]
        movups [rel .over], xmm0
        mov eax, 0x600d
.over:  mov eax, 0xbad
        mov eax, 0xbad
        mov eax, 0xbad
        nop
        ret
.nops:  times 16 db 0x90
by_vector_end:

; Processor 0 changes, sends an IPI; 1 runs the code in a loop until it has seen 100 changes, each at its IPI.
by_ipi:
        mov dword [wrong], 0
        call barrier
        mov ebx, 100
        test r15d, r15d
        jnz .runs
.change:
        mov [PLAY + 1], ebx
        mov dword [told], ebx
        mov dword [r14 + 0x300], 0xc4040
.wait:  pause
        cmp [told], ebx
        je .wait
        dec ebx
        jnz .change
        ret
.runs:  sti
.loop:  mov ecx, PLAY
        call rcx
        cmp dword [told], -1
        jne .loop
        cli
        ret
on_ipi:
        push rax
        push rcx
        mov ecx, PLAY
        call rcx
        cmp eax, [told]
        je .fine
        inc dword [wrong]
.fine:  dec dword [told]
        jnz .more
        mov dword [told], -1
.more:  mov dword [r14 + 0xb0], 0
        pop rcx
        pop rax
        iretq
by_memory:
        mov dword [wrong], 0
        mov dword [told], 0
        call barrier
        mov esi, 100
.round: test r15d, r15d
        jnz .runs
        mov [PLAY + 1], esi
        mov [told], esi
        jmp .next
.runs:  pause
        cmp [told], esi
        jne .runs
        xor eax, eax
        cpuid
        mov ecx, PLAY
        call rcx
        cmp eax, esi
        je .next
        inc dword [wrong]
.next:  call barrier
        dec esi
        jnz .round
        ret
; Each in its own half of the same page.
by_itself:
        mov edi, r15d
        shl edi, 11
        add edi, PLAY
        mov byte [rdi], 0xb8
        mov byte [rdi + 5], 0xc3
        mov dword [wrong], 0
        call barrier
        mov esi, 5000
.round: mov [rdi + 1], esi
        call rdi
        cmp eax, esi
        je .fine
        lock inc dword [wrong]
.fine:  dec esi
        jnz .round
        ret

        align 64
wrong:  dd 0
told:   dd 0
