; SPDX-License-Identifier: MIT
; tests/guest/e1000_probe.asm - finds the EEPROM and the PHY of the 82540EM at 00:03.0 by each of the ways that drivers
; have beside Linux's. iPXE's resets with RST and PHY_RST, and learns from which bit says that it is done how EERD is
; laid out; it takes the address from there, others from RAL0 and RAH0. Intel's own of that age, which gPXE has, moves
; the EEPROM's pins in EECD and looks for the PHY's identifier by MDIC. All must say the same.
; Prints a line for each step, ends with code 0, or the number of the check that failed.
%define GUEST64
%define ORIGIN 0x200000
%include "lib.inc"
%include "e1000.inc"

EECD equ 0x0010
MDIC equ 0x0020
RAL0 equ 0x5400
RAH0 equ 0x5404
EE_SK equ 1                    ; of EECD
EE_CS equ 2
EE_DI equ 4
EE_DO equ 8
EE_REQ equ 0x40
EE_GNT equ 0x80
WORDS equ 0x300000             ; of the EEPROM, by its pins

main:
        mov rsp, 0x280000
        config 0x10, REGISTERS
        config 0x04, 6
        mov ebx, REGISTERS

        ; Both resets at once, then the link.
        mov dword [rbx + CTRL], 0x84000000
        mov r14d, 200000000
.reset:
        mov r15b, 1
        dec r14d
        jz failed
        pause
        test dword [rbx + CTRL], 0x04000000
        jnz .reset
        mov dword [rbx + CTRL], 0x60 ; ASDE, SLU

        ; Which layout? Done is bit 4 with addresses from bit 8 on, bit 1 with addresses from bit 2 on.
        mov dword [rbx + EERD], 1
        wait_for [rbx + EERD], 0x12, 2
        mov eax, [rbx + EERD]
        and eax, 0x12
        check eax, 0x10, 3
        xor ebp, ebp
.word:
        mov eax, ebp
        shl eax, 8
        or eax, 1
        mov [rbx + EERD], eax
        wait_for [rbx + EERD], 0x10, 4
        mov eax, [rbx + EERD]
        shr eax, 16
        mov [address + rbp * 2], ax
        inc ebp
        cmp ebp, 3
        jne .word
        mov esi, eerd_text
        call print
        mov eax, [address]
        bswap eax
        call show

        ; The same in the first receive address, which is valid.
        mov eax, [rbx + RAL0]
        check eax, [address], 5
        mov eax, [rbx + RAH0]
        check ax, [address + 4], 6
        shr eax, 31
        check eax, 1, 7
        mov esi, ral_text
        call print

        ; All 64 words by the pins. A grant, a start bit, opcode 10, six bits of address; DO is 0 before the data.
        or dword [rbx + EECD], EE_REQ
        wait_for [rbx + EECD], EE_GNT, 8
        xor ebp, ebp
.read:
        mov edx, EE_REQ | EE_CS
        mov [rbx + EECD], edx
        lea ecx, [rbp + 0x180]  ; 110 and the address: nine bits
        mov edi, 9
.out:
        dec edi
        mov edx, EE_REQ | EE_CS
        bt ecx, edi
        jnc .zero
        or edx, EE_DI
.zero:
        call clock
        test edi, edi
        jnz .out
        mov edx, [rbx + EECD]
        and edx, EE_DO
        check edx, 0, 9
        xor ecx, ecx
        mov edi, 16
.in:
        mov edx, EE_REQ | EE_CS
        call clock
        add ecx, ecx
        test dword [rbx + EECD], EE_DO
        jz .low
        inc ecx
.low:
        dec edi
        jnz .in
        mov [WORDS + rbp * 2], cx
        mov dword [rbx + EECD], EE_REQ ; CS falls
        mov dword [rbx + EECD], EE_REQ | EE_SK
        mov dword [rbx + EECD], EE_REQ
        inc ebp
        cmp ebp, 64
        jne .read
        mov dword [rbx + EECD], 0
        mov eax, [WORDS]
        check eax, [address], 10
        mov ax, [WORDS + 4]
        check ax, [address + 4], 11
        xor eax, eax
        xor ecx, ecx
.sum:
        add ax, [WORDS + rcx * 2]
        inc ecx
        cmp ecx, 64
        jne .sum
        check ax, 0xbaba, 12
        mov esi, pins_text
        call print

        ; The PHY, at address 1 and nowhere else: its identifier, less the revision.
        mov ecx, 0x08220000     ; read register 2
        call mdic
        mov ebp, eax
        shl ebp, 16
        mov ecx, 0x08230000     ; and 3
        call mdic
        and eax, 0xfff0
        or eax, ebp
        mov ebp, eax
        mov esi, phy_text
        call print
        mov eax, ebp
        call show
        check ebp, 0x01410c20, 14
        mov dword [rbx + MDIC], 0x08420000 ; at address 2
        wait_for [rbx + MDIC], 0x50000000, 15
        mov eax, [rbx + MDIC]
        test eax, 0x40000000
        jnz .nobody             ; an error, or nobody drives the line
        check ax, 0xffff, 16
.nobody:
        ; Autonegotiation ends, and the link is up; then the MAC says so, too.
        mov r13d, 20000000
.negotiation:
        mov r15b, 17
        dec r13d
        jz failed
        mov ecx, 0x08210000     ; status
        call mdic
        and eax, 0x24
        cmp eax, 0x24
        jne .negotiation
        wait_for [rbx + STATUS], 2, 18
        mov esi, link_text
        call print
        xor eax, eax
        call finish
failed:
        mov al, r15b
        call finish

; edx to EECD, with SK low, then high, then low.
clock:
        mov [rbx + EECD], edx
        or edx, EE_SK
        mov [rbx + EECD], edx
        and edx, ~EE_SK
        mov [rbx + EECD], edx
        ret
; Command ecx to MDIC: what was read in eax.
mdic:
        mov [rbx + MDIC], ecx
        wait_for [rbx + MDIC], 0x10000000, 13
        mov eax, [rbx + MDIC]
        movzx eax, ax
        ret
; eax and a line feed.
show:
        push rbx
        call print_hex
        pop rbx
        mov al, 10
        call putc
        ret

eerd_text db "EERD: address begins ", 0
ral_text db "RAL0 says the same", 10, 0
pins_text db "the pins say the same, and the checksum is right", 10, 0
phy_text db "PHY ", 0
link_text db "link", 10, 0
address dq 0
