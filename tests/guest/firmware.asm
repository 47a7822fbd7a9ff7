; SPDX-License-Identifier: MIT
; tests/guest/firmware.asm - a ROM of 256 KiB. The processor begins 16 bytes below 4 GiB in real mode; the ROM looks
; at its own copy below 1 MiB, tries to write there, has the host bridge put RAM in its place in every way, resets the
; machine once, finds its copy as it was, goes to flat 32-bit protected mode, looks at the ROM in full, and powers off.
; Its last 64 KiB are the segment F000h, of which CS begins as a part.
        bits 16
        org 0
ROM_BYTES  equ 0x40000
COM1       equ 0x3f8
PM1A_CNT   equ 0x604
PAM0       equ 0x59            ; the host bridge's registers for F0000h, 64 KiB; in its upper half
PAM1       equ 0x5a            ; for C0000h and C4000h, 16 KiB each
PAM4       equ 0x5d            ; for D8000h and DC000h, 16 KiB each
PAM5       equ 0x5e            ; for E0000h and E4000h
FW_CFG_DMA equ 0x518           ; a description's address
DMA        equ 0x600           ; that one
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
        mov si, at(text_copy)
        call print16

        mov ax, 0xd000         ; what is below is nobody's
        mov ds, ax
        mov word [0xfffe], 0x5aa5
        cmp word [0xfffe], 0xffff
        jne wrong
        mov bx, PAM4 | 0x3300  ; but RAM now
        call pam
        mov dword [0xfffc], 0x5aa51111
        cmp dword [0xfffc], 0x5aa51111
        jne wrong
        mov bx, PAM4 | 0x1100  ; RAM that is only read
        call pam
        mov word [0xfffe], 0x1234
        cmp word [0xfffe], 0x5aa5
        jne wrong
        mov bx, PAM4 | 0x2200  ; and only written
        call pam
        mov word [0xfffe], 0x1234
        cmp word [0xfffe], 0xffff
        jne wrong
        mov bx, PAM4 | 0x3300
        call pam
        cmp dword [0xfffc], 0x12341111
        jne wrong
        mov bx, PAM4 | 0x3000  ; each half for itself
        call pam
        cmp word [0xfffe], 0x1234
        jne wrong
        cmp word [0xbffe], 0xffff
        jne wrong
        mov si, at(text_ram)
        call print16

        mov bx, PAM1 | 0x0300  ; fw_cfg writes to the end of what is no shadow RAM, and on into it
        call pam
        xor ax, ax
        mov ds, ax
        mov dword [DMA], 0x0a000000 ; item 0, to be read
        mov dword [DMA + 4], 0x04000000
        mov dword [DMA + 8], 0
        mov dword [DMA + 12], 0xfeff0b00
        mov dx, FW_CFG_DMA
        mov eax, DMA
        bswap eax
        out dx, eax
        mov ax, 0xbf00
        mov ds, ax
        mov eax, [0xffe]
        cmp eax, "QEMU"
        jne wrong

        mov ax, 0xe000         ; the ROM copies itself, read here and written there
        mov ds, ax
        mov bx, PAM5 | 0x0200
        call pam
        mov eax, [0]
        mov [0], eax
        mov dword [3], " new"
        cmp dword [3], " low"
        jne wrong
        mov bx, PAM5 | 0x0100
        call pam
        cmp dword [0], "ROM "
        jne wrong
        cmp dword [3], " new"
        jne wrong
        mov ax, 0xf000         ; and what is run
        mov ds, ax
        mov es, ax
        mov bx, PAM0 | 0x2000
        call pam
        xor si, si
        xor di, di
        mov cx, 0x400           ; all that is used of it
        cld
        rep movsd
        mov bx, PAM0 | 0x3000
        call pam
        mov byte [at(text_shadow)], "F"
        jmp 0xf000:at(in_shadow) ; from here on below 1 MiB
in_shadow:
        mov si, at(text_shadow)
        call print16
        mov bx, PAM0 | 0x1000
        call pam
        mov byte [at(text_shadow)], "X"
        cmp byte [at(text_shadow)], "F"
        jne wrong
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
        mov ax, 0xf000         ; ROM, as it was
        mov ds, ax
        cmp dword [at(text_shadow)], "firm"
        jne wrong
        mov ax, 0xd000
        mov ds, ax
        cmp word [0xfffe], 0xffff
        jne wrong
        mov bx, PAM0
        call find
        in al, dx
        test al, al
        jnz wrong
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

; Points dx at the host bridge's register bl. Changes eax.
find:
        mov eax, 0x80000000
        mov al, bl
        and al, 0xfc
        mov dx, 0xcf8
        out dx, eax
        mov dx, 0xcfc
        mov al, bl
        and al, 3
        add dl, al
        ret

; Sets the host bridge's register bl to bh. Changes eax, dx.
pam:
        call find
        mov al, bh
        out dx, al
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
text_ram:       db "firmware: RAM below it, in each way", 10, 0
text_shadow:    db "firmware: runs in RAM", 10, 0
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
