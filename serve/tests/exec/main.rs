//! Programs of the user as consumers: real ones, run by `sh`, with real sockets.

#[path = "../log/board.rs"]
mod board;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../log/engine.rs"]
mod engine;
#[path = "shop.rs"]
mod shop;

mod ack;
mod all;
mod each;
mod end;
mod limits;
mod several;
