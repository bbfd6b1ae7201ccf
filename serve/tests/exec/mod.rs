//! Programs of the user as consumers: real ones, run by `sh`, with real sockets.

mod ack;
mod all;
mod each;
mod end;
mod limits;
mod several;
