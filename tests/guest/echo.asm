; SPDX-License-Identifier: MIT
; tests/guest/echo.asm - reads COM1 and sends back what comes until a 'q', then ends with code 0. The input is
; longer than what a UART holds (one byte: the FIFOs stay off, turning them on would empty them), so its other
; end has to wait.
%include "lib.inc"

main:
        mov esi, .ready_text
        call print
.next:
        mov dx, COM1 + 5
        in al, dx
        test al, 1             ; DR
        jz .next
        mov dx, COM1
        in al, dx
        cmp al, 'q'
        je .done
        call putc
        jmp .next
.done:
        mov esi, .done_text
        call print
        xor eax, eax
        jmp finish
.ready_text: db "echo: ready", 10, 0
.done_text:  db 10, "echo: done", 10, 0
