// The emulator board: the parts that Rust cannot express. There is no inline assembly for this target.

// Where the core starts. There is no stack yet.
    .section .reset, "ax"
    .global _reset
_reset:
    j       1f
    .align  4
2:  .word   _stack_top
3:  .word   _stack_bottom
4:  .word   0xa5a5a5a5
5:  .word   pblink_emulator_main
    // User mode for exceptions, all interrupt levels open; none is enabled.
1:  movi    a2, 0x20
    wsr     a2, ps
    rsync
    l32r    a1, 2b
    // Painted, so that the deepest use of the stack can be measured.
    l32r    a3, 3b
    l32r    a4, 4b
6:  s32i    a4, a3, 0
    addi    a3, a3, 4
    bltu    a3, a1, 6b
    l32r    a0, 5b
    jx      a0

// Exception vectors, at the chip's own addresses: kernel +0x30, user +0x50, double +0x70.
    .section .vectors, "ax"
    .org    0x30
    j       _fault
    .org    0x50
    j       _user
    .org    0x70
    j       _fault
    .org    0x80
    .align  4
1:  .word   pblink_emulator_fault
    // The only interrupt is the timer that ends pblink_idle: it has done its work by coming.
_user:
    wsr     a2, excsave1
    rsr     a2, exccause
    bnei    a2, 4, _fault
    movi    a2, 0
    wsr     a2, intenable
    esync
    rsr     a2, excsave1
    rfe
_fault:
    rsr     a2, exccause
    rsr     a3, epc1
    rsr     a4, excvaddr
    l32r    a0, 1b
    jx      a0

    .section .text.pblink_asm, "ax"
    .align  4

// u32 pblink_simcall(u32 number, u32 a, u32 b, u32 c): a call of the emulator.
    .global pblink_simcall
pblink_simcall:
    simcall
    ret

// u32 pblink_ccount(void): the cycle counter.
    .align  4
    .global pblink_ccount
pblink_ccount:
    rsr     a2, ccount
    ret

// void pblink_idle(u32 cycles): sleeps, or returns at once. The interrupt is masked until waiti
// opens it, so it cannot come too early and be missed. If the host took so long that the time was up
// before it was set, the timer would next come after all 2^32 cycles: then there is no sleep.
    .align  4
    .global pblink_idle
pblink_idle:
    rsil    a4, 1
    rsr     a3, ccount
    add     a4, a3, a2
    wsr     a4, ccompare0
    esync
    rsr     a4, ccount
    sub     a4, a4, a3
    bgeu    a4, a2, 1f
    movi    a3, 64
    wsr     a3, intenable
    esync
    waiti   0
    ret
1:  rsil    a4, 0
    ret

// Where the compiler sends a panic: reports from where.
    .align  4
    .global abort
abort:
    mov     a2, a0
    call0   pblink_emulator_aborted
