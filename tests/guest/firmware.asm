; SPDX-License-Identifier: MIT
; tests/guest/firmware.asm - a ROM of 256 KiB. The processor begins 16 bytes below 4 GiB in real mode; the ROM looks
; at its own copy below 1 MiB, tries to write there, resets the machine once, goes to flat 32-bit protected mode, looks
; at the ROM in full, and powers off. Its last 64 KiB are the segment F000h, of which CS begins as a part.
        bits 16
        org 0
ROM_BYTES  equ 0x40000
COM1       equ 0x3f8
PM1A_CNT   equ 0x604
MARK       equ 0x500           ; in RAM, which a reset keeps: 0x600d after the first round

; At each 64 KiB what it is, so that copies can be told from each other.
        db "ROM begin"
        times 0x10000 - ($ - $$) db 0x11
        times 0x10000 db 0x22
        db "ROM low"
        times 0x30000 - ($ - $$) db 0x33

%define at(label) ((label) - $$ - 0x30000) ; offset in F000h

start:
        mov ax, cs             ; F000h, with the base FFFF0000h: until it is loaded, code is read near 4 GiB
        cmp ax, 0xf000
        jne wrong
        smsw ax
        test al, 1
        jnz wrong
        mov ax, ds             ; data segments begin at 0
        or ax, ax
        jnz wrong
        cmp word [MARK], 0x600d
        je second
        mov si, at(text_begin)
        call print16
        mov ax, 0xf000         ; the same bytes below 1 MiB
        mov ds, ax
        cmp dword [at(text_begin)], "firm"
        jne wrong
        mov byte [at(text_begin)], "X"
        cmp dword [at(text_begin)], "firm" ; it is ROM
        jne wrong
        mov ax, 0xe000         ; 128 KiB of them
        mov ds, ax
        cmp dword [0], "ROM "
        jne wrong
        cmp dword [3], " low"
        jne wrong
        mov ax, 0xd000         ; what is below is RAM
        mov ds, ax
        mov word [0xfffe], 0x5aa5
        cmp word [0xfffe], 0x5aa5
        jne wrong
        mov si, at(text_copy)
        call print16
        xor ax, ax
        mov ds, ax
        mov word [MARK], 0x600d
        mov dx, 0xcf9          ; a hard reset, after which all begins anew
        mov al, 0x06
        out dx, al
        hlt
second:
        mov si, at(text_again)
        call print16
        jmp 0xf000:at(low)     ; into the copy below 1 MiB
low:
        mov si, at(text_low)
        call print16
        cs o32 lgdt [at(gdt_pointer)]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:0xf0000 + at(protected)

; Prints the text at cs:si up to a 0. Changes al, dx, si.
print16:
        cs lodsb
        test al, al
        jz .done
        mov dx, COM1
        out dx, al
        jmp print16
.done:
        ret

wrong:
        mov si, at(text_wrong)
        call print16
        mov dx, 0x501
        mov al, 0x7f
        out dx, al
        hlt

        bits 32
protected:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x90000
        cmp dword [0x100000000 - ROM_BYTES], "ROM "
        jne .wrong
        cmp dword [0x100000000 - ROM_BYTES + 4], "begi"
        jne .wrong
        mov dword [0x100000000 - ROM_BYTES], 0
        cmp dword [0x100000000 - ROM_BYTES], "ROM "
        jne .wrong
        lock inc dword [0x100000000 - ROM_BYTES]
        cmp dword [0x100000000 - ROM_BYTES], "ROM "
        jne .wrong
        push dword 0x12345678
        pop eax
        cmp eax, 0x12345678
        jne .wrong
        mov esi, 0xffff0000 + at(text_protected)
        call print32
        mov dx, PM1A_CNT
        mov ax, 0x2000
        out dx, ax
        hlt
.wrong:
        mov esi, 0xffff0000 + at(text_wrong)
        call print32
        mov dx, 0x501
        mov al, 0x7e
        out dx, al
        hlt

; Prints the text at esi.
print32:
        lodsb
        test al, al
        jz .done
        mov dx, COM1
        out dx, al
        jmp print32
.done:
        ret

text_begin:     db "firmware: real mode at the reset vector", 10, 0
text_copy:      db "firmware: a copy below 1 MiB, read-only", 10, 0
text_again:     db "firmware: again after a reset", 10, 0
text_low:       db "firmware: runs below 1 MiB", 10, 0
text_protected: db "firmware: protected mode", 10, 0
text_wrong:     db "firmware: something is wrong", 10, 0

        align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff  ; 8: code
        dq 0x00cf93000000ffff  ; 16: data
gdt_pointer:
        dw $ - gdt - 1
        dd 0xf0000 + at(gdt)

        times ROM_BYTES - 16 - ($ - $$) db 0x44
        bits 16
reset_vector:                  ; FFFF:FFF0
        jmp start
        times ROM_BYTES - ($ - $$) db 0x44
