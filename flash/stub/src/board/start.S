// Where the ROM jumps to, and where it is left. There is no inline assembly for this target.

    .section .text.start, "ax"
    .align  4
1:  .word   _stack_top
2:  .word   _rom_stack
3:  .word   _bss_start
4:  .word   _bss_end
5:  .word   pblink_stub_main
6:  .word   _user_code
7:  .word   software_reset

    .global _stub_start
_stub_start:
    // The ROM's stack may be small: the stub has its own.
    l32r    a2, 3b
    l32r    a3, 4b
    movi    a4, 0
8:  s32i    a4, a2, 0
    addi    a2, a2, 4
    bltu    a2, a3, 8b
    l32r    a2, 2b
    s32i    a1, a2, 0
    l32r    a1, 1b
    l32r    a0, 5b
    callx0  a0
    // On to the program in flash, as if the ROM had loaded nothing.
    l32r    a2, 2b
    l32i    a1, a2, 0
    l32r    a0, 6b
    jx      a0

// Where the compiler sends what cannot happen: a restart, which the host notices.
    .align  4
    .global abort
abort:
    l32r    a0, 7b
    jx      a0

    .section .bss.rom_stack, "aw", @nobits
    .align  4
_rom_stack:
    .space  4
