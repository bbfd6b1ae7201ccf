// What the compiler cannot do.

// The interrupt of `syn`'s edges. In RAM, since it may come while the flash is being written; and
// here, since the compiler puts the literals of such a function elsewhere.
//
// Acknowledges the interrupt, notes that the wire has moved, and posts an event to the task unless one is in its queue already.
    .section .iram.pblink, "ax"
    .align  4
1:  .word   0x6000031c          // GPIO_STATUS; GPIO_STATUS_W1TC is 8 further
2:  .word   PBLINK_POSTED
3:  .word   system_os_post
5:  .word   PBLINK_MOVED
    .align  4
    .global pblink_on_edge
pblink_on_edge:
    l32r    a2, 1b
    memw
    l32i    a3, a2, 0
    memw
    s32i    a3, a2, 8
    memw
    l32r    a2, 5b
    movi    a3, 1
    s8i     a3, a2, 0
    l32r    a2, 2b
    l8ui    a3, a2, 0
    bnez    a3, 4f
    movi    a3, 1
    s8i     a3, a2, 0
    l32r    a5, 3b
    // priority 1, signal 0, parameter 0; it returns to our caller
    movi    a2, 1
    movi    a3, 0
    movi    a4, 0
    jx      a5
4:  ret

// Where the compiler sends a panic: reports from where.
    .section .text.abort, "ax"
    .align  4
    .global abort
abort:
    mov     a2, a0
    call0   pblink_aborted
