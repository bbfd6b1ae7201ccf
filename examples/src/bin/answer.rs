//! A client of the control API of `pblink serve`, in a process of its own: it reads the lines of all boards, and
//! answers each exactly once.
//!
//!     pblink serve                                        # in another terminal
//!     cargo run -p pblink-examples --bin answer -- answer.cursor
//!
//! Nothing of pblink is linked: HTTP and JSON are all that it takes. The place in the log is kept in a file, which is
//! written after the answers were taken. Killed between the two, it answers again; the server knows the key of an
//! answer (`Idempotency-Key`) and adds nothing.

use std::error::Error;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A part of the log.
#[derive(Debug, Deserialize)]
struct Page {
    /// Name of the log: an offset of another one means nothing.
    log: String,
    /// Where the next page begins.
    after: u64,
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    offset: u64,
    client: String,
    text: String,
}

/// Returns what goes back to the board. What is to be different for you is here.
fn work(line: &Line) -> Option<String> {
    Some(format!("line {} had {} bytes", line.offset, line.text.len()))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let cursor = arguments.next().ok_or("usage: answer FILE [URL]")?;
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8124".to_owned());
    // Refusals are answers: they are looked at below.
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(90)))
        .build()
        .into();
    loop {
        match round(&agent, &url, Path::new(&cursor)) {
            Ok(()) => {}
            // The server is away, and keeps the lines.
            Err(error) if error.is::<ureq::Error>() => {
                eprintln!("{error}; again in a second");
                sleep(Duration::from_secs(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Answers the next lines, and stores where it is.
fn round(agent: &Agent, url: &str, cursor: &Path) -> Result<()> {
    let place = std::fs::read_to_string(cursor).unwrap_or_default();
    let query = match place.trim().split_once(' ') {
        Some((log, after)) => format!("log={log}&after={after}"),
        None => "after=0".to_owned(),
    };
    let mut answer = agent.get(format!("{url}/api/v1/lines?{query}&limit=100&wait=30s")).call()?;
    if answer.status() != StatusCode::OK {
        // 410: lines were deleted before they were read; 409: another log. Both are for a person to decide.
        return Err(refused(&mut answer)?.into());
    }
    let page: Page = answer.body_mut().read_json()?;
    for line in &page.lines {
        if let Some(text) = work(line) {
            send(agent, url, &line.client, &text, &format!("answer-{}-{}", page.log, line.offset))?;
        }
    }
    let new = cursor.with_extension("new");
    std::fs::write(&new, format!("{} {}\n", page.log, page.after))?;
    std::fs::rename(new, cursor)?;
    Ok(())
}

/// Puts a line for a board into the log, once for each `key`.
fn send(agent: &Agent, url: &str, client: &str, text: &str, key: &str) -> Result<()> {
    let client = utf8_percent_encode(client, NON_ALPHANUMERIC);
    loop {
        let mut answer = agent
            .post(format!("{url}/api/v1/links/{client}/lines"))
            .header("Authorization", format!("Bearer {}", token(agent, url)?))
            .header("Idempotency-Key", key)
            .send(text)?;
        match answer.status() {
            StatusCode::OK | StatusCode::ACCEPTED => return Ok(()),
            // Many lines wait for this board, or the disk is full.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::INSUFFICIENT_STORAGE => sleep(Duration::from_secs(1)),
            _ => return Err(refused(&mut answer)?.into()),
        }
    }
}

/// Returns the token that writing needs: from the environment, else from the file that the server names.
fn token(agent: &Agent, url: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Server {
        token_file: Option<String>,
    }
    if let Ok(token) = std::env::var("PBLINK_TOKEN") {
        return Ok(token);
    }
    let mut answer = agent.get(format!("{url}/api/v1/server")).call()?;
    let server: Server = answer.body_mut().read_json()?;
    let file =
        server.token_file.ok_or("PBLINK_TOKEN is not set, and the server has no token file")?;
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}

/// Returns the server's reason.
fn refused(answer: &mut Response<Body>) -> Result<String> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let status = answer.status();
    let refused: Refused = answer.body_mut().read_json()?;
    Ok(format!("{status}: {}", refused.error))
}
