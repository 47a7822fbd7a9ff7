/* SPDX-License-Identifier: MIT
 *
 * dev-uart/regs.h - the registers of the PC16550D (National Semiconductor, June 1995; section 8.0,
 * Table II).
 *
 * Offsets from the first port. DLAB is bit 7 of LCR: it turns offsets 0 and 1 into the divisor
 * latch.
 */
#ifndef DEV_UART_REGS_H
#define DEV_UART_REGS_H

#define UART_PORTS 8u
#define UART_FIFO 16u /* bytes of each FIFO; 1 in 16450 mode */

#define RBR 0u /* RO  receiver buffer, DLAB 0 */
#define THR 0u /* WO  transmitter holding, DLAB 0 */
#define DLL 0u /* RW  divisor latch, low byte, DLAB 1 */
#define DLM 1u /* RW  divisor latch, high byte, DLAB 1 */
#define IER 1u /* RW  interrupt enable, DLAB 0 */
#define IIR 2u /* RC  interrupt identification: reading clears THRE */
#define FCR 2u /* WO  FIFO control */
#define LCR 3u /* RW  line control */
#define MCR 4u /* RW  modem control */
#define LSR 5u /* RC  line status: reading clears the errors */
#define MSR 6u /* RC  modem status: reading clears the deltas */
#define SCR 7u /* RW  scratch */

/* IER:  0 0 0 0 | EDSSI ELSI ETBEI ERBFI */
#define IER_ERBFI 0x01u /* received data, and time-out */
#define IER_ETBEI 0x02u /* transmitter holding register empty */
#define IER_ELSI 0x04u  /* receiver line status */
#define IER_EDSSI 0x08u /* modem status */
#define IER_MASK 0x0fu

/* IIR:  FIFO FIFO 0 0 | id id id none        Table IV, highest priority first */
#define IIR_NONE 0x01u
#define IIR_RLS 0x06u /* receiver line status */
#define IIR_RDA 0x04u /* received data available */
#define IIR_CTI 0x0cu /* character time-out */
#define IIR_THRE 0x02u
#define IIR_MS 0x00u
#define IIR_FIFO 0xc0u

/* FCR:  trigger trigger 0 0 | DMA xmit-reset rcvr-reset enable */
#define FCR_ENABLE 0x01u
#define FCR_RCVR_RESET 0x02u
#define FCR_XMIT_RESET 0x04u
#define FCR_DMA 0x08u
#define FCR_TRIGGER_SHIFT 6u
#define FCR_STORED 0xc9u

/* LCR:  DLAB break stick even | parity stop word word */
#define LCR_WORD 0x03u /* 5 bits and this */
#define LCR_STOP 0x04u /* 2 stop bits; 1.5 with 5-bit words */
#define LCR_PARITY 0x08u
#define LCR_BREAK 0x40u
#define LCR_DLAB 0x80u

/* MCR:  0 0 0 LOOP | OUT2 OUT1 RTS DTR */
#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u /* on a PC it lets the interrupt through to the controller */
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

/* LSR:  FIFO-error TEMT THRE BI | FE PE OE DR */
#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_PE 0x04u
#define LSR_FE 0x08u
#define LSR_BI 0x10u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define LSR_FIFO_ERROR 0x80u
#define LSR_ERRORS 0x1eu      /* what raises the line status interrupt */
#define LSR_CHAR_ERRORS 0x1cu /* what travels with a byte through the FIFO */

/* MSR:  DCD RI DSR CTS | DDCD TERI DDSR DCTS */
#define MSR_DCTS 0x01u
#define MSR_DDSR 0x02u
#define MSR_TERI 0x04u
#define MSR_DDCD 0x08u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u
#define MSR_DELTAS 0x0fu
#define MSR_LINES 0xf0u

#endif
