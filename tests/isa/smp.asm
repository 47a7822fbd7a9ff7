; SPDX-License-Identifier: MIT
; tests/isa/smp.asm - four processors: locked counting, also across a cache line and a page (bad_88), a spinlock and its
; fairness, litmus tests of which only what the memory model allows may come out (Intel SDM 3A, 9.2.3), IPIs and a TLB
; shootdown (4.10.5).
%define ISA64
%define CPUS 4
%include "isa.inc"
%include "smp.inc"

ROUNDS  equ 20000
SHARED  equ 0x400000

main:
        call start_others
        SAY "processors:"
        SHOW32 [cpus_numbered]
        call line

%macro COUNT 2
        SAY {%1, ":"}
        mov qword [SHARED + 0xff0], 0
        mov qword [SHARED + 0xff8], 0
        mov qword [SHARED + 0x1000], 0
        mov rax, %2
        call on_all
%endmacro
%macro COUNTED 1
        mov eax, [%1]
        cmp eax, ROUNDS * CPUS
        sete al
        movzx eax, al
        SHOW rax
        call line
%endmacro
        COUNT "LOCK INC", lock_inc
        COUNTED SHARED + 0xff0
        COUNT "LOCK XADD", lock_xadd
        COUNTED SHARED + 0xff0
        COUNT "LOCK CMPXCHG", lock_cmpxchg
        COUNTED SHARED + 0xff0
        COUNT "LOCK CMPXCHG8B", lock_cmpxchg8b
        COUNTED SHARED + 0xff0
        COUNT "LOCK CMPXCHG16B", lock_cmpxchg16b
        COUNTED SHARED + 0xff0
        COUNT "LOCK ADC of bytes, 16 bits of them", lock_bytes
        movzx eax, word [SHARED + 0xff0]
        cmp eax, (ROUNDS * CPUS) & 0xff
        sete al
        movzx eax, al
        SHOW rax
        call line
        COUNT "bad_88 LOCK INC across a cache line", lock_line
        COUNTED SHARED + 0xfbe
        mov dword [SHARED + 0xfbe], 0
        COUNT "bad_88 LOCK INC across a page", lock_page
        COUNTED SHARED + 0xffe
        COUNT "LOCK INC and parts of it by XCHG across a page", mixed_page
        mov rax, [SHARED + 0xffc]
        SHOW rax
        call line
        COUNT "spinlock by XCHG", spin
        COUNTED SHARED + 0xff0
        COUNT "ticket lock, in order", ticket
        COUNTED SHARED + 0xff0
        COUNT "BTS and BTR as a lock", bit_lock
        COUNTED SHARED + 0xff0

; Litmus: forbidden outcomes are counted.
%macro FORBIDDEN 3
        SAY {%1, ", forbidden outcomes:"}
        mov dword [bad], 0
        mov rax, %2
        call on_all
        SHOW32 [bad]
        call line
%endmacro
        FORBIDDEN "message passing", message_passing, 0
        FORBIDDEN "store buffer with MFENCE", store_buffer_fence, 0
        FORBIDDEN "store buffer with XCHG", store_buffer_xchg, 0
        FORBIDDEN "load buffer", load_buffer, 0
        FORBIDDEN "independent reads of independent writes", iriw, 0
        FORBIDDEN "stores of 8 bytes are whole", whole, 0

; IPIs: everyone sends one to everyone else, and waits for all.
        GATE 0x40, on_ipi, 0x8e00
        GATE 0x41, on_shoot, 0x8e00
        GATE 2, on_nmi, 0x8e00
        SAY "IPIs to all but self, one processor after the other, twice:"
        mov rax, ipis
        call on_all
        SHOW32 [ipis_seen]
        call line
        SAY "IPI wakes HLT:"
        mov rax, wake
        call on_all
        SHOW32 [woken]
        call line
        SAY "NMI wakes HLT with IF=0:"
        mov rax, wake_nmi
        call on_all
        SHOW32 [woken_nmi]
        call line

; TLB shootdown: each round the page changes, and after the IPI no one may see the old one.
        mov qword [PML4_AT + 8], 0x260003
        mov qword [0x260000], 0x261003
        mov qword [0x261000], 0x262003
        mov qword [0x262000], 0x400003
        SAY "stale translations after a shootdown:"
        mov dword [bad], 0
        mov rax, shootdown
        call on_all
        SHOW32 [bad]
        call line
        mov al, 0
        jmp finish

%macro ROUNDS_OF 1+
        call barrier
        mov ecx, ROUNDS
%%round:
        %1
        dec ecx
        jnz %%round
        ret
%endmacro
lock_inc:
        ROUNDS_OF lock inc dword [SHARED + 0xff0]
lock_line:
        ROUNDS_OF lock inc dword [SHARED + 0xfbe]
lock_page:
        ROUNDS_OF lock inc dword [SHARED + 0xffe]
lock_xadd:
        call barrier
        mov ecx, ROUNDS
.round: mov eax, 1
        lock xadd [SHARED + 0xff0], eax
        loop .round
        ret
lock_cmpxchg:
        call barrier
        mov ecx, ROUNDS
        mov eax, [SHARED + 0xff0]
.round: lea edx, [rax + 1]
        lock cmpxchg [SHARED + 0xff0], edx
        jne .round
        loop .round
        ret
lock_cmpxchg8b:
        call barrier
        mov edi, ROUNDS
        xor eax, eax
        xor edx, edx
.round: lea ebx, [rax + 1]
        lea ecx, [rdx - 1]
        lock cmpxchg8b [SHARED + 0xff0]
        jne .round
        dec edi
        jnz .round
        ret
lock_cmpxchg16b:
        call barrier
        mov edi, ROUNDS
        xor eax, eax
        xor edx, edx
.round: lea rbx, [rax + 1]
        lea rcx, [rdx - 1]
        lock cmpxchg16b [SHARED + 0xff0]
        jne .round
        dec edi
        jnz .round
        ret
lock_bytes:
        call barrier
        mov ecx, ROUNDS
.round: clc
        lock adc byte [SHARED + 0xff0], 1
        dec ecx
        jnz .round
        ret
; Processors 0 and 1 count across the page's end, 2 and 3 exchange the two bytes before it for what they are: 0.
mixed_page:
        call barrier
        mov ecx, ROUNDS
        cmp r15d, 2
        jae .exchange
.round: lock inc dword [SHARED + 0xffe]
        loop .round
        ret
.exchange:
        xor eax, eax
        xchg [SHARED + 0xffc], ax
        loop .exchange
        ret
spin:
        call barrier
        mov ecx, ROUNDS
.round: mov eax, 1
.try:   xchg [the_lock], eax
        test eax, eax
        jz .got
.busy:  pause
        cmp dword [the_lock], 0
        jne .busy
        mov eax, 1
        jmp .try
.got:   inc dword [SHARED + 0xff0]
        mov dword [the_lock], 0
        loop .round
        ret
; Fair: each gets it in the order of asking. Fewer rounds, counted as if all: a processor may be without a host's.
ticket:
        call barrier
        mov ecx, ROUNDS / 100
.round: mov eax, 1
        lock xadd [tickets], eax
.wait:  pause
        cmp [served], eax
        jne .wait
        add dword [SHARED + 0xff0], 100
        inc dword [served]
        loop .round
        ret
bit_lock:
        call barrier
        mov ecx, ROUNDS
.round: lock bts dword [the_lock], 7
        jnc .got
        pause
        jmp .round
.got:   inc dword [SHARED + 0xff0]
        lock btr dword [the_lock], 7
        loop .round
        ret

; A litmus test runs over SLOTS places, each processor at its own pace; x is at 0 of a place, y at 0x40, results at
; 0x80 and 0xc0. Processors 0 and 1 share a set of places, 2 and 3 another. LITMUS: name, what an even processor does
; at [rdi], what an odd one does, what looks for the forbidden outcome and then sets CF.
SLOTS   equ 1000
%macro LITMUS 4
%1:
        mov esi, 4
.again: call litmus_begin
.round: test r15d, 1
        jnz .odd
        call %2
        jmp .next
.odd:   call %3
.next:  add edi, 0x100
        dec ecx
        jnz .round
        call barrier
        sub edi, SLOTS * 0x100
        mov ecx, SLOTS
.look:  call %4
        adc dword [bad], 0
        add edi, 0x100
        dec ecx
        jnz .look
        call barrier
        dec esi
        jnz .again
        ret
%endmacro
litmus_begin:
        mov edi, r15d
        shr edi, 1
        imul edi, edi, SLOTS * 0x100
        add edi, SHARED + 0x10000
        push rdi
        xor eax, eax
        mov ecx, SLOTS * 0x100 / 8
        rep stosq
        pop rdi
        mov ecx, SLOTS
        jmp barrier
        LITMUS message_passing, mp_write, mp_read, mp_look
        LITMUS store_buffer_fence, sbf_even, sbf_odd, sb_look
        LITMUS store_buffer_xchg, sbx_even, sbx_odd, sb_look
        LITMUS load_buffer, lb_even, lb_odd, lb_look
mp_write:
        mov dword [rdi], 1
        mov dword [rdi + 0x40], 1
        ret
mp_read:
        mov eax, [rdi + 0x40]
        mov edx, [rdi]
        mov [rdi + 0x80], eax
        mov [rdi + 0xc0], edx
        ret
mp_look:                       ; y was seen, x was not
        mov eax, [rdi + 0xc0]
        cmp eax, [rdi + 0x80]
        ret
sbf_even:
        mov dword [rdi], 1
        mfence
        mov eax, [rdi + 0x40]
        mov [rdi + 0x80], eax
        ret
sbf_odd:
        mov dword [rdi + 0x40], 1
        mfence
        mov eax, [rdi]
        mov [rdi + 0xc0], eax
        ret
sbx_even:
        mov edx, 1
        xchg [rdi], edx
        mov eax, [rdi + 0x40]
        mov [rdi + 0x80], eax
        ret
sbx_odd:
        mov edx, 1
        xchg [rdi + 0x40], edx
        mov eax, [rdi]
        mov [rdi + 0xc0], eax
        ret
sb_look:                       ; neither saw the other
        mov eax, [rdi + 0x80]
        or eax, [rdi + 0xc0]
        cmp eax, 1
        ret
lb_even:
        mov eax, [rdi]
        mov dword [rdi + 0x40], 1
        mov [rdi + 0x80], eax
        ret
lb_odd:
        mov eax, [rdi + 0x40]
        mov dword [rdi], 1
        mov [rdi + 0xc0], eax
        ret
lb_look:                       ; each saw what the other one wrote later
        mov eax, [rdi + 0x80]
        and eax, [rdi + 0xc0]
        xor eax, 1
        cmp eax, 1
        ret
; 0 writes x, 1 writes y, 2 reads x then y, 3 reads y then x: they may not see different orders.
iriw:
        mov esi, 4
.again: push r15
        and r15d, 1            ; all on the same places
        call litmus_begin
        pop r15
.round: cmp r15d, 1
        je .one
        ja .read
        mov dword [rdi], 1
        jmp .next
.one:   mov dword [rdi + 0x40], 1
        jmp .next
.read:  cmp r15d, 2
        jne .three
        mov eax, [rdi]
        mov edx, [rdi + 0x40]
        sub eax, edx
        mov [rdi + 0x80], eax
        jmp .next
.three: mov eax, [rdi + 0x40]
        mov edx, [rdi]
        sub eax, edx
        mov [rdi + 0xc0], eax
.next:  add edi, 0x100
        dec ecx
        jnz .round
        call barrier
        sub edi, SLOTS * 0x100
        mov ecx, SLOTS
.look:  cmp dword [rdi + 0x80], 1
        jne .fine
        cmp dword [rdi + 0xc0], 1
        jne .fine
        lock inc dword [bad]
.fine:  add edi, 0x100
        dec ecx
        jnz .look
        call barrier
        dec esi
        jnz .again
        ret
; Each writes its number in all bytes; a mixture is forbidden.
whole:
        mov rdx, 0x0101010101010101
        mov eax, r15d
        imul rdx, rax
        mov ecx, ROUNDS
        call barrier
.round: mov [SHARED + 0x2000], rdx
        mov rax, [SHARED + 0x2000]
        mov rbx, rax
        rol rbx, 8
        cmp rax, rbx
        je .fine
        lock inc dword [bad]
.fine:  dec ecx
        jnz .round
        ret

; Two of one vector that wait become one: so a processor sends when all before have been counted.
ipis:
        call barrier
        sti
        mov ebx, 2
.round: xor edx, edx
.turn:  cmp edx, r15d
        jne .counted
        mov eax, [ipis_seen]
        add eax, CPUS - 1
        mov dword [r14 + 0x300], 0xc4040
.wait:  pause
        cmp [ipis_seen], eax
        jne .wait
.counted:
        call barrier
        inc edx
        cmp edx, CPUS
        jne .turn
        dec ebx
        jnz .round
        cli
        ret
wake:
        call barrier
        test r15d, r15d
        jz .send
        sti
        hlt
        cli
        lock inc dword [woken]
        ret
.send:  mov ecx, 1000
        call pause_for
        mov dword [r14 + 0x300], 0xc4040
        cmp dword [woken], CPUS - 1
        jne .send
        ret
wake_nmi:
        call barrier
        test r15d, r15d
        jz .send
        hlt
        lock inc dword [woken_nmi]
        ret
.send:  mov ecx, 1000
        call pause_for
        mov dword [r14 + 0x300], 0xc4400
        cmp dword [woken_nmi], CPUS - 1
        jne .send
        ret
on_ipi:
        lock inc dword [ipis_seen]
        mov dword [r14 + 0xb0], 0
        iretq
on_nmi:
        iretq
on_shoot:
        push rax
        mov rax, 0x8000000000
        invlpg [rax]
        mov dword [r14 + 0xb0], 0
        lock inc dword [shot]
        pop rax
        iretq
; Processor 0 changes the page and shoots; then [0x8000000000] must be the new page's number for all.
shootdown:
        mov dword [0x400000], 1
        mov dword [0x401000], 2
        mov r8, 0x8000000000
        mov ecx, 20
        call barrier
        sti
.round: mov edx, ecx
        and edx, 1
        inc edx
        test r15d, r15d
        jnz .other
        mov dword [shot], 0
        lea eax, [rdx - 1]
        shl eax, 12
        add eax, 0x400003
        mov [0x262000], rax
        invlpg [r8]
        mov dword [r14 + 0x300], 0xc4041
.wait:  pause
        cmp dword [shot], CPUS - 1
        jne .wait
        mov [page_now], edx
        jmp .look
.other: mov eax, [r8]
        pause
        cmp [page_now], edx
        jne .other
.look:  cmp [r8], edx
        je .fine
        lock inc dword [bad]
.fine:  call barrier
        dec ecx
        jnz .round
        cli
        ret

        align 64
the_lock: dd 0
        align 64
tickets: dd 0
        align 64
served: dd 0
        align 64
bad:    dd 0
ipis_seen: dd 0
woken:  dd 0
woken_nmi: dd 0
shot:   dd 0
page_now: dd 0
