// What stands in for the chip's ROM: its functions at their addresses, and a trap for the UART.

// Where the core starts. There is no stack yet.
    .section .reset, "ax"
    .global _reset
_reset:
    j       1f
    .align  4
2:  .word   _stack_top
3:  .word   bench_main
    // User mode for exceptions, all interrupt levels open.
1:  movi    a2, 0x20
    wsr     a2, ps
    rsync
    l32r    a1, 2b
    l32r    a0, 3b
    callx0  a0

// The ROM. Everything else in it is an illegal instruction.
    .macro  rom address, function
    .org    \address
    j       \function
    .endm

    .section .rom, "ax"
    .org    0x10
    // The debug exception: the core has touched what it is made to watch.
    wsr     a0, excsave2
    j       trap
    // Exceptions: mostly the end, see bench_fault.
    .org    0x30
    wsr     a0, excsave1
    j       fault
    .org    0x50
    wsr     a0, excsave1
    j       fault
    .org    0x70
    ill
    rom     0x0f98, rom_isr_mask
    rom     0x0fbc, rom_user_start
    // The chip's mark, by which hosts know it.
    .org    0x1000
    .word   0xfff0c101
    rom     0x10a8, rom_user_code
    rom     0x264c, rom_reset
    rom     0x2ecc, rom_delay
    rom     0x39d8, rom_div_modify
    rom     0x3f58, rom_select
    rom     0x4644, rom_attach
    rom     0x4878, rom_unlock
    rom     0x4984, rom_erase_chip
    rom     0x49b4, rom_erase_block
    rom     0x4a00, rom_erase_sector
    rom     0x4a4c, rom_write
    rom     0x4b1c, rom_read
    rom     0x4c2c, rom_parameters
    .org    0x5000

    .section .text.bench, "ax"
    .align  4
1:  .word   registers
2:  .word   _trap_stack_top
3:  .word   bench_trap
4:  .word   bench_fault

// All registers are saved, the function carries out what the core was about to do and returns where to
// continue, all are restored.
    .macro  enter level, function
    l32r    a0, 1b
    s32i    a1, a0, 4
    s32i    a2, a0, 8
    s32i    a3, a0, 12
    s32i    a4, a0, 16
    s32i    a5, a0, 20
    s32i    a6, a0, 24
    s32i    a7, a0, 28
    s32i    a8, a0, 32
    s32i    a9, a0, 36
    s32i    a10, a0, 40
    s32i    a11, a0, 44
    s32i    a12, a0, 48
    s32i    a13, a0, 52
    s32i    a14, a0, 56
    s32i    a15, a0, 60
    rsr     a2, excsave\level
    s32i    a2, a0, 0
    rsr     a2, sar
    s32i    a2, a0, 64
    mov     a2, a0
    rsr     a3, epc\level
    rsr     a4, exccause
    rsr     a5, excvaddr
    l32r    a1, 2b
    l32r    a0, \function
    callx0  a0
    wsr     a2, epc\level
    l32r    a0, 1b
    l32i    a2, a0, 64
    wsr     a2, sar
    l32i    a1, a0, 4
    l32i    a2, a0, 8
    l32i    a3, a0, 12
    l32i    a4, a0, 16
    l32i    a5, a0, 20
    l32i    a6, a0, 24
    l32i    a7, a0, 28
    l32i    a8, a0, 32
    l32i    a9, a0, 36
    l32i    a10, a0, 40
    l32i    a11, a0, 44
    l32i    a12, a0, 48
    l32i    a13, a0, 52
    l32i    a14, a0, 56
    l32i    a15, a0, 60
    l32i    a0, a0, 0
    .endm

trap:
    enter   2, 3b
    rfi     2
fault:
    enter   1, 4b
    rfe

// u32 bench_simcall(u32 number, u32 a, u32 b, u32 c): a call of the emulator.
    .align  4
    .global bench_simcall
bench_simcall:
    simcall
    ret

// void bench_watch(u32 address, u32 control): traps what loads from and stores to an address.
    .align  4
    .global bench_watch
bench_watch:
    wsr     a2, dbreaka0
    wsr     a3, dbreakc0
    isync
    ret

// u32 bench_level(void): from now on nothing traps; what to give to bench_restore.
    .align  4
    .global bench_level
bench_level:
    rsil    a2, 2
    ret

    .align  4
    .global bench_restore
bench_restore:
    wsr     a2, ps
    rsync
    ret

// void bench_start(u32 entry): the loaded program. The ROM's stack is this one.
    .align  4
    .global bench_start
bench_start:
    jx      a2

    .align  4
    .global abort
abort:
    ill

    .section .bss.registers, "aw", @nobits
    .align  4
registers:
    .space  68
