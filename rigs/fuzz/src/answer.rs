//! Answers to `pblink monitor` and the verbs: by the product's own client, from a server that may say anything.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use pblink_serve::control::{Client, ClientError, EventQuery, LineQuery, Outgoing, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::input::Input;
use sse::Cutter;

// The product's own source: nothing of it is public.
#[path = "../../../serve/src/control/client/sse.rs"]
mod sse;

/// A message: event, number, data.
pub type Message = (String, String, String);

/// Cuts pieces of a stream into messages. `None`: it is not a stream of ours.
pub type Cut = fn(&[&[u8]]) -> Option<Vec<Message>>;

/// The answer by which a server is known as one of ours.
const SERVER: &str = r#"{"program":"pblink","api":1,"version":"0.1.0","listen":"[::]:8123","timeout_ms":2000,"app":"echo","started_at_ms":1,"uptime_ms":7,"links_up":0,"links_total":0}"#;

/// Runs an input: a question, and the answers of the connections that are made for it.
pub fn run(data: &[u8]) {
    run_with(data, cut);
}

/// Runs it with another way to cut streams.
pub fn run_with(data: &[u8], cut: Cut) {
    let mut input = Input::new(data);
    match input.byte() {
        0..128 => stream(&mut input, cut),
        question => ask(question, input),
    }
}

/// The way of the product.
pub fn cut(pieces: &[&[u8]]) -> Option<Vec<Message>> {
    let mut cutter = Cutter::default();
    let mut all = Vec::new();
    for piece in pieces {
        let messages = cutter.push(piece).ok()?.into_iter();
        all.extend(messages.map(|message| (message.event, message.id, message.data)));
    }
    Some(all)
}

/// Cuts a stream: its messages are the same however its bytes come, and no longer than it is.
fn stream(input: &mut Input<'_>, cut: Cut) {
    let size = 1 + usize::from(input.byte());
    let bytes = input.rest();
    let whole = cut(&[bytes]);
    let pieces: Vec<_> = bytes.chunks(size).collect();
    assert_eq!(cut(&pieces), whole);
    let data = whole.iter().flatten().map(|(_, _, data)| data.len()).sum::<usize>();
    // A byte that is no text is shown as one that has three.
    assert!(data <= 3 * bytes.len());
}

/// Asks a server that answers with what is left of the input.
fn ask(question: u8, input: Input<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has descriptors").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it has one");
        tokio::select! {
            () = questions(question, address) => {}
            never = serve(listener, input) => match never {},
        }
    });
}

/// Puts one question after a greeting.
async fn questions(question: u8, address: SocketAddr) {
    let client = match Client::connect(&address.to_string()).await {
        Ok(client) => client,
        Err(error) => return worded(&error),
    };
    let lines = LineQuery { limit: 10, wait: Duration::ZERO, ..LineQuery::default() };
    let outgoing = Outgoing {
        client: "kitchen",
        lines: &["on".to_owned()],
        delivery: "guaranteed",
        key: "1",
        wait: Duration::ZERO,
    };
    match question % 12 {
        0 => known(client.link_infos().await),
        1 => known(client.outages(Some("24h"), None).await),
        2 => known(client.reports(None, Some("kitchen")).await),
        3 => known(client.lines(&lines).await),
        4 => known(client.send(&outgoing).await),
        5 => known(client.past_events(&EventQuery::default()).await),
        6 => known(client.consumers().await),
        7 => known(client.skip("exec", Some("kitchen")).await),
        8 => known(client.waiting("kitchen").await),
        9 => known(client.undetermined(None).await),
        10 => known(client.info().await),
        _ => follow(client).await,
    }
}

/// Follows the server until it is lost.
async fn follow(client: Client) {
    let mut updates = client.follow();
    while let Some(update) = updates.recv().await {
        match update {
            Update::Server(info) => same(&info),
            Update::Links(links) => same(&links),
            Update::Outages(outages) => same(&outages),
            Update::Reports(reports) => same(&reports),
            Update::Event(event) => same(&*event),
            Update::Lost { reason, .. } => {
                assert!(!reason.is_empty());
                return;
            }
            _ => {}
        }
    }
}

/// Checks an answer: one that is understood is written as it was read.
fn known<T: Serialize + DeserializeOwned + PartialEq + Debug>(answer: Result<T, ClientError>) {
    match answer {
        Ok(answer) => same(&answer),
        Err(error) => worded(&error),
    }
}

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).expect("it has no map");
    assert_eq!(serde_json::from_str::<T>(&json).ok().as_ref(), Some(value), "{json}");
}

fn worded(error: &ClientError) {
    assert!(!error.reason().is_empty() && !error.to_string().is_empty());
}

/// Answers all connections with what the input says, one after the other.
async fn serve(listener: TcpListener, mut input: Input<'_>) -> std::convert::Infallible {
    let mut first = true;
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let greets = std::mem::take(&mut first) && !input.byte().is_multiple_of(8);
        let bytes = if greets { wrapped("200 OK", SERVER.as_bytes()) } else { next(&mut input) };
        // The client may have gone.
        let _ = answer(&mut stream, &bytes).await;
    }
}

async fn answer(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n")
        && stream.read_buf(&mut request).await? > 0
    {}
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

/// Returns the next answer of the input.
fn next(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    let text = match input.byte() {
        255 => input.bytes(usize::MAX),
        len => input.bytes(usize::from(len) * 4),
    };
    match how % 4 {
        0 => text.to_vec(),
        1 => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            [&head[..], text].concat()
        }
        2 => wrapped(input.one_of(&["404 Not Found", "501 No", "200 OK", "302 Found"]), text),
        _ => wrapped("200 OK", text),
    }
}

fn wrapped(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
