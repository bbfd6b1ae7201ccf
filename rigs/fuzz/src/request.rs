//! Requests to the control API: the bytes of a connection, by the product's own listener and router, with a log in memory.

mod answers;
mod peer;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use pblink_protocol::layer::Layer;
use pblink_serve::control::{Access, ControlServer, History, ServerInfo, Source, Token};
use pblink_serve::log::{Commit, Engine, Keep, Kind, Line, Log, Memory};
use pblink_server::{Cause, EventKind, LinkState, LinkStatus};
use tokio::runtime::Runtime;

use crate::input::Input;
use answers::Answer;
use peer::{Connection, Peer};

/// The token of those that may write.
const TOKEN: &str = "token-of-the-fuzzer";

/// That of the others' server: no input can know it.
const SECRET: &str = "a-token-that-stands-in-no-input";

/// Turns of the log's thread in which nothing happens until a connection counts as quiet.
const QUIET: u32 = 6;

/// A server with two boards, and a log.
struct Server {
    history: History,
    log: Log,
}

impl Source for Server {
    fn info(&self) -> ServerInfo {
        ServerInfo {
            version: "0.1.0".into(),
            listen: "[::]:8123".into(),
            timeout_ms: 2000,
            app: "echo".into(),
            started_at_ms: 1,
            uptime_ms: 7,
            links_up: 1,
            links_total: 2,
            recalled: 0,
            gateways: Vec::new(),
        }
    }

    fn links(&self) -> Vec<LinkStatus> {
        let away = LinkState::Down { layer: Layer::Wifi, cause: Cause::Silent };
        vec![LinkStatus::new("kitchen", LinkState::Up), LinkStatus::new("attic", away)]
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn log(&self) -> Option<&Log> {
        Some(&self.log)
    }
}

impl Server {
    fn new() -> Arc<Self> {
        let mut memory = Memory::new("fuzz");
        let line = |offset| Line {
            offset,
            client: "kitchen".into(),
            epoch: 1,
            seq: offset,
            at_ms: offset,
            kind: Kind::Line,
            written_ms: None,
            text: format!("{{\"t\":{offset}}}").into(),
        };
        let commit = Commit { lines: (1..=3).map(line).collect(), ..Commit::default() };
        memory.commit(&commit).expect("it is in memory");
        let log = Log::open(memory, Keep::default()).expect("it is in memory").log;
        let history = History::new(16);
        let id = "attic".to_owned();
        history.record(EventKind::OutageBegan { id, cause: Cause::Silent, layer: Layer::Wifi });
        Arc::new(Self { history, log })
    }

    /// Returns all that a request could have changed.
    async fn state(&self) -> String {
        let waiting = self.log.waiting("kitchen").await;
        let status = self.log.status();
        let consumers: Vec<_> =
            status.consumers.iter().map(|consumer| (&consumer.name, consumer.offset)).collect();
        let lines = (self.log.first(), self.log.head(), self.log.undetermined().await);
        format!("{waiting:?} {consumers:?} {lines:?} {:?}", self.log.sessions().await)
    }
}

/// Runs an input: who asks and how the bytes come, and the bytes.
pub fn run(data: &[u8]) {
    run_with(data, |access| access, |_| {});
}

/// Runs it with other rights than these, and with other answers.
pub fn run_with(data: &[u8], rights: impl Fn(Access) -> Access, change: impl Fn(&mut Vec<u8>)) {
    let mut input = Input::new(data);
    let how = input.byte();
    let (known, local, piece) = (how & 1 == 0, how & 2 == 0, usize::from(how >> 2));
    let bytes = input.rest();
    let word = if known { TOKEN } else { SECRET };
    let token = Some(Token::parse(word).expect("it is long enough"));
    let access = rights(Access { token, ..Access::default() });
    let peer: SocketAddr =
        if local { "127.0.0.1:9" } else { "192.0.2.1:9" }.parse().expect("it is one");
    let (mut output, before, after) = runtime().block_on(async {
        let server = Server::new();
        let before = server.state().await;
        let control = control(&server);
        let connection = Connection::new(bytes, if piece == 0 { usize::MAX } else { piece });
        let visitors = control.visitors();
        let answer = visitors.answer(Peer(&connection), peer, ("fuzz", access, local));
        attend(answer, &connection, &server.log).await;
        let after = server.state().await;
        server.log.stop().await;
        (connection.output(), before, after)
    });
    change(&mut output);
    let answers = answers::cut(&output);
    for answer in &answers {
        check(answer);
        // Who is elsewhere and does not know the token gets no answer with anything of this server in it.
        let told = answer.status == 200 && answer.kind.starts_with("application/json");
        assert!(known || local || !told, "{answer:?}");
    }
    if !known {
        assert_eq!(before, after, "nobody without the token writes");
    }
}

/// Answers one connection until nothing more happens, and until nothing more happens after its peer has gone: no time passes.
/// One that streams or waits with another request behind it may last: it does not read, and a write would tell it.
async fn attend(answer: impl Future<Output = ()>, connection: &Connection<'_>, log: &Log) {
    let mut answer = pin!(answer);
    let (mut quiet, mut last) = (0, connection.progress());
    let mut gone = false;
    loop {
        let ended = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_ready())).await;
        if ended {
            return;
        }
        // The log's thread and the one that reads do what was asked of them before this.
        log.waiting("").await;
        tokio::task::spawn_blocking(|| {}).await.expect("it does nothing");
        tokio::task::yield_now().await;
        let now = connection.progress();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        if quiet >= QUIET {
            if std::mem::replace(&mut gone, true) {
                return;
            }
            connection.end();
            quiet = 0;
        }
    }
}

/// Checks an answer: it is one of those that the API has.
fn check(answer: &Answer<'_>) {
    assert!(statuses().contains(&answer.status), "{answer:?}");
    if answer.kind.starts_with("application/json") && answer.whole {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        assert!(answer.status < 400 || body["error"].is_string(), "{answer:?}");
    }
    // The HTTP library refuses what is no request without a word.
    let silent = answer.body.is_empty();
    let worded = answer.kind.starts_with("application/json");
    assert!(answer.status < 400 || silent || worded, "{answer:?}");
}

/// Returns the statuses that the documentation has, and those of HTTP itself; none says that the server has failed.
fn statuses() -> &'static [u16] {
    static ALL: OnceLock<Vec<u16>> = OnceLock::new();
    ALL.get_or_init(|| {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("it is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let methods = paths.values().filter_map(|path| path.as_object()).flatten();
        let answers = methods.filter_map(|(_, method)| method["responses"].as_object());
        let documented =
            answers.flat_map(|all| all.keys()).filter_map(|status| status.parse().ok());
        let of_http = [100, 304, 400, 403, 404, 405, 413, 414, 431];
        documented.filter(|status| *status < 500).chain(of_http).collect()
    })
}

/// Returns the API of a server. It listens at a port that nobody knows.
fn control(server: &Arc<Server>) -> ControlServer {
    static LISTENER: OnceLock<std::net::TcpListener> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
        listener.set_nonblocking(true).expect("it can");
        listener
    });
    let listener = listener.try_clone().expect("there is a descriptor");
    let listener = tokio::net::TcpListener::from_std(listener).expect("there is a runtime");
    ControlServer::serve(listener, Arc::clone(server) as Arc<dyn Source>, Access::default())
        .expect("it has an address")
}

/// Returns a runtime whose one helper does one thing after the other.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(1).build().expect("the system has threads")
    })
}
