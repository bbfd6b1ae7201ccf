//! Answers the tests' questions about the machines of `pblink-protocol`, on the emulator board.

#![no_std]
#![no_main]

use core::convert::Infallible;

use pblink_emulated_board::frame::{from_board, to_board};
use pblink_emulated_board::questions::answer;
use pblink_stm32::emulator::executor;
use pblink_stm32::emulator::port::{Reader, emit};

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(program())
}

async fn program() -> Infallible {
    let mut frames = Reader::default();
    emit(from_board::BOOT, &[]);
    loop {
        let frame = frames.next().await;
        if frame.kind == to_board::CASE
            && let Some((&question, input)) = frame.content.split_first()
        {
            emit(from_board::ANSWER, &[&answer(question, input)]);
        }
    }
}
