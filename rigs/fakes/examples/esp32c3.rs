//! An ESP32-C3 that is only software, to try flashing without a board:
//!
//! ```sh
//! cargo run -p pblink-fakes --example esp32c3
//! ```
//!
//! It prints the port, and ends with ctrl-C.

use pblink_fakes::esp32c3::Board;

fn main() {
    let board = Board::with([]);
    let pty = board.pty();
    println!("{}", pty.path());
    loop {
        std::thread::park();
    }
}
