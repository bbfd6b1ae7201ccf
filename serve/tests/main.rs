//! Tests of the server's parts in one program, but for those that kill processes or need a broker: linking one for each
//! file took minutes.
//!
//! One part of them: `cargo test -p pblink-serve --test all log::`.

#[cfg(feature = "mdns")]
mod announce;
mod api;
#[path = "log/board.rs"]
mod board;
mod consumers;
mod control;
#[path = "log/engine.rs"]
mod engine;
mod exec;
mod fixture;
mod log;
#[cfg(feature = "sqlite")]
mod log_sqlite;
#[cfg(feature = "sqlite")]
mod past;
mod records;
#[path = "exec/shop.rs"]
mod shop;
