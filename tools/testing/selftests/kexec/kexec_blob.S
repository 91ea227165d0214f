/* SPDX-License-Identifier: GPL-2.0 */
/* The payload, as data of the program that loads it */

	.section .rodata
	.balign	8
	.globl	payload_blob, payload_blob_end
payload_blob:
	.incbin	"kexec_payload.bin"
payload_blob_end:

	.section .note.GNU-stack, "", @progbits
