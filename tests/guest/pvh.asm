; SPDX-License-Identifier: MIT
; tests/guest/pvh.asm - an ELF kernel that is entered by its PVH note (Xen's docs/misc/pvh): checks the
; start info's magic number, prints its command line, finds the RSDP, powers off. The ELF file, 64-bit with
; one loadable segment and one of notes, is laid out here by hand.
BASE equ 0x100000
        bits 32
        org BASE

elf_header:
        db 0x7f, "ELF", 2, 1, 1, 0
        dq 0
        dw 2, 62               ; executable, x86-64
        dd 1
        dq main, program_headers - BASE, 0
        dd 0
        dw 64, 56, 2, 0, 0, 0
program_headers:
        dd 1, 7                ; PT_LOAD, rwx
        dq 0, BASE, BASE, file_end - BASE, file_end - BASE + 4096, 4096
        dd 4, 4                ; PT_NOTE
        dq note - BASE, note, note, note_end - note, note_end - note, 4
note:
        dd 4, 8, 18            ; name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY
        db "Xen", 0
        dq main                ; Linux has 8 bytes here, Xen's own examples 4
note_end:

%define OWN_HEADER
%include "lib.inc"

main:
        mov esp, file_end + 4096
        cmp dword [ebx], 0x336ec578
        jne .wrong
        mov ebp, ebx
        mov esi, .text
        call print
        mov esi, [ebp + 24]    ; cmdline_paddr
        call print
        mov esi, .newline
        call print
        mov esi, [ebp + 32]    ; rsdp_paddr
        test esi, esi
        jz power_off
        cmp dword [esi], "RSD "
        je power_off
.wrong:
        mov al, 0x7f
        jmp finish
.text:  db "pvh: ", 0
.newline: db 10, 0
        align 16
file_end:
