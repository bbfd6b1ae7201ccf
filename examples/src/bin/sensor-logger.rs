//! A logger of sensors: the lines of all boards go into one CSV file, and each is acknowledged to its board only
//! when it is on disk. So a full disk, or a logger that is killed, loses nothing: boards send again what was not
//! acknowledged.
//!
//!     cargo run -p pblink-examples --bin sensor-logger -- sensors.csv
//!     pblink simulate --client kitchen                    # in another terminal, or a real board
//!
//! A line that was written just before the logger died may be written twice, since its acknowledgement did not
//! reach the board: a reader that minds drops repetitions.

use std::time::{SystemTime, UNIX_EPOCH};

use pblink_server::Server;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: sensor-logger FILE [PORT]")?;
    let port = arguments.next().map_or(Ok(8123), |port| port.parse())?;
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(file).await?;
    let server = Server::builder().port(port).bind().await?;
    println!("listening on {}", server.local_addr());

    // One task for each board, one writer for the file.
    let (found, mut lines) = mpsc::channel(64);
    let clients = tokio::spawn(async move {
        while let Ok(board) = server.next_client().await {
            let found = found.clone();
            tokio::spawn(async move {
                while let Ok(line) = board.recv().await {
                    if found.send((board.id().to_owned(), line)).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    while let Some((id, line)) = lines.recv().await {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // Quotes double inside of quotes, as spreadsheets want it.
        let text = line.text().replace('"', "\"\"");
        file.write_all(format!("{seconds},\"{id}\",\"{text}\"\n").as_bytes()).await?;
        file.sync_data().await?;
        line.accept()?;
    }
    clients.await?;
    Ok(())
}
