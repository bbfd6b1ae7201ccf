//! Lines of the log: a page, a page that is waited for, or a stream.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::super::answers::{LinePage, LineRecord, Refused};
use super::consumers::cursor;
use super::events::last_event_id;
use super::query::{Form, Parameters, Raw};
use super::stream::{KEEP_ALIVE, frame, respond};
use super::table::{csv, row};
use super::{Api, error, unreadable};
use crate::log::{Kind, Line, Log, PageError};

/// Lines of an answer, unless it asks for another number.
const LIMIT: usize = 100;

/// The most lines of an answer, and of one look at the log for a stream.
const MOST: usize = 1000;

/// The longest that a request waits for a line.
const WAIT: Duration = Duration::from_secs(60);

/// Time for which lines that fit are looked for behind those that do not.
const SEARCH: Duration = Duration::from_secs(1);

/// Columns of lines, named as in the JSON.
const COLUMNS: [&str; 9] =
    ["offset", "client", "epoch", "seq", "kind", "time", "at_ms", "text", "written_ms"];

/// Header with the log's name, on each answer.
const LOG: HeaderName = HeaderName::from_static("pblink-log");

/// Header with the `after` of the next request, for those who do not read JSON.
const AFTER: HeaderName = HeaderName::from_static("pblink-after");

/// Lines that a reader wants.
#[derive(Debug, Clone)]
struct Wanted {
    client: Option<String>,
    kind: Option<Kind>,
    limit: usize,
}

impl Wanted {
    fn fits(&self, line: &Line) -> bool {
        self.kind.is_none_or(|kind| kind == line.kind)
    }
}

/// A place in a log from which to read on.
#[derive(Debug)]
struct Reader {
    log: Log,
    wanted: Wanted,
    /// Everything up to here is read.
    after: u64,
}

impl Reader {
    /// Looks at the log once. There may be more although no line fits.
    async fn look(&mut self) -> Result<Vec<Line>, PageError> {
        let Wanted { client, limit, .. } = &self.wanted;
        let page = self.log.page(self.after, *limit, client.as_deref()).await?;
        self.after = page.seen;
        let mut lines = page.lines;
        lines.retain(|line| self.wanted.fits(line));
        Ok(lines)
    }

    fn is_at_head(&self) -> bool {
        self.after >= self.log.head()
    }
}

/// Answers with lines.
pub(super) async fn lines(State(api): State<Api>, raw: Raw, headers: HeaderMap) -> Response {
    let Some(log) = api.source.log().cloned() else { return super::no_log() };
    let name = log.name().to_string();
    let mut response = match choose(&api, &log, raw, &headers).await {
        Ok(response) | Err(response) => response,
    };
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(LOG, name);
    }
    response
}

async fn choose(api: &Api, log: &Log, raw: Raw, headers: &HeaderMap) -> Result<Response, Response> {
    let known = ["after", "client", "limit", "wait", "since", "kind", "log", "consumer", "format"];
    let parameters = Parameters::new(raw, &known)?;
    if parameters.get("log").is_some_and(|name| name != log.name().to_string()) {
        return Err(conflict(
            log,
            "this is another log, or a restored one: its offsets mean something else",
        ));
    }
    let limit = parameters.number("limit", "a number from 1 to 1000")?.unwrap_or(LIMIT as u64);
    let kind = match parameters.get("kind") {
        None | Some("line") => Some(Kind::Line),
        Some("report") => Some(Kind::Report),
        Some("all") => None,
        Some(other) => {
            let message = format!("`kind` is {other:?}; give line, report or all");
            return Err(error(StatusCode::BAD_REQUEST, message));
        }
    };
    let limit = usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST);
    let wanted = Wanted { client: parameters.get("client").map(str::to_owned), kind, limit };
    let wait = parameters.length("wait", WAIT)?;
    let after = place(log, &parameters).await?;
    match parameters.form(headers, &[Form::Json, Form::Csv, Form::Stream])? {
        Some(Form::Stream) => {
            let after = last_event_id(headers)?.unwrap_or(after);
            stream(api, Reader { log: log.clone(), wanted, after })
        }
        form => page(api, Reader { log: log.clone(), wanted, after }, wait, form).await,
    }
}

/// Returns the offset behind which to begin.
async fn place(log: &Log, parameters: &Parameters) -> Result<u64, Response> {
    let given =
        ["after", "since", "consumer"].into_iter().filter(|key| parameters.get(key).is_some());
    if given.count() > 1 {
        let message = "give one of `after`, `since` and `consumer`: each says where to begin";
        return Err(error(StatusCode::BAD_REQUEST, message));
    }
    if let Some(name) = parameters.get("consumer") {
        return cursor(log, name);
    }
    if let Some(since_ms) = parameters.time("since")? {
        return log.offset_at(since_ms).await.map_err(|error| unreadable(&error));
    }
    match parameters.get("after") {
        None => Ok(log.first() - 1),
        Some("end") => Ok(log.head()),
        Some(_) => {
            let after =
                parameters.number("after", "an offset, the `after` of an answer, or `end`")?;
            Ok(after.unwrap_or(0))
        }
    }
}

async fn page(
    api: &Api,
    mut reader: Reader,
    wait: Duration,
    form: Option<Form>,
) -> Result<Response, Response> {
    let now = Instant::now();
    let (waits, search) = (now + wait, now + wait.max(SEARCH));
    let lines = loop {
        let lines = reader.look().await.map_err(|error| refuse(&reader.log, &error))?;
        if !lines.is_empty() {
            break lines;
        }
        if !reader.is_at_head() {
            if Instant::now() >= search {
                break lines;
            }
        } else {
            let beyond = tokio::select! {
                beyond = timeout_at(waits, reader.log.wait_beyond(reader.after)) => beyond,
                () = api.stop.cancelled() => Ok(false),
            };
            match beyond {
                Ok(true) => {}
                Ok(false) => return Err(super::stopping()),
                Err(_) => break lines,
            }
        }
    };
    let records = lines.iter().map(LineRecord::from);
    let Reader { log, after, .. } = reader;
    let mut response = match form {
        Some(Form::Csv) => csv(&COLUMNS, records.map(|record| row(&record))),
        _ => Json(LinePage {
            log: log.name().to_string(),
            first: log.first(),
            head: log.head(),
            after,
            lines: records.collect(),
        })
        .into_response(),
    };
    response.headers_mut().insert(AFTER, after.into());
    Ok(response)
}

fn stream(api: &Api, mut reader: Reader) -> Result<Response, Response> {
    if reader.after > reader.log.head() {
        let error = PageError::Beyond { after: reader.after, head: reader.log.head() };
        return Err(refuse(&reader.log, &error));
    }
    let permit = api.streams.enter()?;
    reader.wanted.limit = MOST;
    let hello = json!({
        "log": reader.log.name().to_string(),
        "first": reader.log.first(),
        "head": reader.log.head(),
        "after": reader.after,
    });
    let hello = Bytes::from(frame("log", None, &hello.to_string()));
    let state = (reader, api.clone(), Some(hello));
    let frames = futures::stream::unfold(state, async |(mut reader, api, hello)| {
        let frames = match hello {
            Some(hello) => hello,
            None => next(&mut reader, &api).await?,
        };
        Some((frames, (reader, api, None)))
    });
    Ok(respond(api, permit, frames))
}

/// Waits for what to send next. `None`: there will be no more.
async fn next(reader: &mut Reader, api: &Api) -> Option<Bytes> {
    let quiet = Instant::now() + KEEP_ALIVE;
    loop {
        match reader.look().await {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => return Some(frames(api, &lines)),
            Err(PageError::Gone { first }) => {
                let gap = json!({ "after": reader.after, "first": first, "lines": first - 1 - reader.after });
                reader.after = first - 1;
                return Some(frame("gap", Some(first - 1), &gap.to_string()).into());
            }
            Err(error) => {
                tracing::error!("a stream of lines ends: {error}");
                return None;
            }
        }
        if reader.is_at_head() {
            match timeout_at(quiet, reader.log.wait_beyond(reader.after)).await {
                Ok(true) => continue,
                Ok(false) => return None,
                Err(_) => {}
            }
        }
        if Instant::now() >= quiet {
            // Moves the place of a reader of which nothing fits, too.
            return Some(Bytes::from(format!(":\nid: {}\n\n", reader.after)));
        }
    }
}

fn frames(api: &Api, lines: &[Line]) -> Bytes {
    let mut all = Vec::new();
    for line in lines {
        all.extend_from_slice(&api.line_frames.get(line.offset, || {
            let data = serde_json::to_string(&LineRecord::from(line)).unwrap_or_default();
            frame("line", Some(line.offset), &data)
        }));
    }
    all.into()
}

fn refuse(log: &Log, why: &PageError) -> Response {
    match why {
        PageError::Gone { .. } => {
            offsets(log, StatusCode::GONE, format!("{why}; begin with `after={}`", log.first() - 1))
        }
        PageError::Beyond { .. } => offsets(log, StatusCode::CONFLICT, why.to_string()),
        PageError::Engine(error) => unreadable(error),
    }
}

fn conflict(log: &Log, message: &str) -> Response {
    offsets(log, StatusCode::CONFLICT, message.to_owned())
}

fn offsets(log: &Log, status: StatusCode, error: String) -> Response {
    let name = Some(log.name().to_string());
    let refused = Refused { error, log: name, first: Some(log.first()), head: Some(log.head()) };
    (status, Json(refused)).into_response()
}
