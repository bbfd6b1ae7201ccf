//! The machine code of both boards, in one program: most of these tests wait for an emulator most of the time.
//! The bench is the longest by far, and named so that it starts first.
#![cfg(unix)]

mod bench;
mod boards;
mod chip;
mod secure;
mod stub;
mod vectors;
