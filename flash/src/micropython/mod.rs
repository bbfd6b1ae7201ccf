//! Boards with MicroPython: files onto them, and programs that run there, over their raw REPL.
//!
//! ```text
//!   Sources::read() ── pb_link, primitives, configuration
//!       │
//!   install(), Board::run() ── each file is new or old, never half
//!       │
//!     Board ──┬── Repl ── the raw REPL, a machine without I/O
//!             └── Port ── a serial port            (or a fake board)
//! ```
//!
//! The board does its part by the functions of `agent.py`, which it gets as code and forgets with its
//! next restart.

mod board;
mod install;
mod ports;
mod python;
mod repl;
mod sources;

pub use board::{Board, Ended, Identity, OLDEST};
pub use install::{Installed, Job, Placed, check_folder, install};
pub use ports::{boards, only_board};
pub use python::client_id;
pub use repl::{Event, Fault, Repl};
pub use sources::{File, Need, OTHER_CONFIG, PROGRAM, Sources};
