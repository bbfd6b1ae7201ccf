//! The consumers of lines, with real sockets.

use std::sync::Arc;
use std::time::Duration;

use pblink_serve::consumers::{self, App, Passed};
use pblink_serve::hub::Hub;
use pblink_server::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Starts a server with an application, and returns it with the lines that pass.
async fn start(app: App) -> (Arc<Hub>, mpsc::Receiver<Passed>) {
    let timeout = Duration::from_secs(60);
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::builder().listen(address).timeout(timeout).bind().await.unwrap();
    let hub = Hub::new(server, timeout, app.to_string());
    let (passed, lines) = mpsc::channel(8);
    tokio::spawn(consumers::run(Arc::clone(&hub), app, passed));
    (hub, lines)
}

#[tokio::test]
async fn the_demo_reads_while_its_own_line_is_unacknowledged() {
    let (hub, mut lines) = start(App::Demo).await;
    let mut board = TcpStream::connect(hub.server().local_addr()).await.unwrap();
    // It never acknowledges anything.
    board.write_all(b"1\n\n00[1, 2, 3]\n01[4, 5, 6]\n").await.unwrap();
    for expected in ["[1, 2, 3]", "[4, 5, 6]"] {
        let line = tokio::time::timeout(Duration::from_secs(60), lines.recv()).await;
        let line = line.expect("it is deaf").unwrap();
        assert_eq!(line.text(), expected);
        line.accept();
    }
}

#[tokio::test]
async fn a_line_is_acknowledged_when_it_is_accepted_and_comes_again_if_it_is_dropped() {
    let (hub, mut lines) = start(App::Print).await;
    let board = TcpStream::connect(hub.server().local_addr()).await.unwrap();
    let (read, mut write) = board.into_split();
    write.write_all(b"1\n\n00first\n").await.unwrap();
    let acknowledged = tokio::spawn(async move {
        let mut read = BufReader::new(read).lines();
        loop {
            let line = read.next_line().await.unwrap().expect("the server ended");
            if !line.is_empty() {
                return line;
            }
        }
    });
    // Whoever prints failed: nobody has seen the line.
    drop(lines.recv().await.unwrap());
    let status = hub.server().link("1").unwrap().status();
    assert_eq!(status.unread, 1, "it waits in its session");
    assert!(!acknowledged.is_finished());
    let again = lines.recv().await.unwrap();
    assert_eq!((again.client(), again.text()), ("1", "first"));
    again.accept();
    assert_eq!(acknowledged.await.unwrap(), "00");
}

#[tokio::test]
async fn a_line_is_acknowledged_when_its_echo_is() {
    let (hub, _lines) = start(App::Echo).await;
    let board = TcpStream::connect(hub.server().local_addr()).await.unwrap();
    let (read, mut write) = board.into_split();
    let mut read = BufReader::new(read).lines();
    let mut next = async || {
        loop {
            let line = read.next_line().await.unwrap().expect("the server ended");
            if !line.is_empty() {
                return line;
            }
        }
    };
    write.write_all(b"1\n\n00first\n").await.unwrap();
    assert_eq!(next().await, "00first", "nothing is acknowledged before the echo is written");
    // So the line is still the server's to hand out: were it stopped now, the board would send it again.
    assert_eq!(hub.server().link("1").unwrap().status().unread, 1);
    write.write_all(b"00\n").await.unwrap();
    assert_eq!(next().await, "00");
    // A line that cannot be returned does not hold up those behind it.
    let long = "y".repeat(1100);
    write.write_all(format!("01{long}\n02short\n").as_bytes()).await.unwrap();
    let mut seen = [next().await, next().await];
    seen.sort();
    assert_eq!(seen, ["01", "01short"]);
}

#[test]
fn apps_have_names_and_print_has_an_old_one() {
    for app in App::ALL {
        assert_eq!(app.name().parse(), Ok(app));
    }
    assert_eq!("log".parse(), Ok(App::Print));
    assert!("banana".parse::<App>().is_err());
}
