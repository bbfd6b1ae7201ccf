//! A server in ten lines: every line goes back to the board that sent it.
//!
//!     cargo run -p pblink-examples --bin echo-server
//!     pblink simulate --client 1                          # in another terminal, or a real board

use pblink_server::{Delivery, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8123), |port| port.parse())?;
    let server = Server::builder().port(port).bind().await?;
    println!("listening on {}", server.local_addr());
    loop {
        let board = server.next_client().await?;
        tokio::spawn(async move {
            while let Ok(line) = board.recv().await {
                // Acknowledged only once the board has it back.
                if board.write(&line, Delivery::ORDERED).await.is_err() || line.accept().is_err() {
                    break;
                }
            }
        });
    }
}
