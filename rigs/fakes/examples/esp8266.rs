//! An ESP8266 that is only software, to try `pblink flash esp8266` without a board:
//!
//! ```sh
//! cargo run -p pblink-fakes --example esp8266
//! ```
//!
//! It prints the command to type in another terminal, and ends with ctrl-C.

use pblink_fakes::esp8266::Board;

fn main() {
    let board = Board::with([]);
    let pty = board.pty();
    println!("pblink flash esp8266 --serial {} --image FILE", pty.path());
    loop {
        std::thread::park();
    }
}
