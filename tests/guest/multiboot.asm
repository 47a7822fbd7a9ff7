; SPDX-License-Identifier: MIT
; tests/guest/multiboot.asm - a multiboot 1 kernel (specification 0.6.96): checks the magic number, prints the
; RAM that the memory map tells of, the last word of the command line (loaders may put the file's name
; first) and the bytes of the first module. Powers off.
        bits 32
        org 0x100000
guest_start:
multiboot_header:
        dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003) ; aligned modules, memory info, addresses
        dd multiboot_header, guest_start, 0, guest_end + 4096, main
%define OWN_HEADER
%include "lib.inc"

main:
        mov esp, guest_end + 4096
        cmp eax, 0x2badb002
        jne wrong
        mov ebp, ebx           ; the multiboot information
        mov eax, [ebp]
        and eax, 0x4c          ; command line, modules, memory map
        cmp eax, 0x4c
        jne wrong

; Sum of all RAM in KiB, then in MiB, rounded up: what firmware takes for itself is less than one.
        mov esi, [ebp + 48]    ; mmap_addr
        mov edi, [ebp + 44]    ; mmap_length
        add edi, esi
        xor ebx, ebx
.entry:
        cmp esi, edi
        jae .sum
        cmp dword [esi + 20], 1
        jne .next
        mov eax, [esi + 12]
        mov edx, [esi + 16]
        shrd eax, edx, 10
        add ebx, eax
.next:
        add esi, [esi]
        add esi, 4
        jmp .entry
.sum:
        mov esi, ram_text
        call print
        lea eax, [ebx + 1023]
        shr eax, 10
        call print_decimal
        mov esi, cmdline_text
        call print

        mov esi, [ebp + 16]    ; cmdline
        mov ebx, esi
.word:
        lodsb
        cmp al, ' '
        jne .end
        mov ebx, esi
.end:
        test al, al
        jnz .word
        mov esi, ebx
        call print

        mov esi, module_text
        call print
        cmp dword [ebp + 20], 1 ; mods_count
        jb wrong
        mov edx, [ebp + 24]    ; mods_addr
        mov esi, [edx]         ; mod_start
        mov ebx, [edx + 4]     ; mod_end
.byte:
        cmp esi, ebx
        jae power_off
        lodsb
        call putc
        jmp .byte

wrong:
        mov al, 0x7f
        jmp finish

ram_text:     db "multiboot: ", 0
cmdline_text: db " MiB, ", 0
module_text:  db ", ", 0
        align 16
guest_end:
