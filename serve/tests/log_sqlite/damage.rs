//! Files and folders that are not as a server has left them: one client's row, a page, the whole file, the permissions.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pblink_serve::control::{Notice, Source};
use pblink_serve::hub::Hub;
use pblink_serve::log::{Commit, Engine, EngineError, Keep, Log, Opened, SessionRow, Sqlite};
use pblink_server::{EventKind, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{lines, open_soon, row, session};

/// Makes a log with lines, and returns its file.
fn log_of(folder: &Path, count: u64) -> std::path::PathBuf {
    let mut log = Sqlite::open(folder).unwrap();
    log.commit(&lines(1..=count)).unwrap();
    drop(log);
    folder.join("log.db")
}

/// Says one line through a connection, and returns what the server has answered once it has acknowledged it.
async fn say(server: &Server, id: &str, number: &str, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    socket.write_all(format!("{id}\n{number}{text}\n").as_bytes()).await.unwrap();
    let (mut heard, mut some) = (String::new(), [0; 64]);
    while !heard.split('\n').any(|line| line == number) {
        let n = socket.read(&mut some).await.unwrap();
        assert!(n > 0, "the server has hung up: {heard:?}");
        heard.push_str(std::str::from_utf8(&some[..n]).unwrap());
    }
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_session_concerns_its_own_client_only() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let opened = Log::open(open_soon(folder.path()), Keep::default()).unwrap();
        let Opened { log, sessions, past } = opened;
        let damaged = past.damaged.clone();
        let builder = Server::builder().listen("127.0.0.1:0".parse().unwrap()).commits(true);
        let builder = builder.timeout(Duration::from_secs(600)).restore_states(sessions);
        let server = builder.bind().await.unwrap();
        let resumed = Hub::resume(server.clone(), log.clone(), past, Duration::from_secs(600), "");
        let hub = resumed.await.unwrap();
        log.attach(server.clone()).await;
        (log, server, hub, damaged)
    };
    let (log, server, _hub, _) = start().await;
    let sockets =
        (say(&server, "kitchen", "00", "a").await, say(&server, "attic", "00", "b").await);
    server.shutdown().await;
    log.stop().await;
    drop((log, sockets));

    let mut engine = open_soon(folder.path());
    let mut kitchen = engine.load().unwrap().sessions.remove(1);
    assert_eq!(&*kitchen.0, "kitchen");
    kitchen.1.state.as_mut().unwrap().fill(0xee);
    engine
        .commit(&Commit { sessions: vec![kitchen], outbox: vec![row(1)], ..Commit::default() })
        .unwrap();
    drop(engine);
    assert_eq!(Sqlite::check(folder.path()).unwrap().bad_sessions[0].0, "kitchen");

    let (log, server, hub, damaged) = start().await;
    assert_eq!(damaged.len(), 1);
    let mut events = hub.history().subscribe();
    loop {
        match events.next().await.unwrap() {
            Notice::Event(event) if matches!(event.kind, EventKind::SessionDamaged { .. }) => {
                assert_eq!(event.kind.id(), Some("kitchen"));
                break;
            }
            _ => {}
        }
    }
    // The other's window is as before: the same line is a repetition. The damaged one takes it for new.
    let sockets =
        (say(&server, "attic", "00", "b").await, say(&server, "kitchen", "00", "a").await);
    let texts = log.page(0, 10, None).await.unwrap().lines;
    let texts: Vec<_> = texts.iter().map(|line| (&*line.client, &*line.text)).collect();
    assert_eq!(texts, [("kitchen", "a"), ("attic", "b"), ("kitchen", "a")]);
    assert_eq!(log.client("kitchen").waiting, 1, "what was to go to it still is");
    server.shutdown().await;
    log.stop().await;
    drop((log, sockets));
    assert!(Sqlite::check(folder.path()).unwrap().is_sound(), "once");
}

#[test]
fn a_session_that_nobody_connects_to_is_damaged_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Sqlite::open(folder.path()).unwrap();
    let sessions = vec![("kitchen".into(), session(b"nonsense", 4))];
    engine.commit(&Commit { sessions, ..Commit::default() }).unwrap();
    drop(engine);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let opened = Log::open(open_soon(folder.path()), Keep::default()).unwrap();
        assert_eq!(opened.past.damaged[0].0, "kitchen");
        opened.log.stop().await;
    });
    drop(runtime);
    let loaded = open_soon(folder.path()).load().unwrap();
    let anew = SessionRow { state: None, ..session(&[], 4) };
    assert_eq!(loaded.sessions, [("kitchen".into(), anew)]);
}

#[test]
fn a_file_that_was_cut_or_overwritten_is_refused_with_a_remedy() {
    let whole = tempfile::tempdir().unwrap();
    let bytes = fs::read(log_of(whole.path(), 2000)).unwrap();
    let nonce = fs::read(whole.path().join("nonce")).unwrap();
    let mut header = bytes.clone();
    header[..100].fill(0xee);
    let mut schema = bytes.clone();
    schema[100..4096].fill(0xee);
    for (what, contents) in [
        ("empty", &[][..]),
        ("of a hundred bytes", &bytes[..100]),
        ("of three pages", &bytes[..3 * 4096]),
        ("with another head", &header),
        ("without its schema", &schema),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.db"), contents).unwrap();
        fs::write(folder.path().join("nonce"), &nonce).unwrap();
        let refused = match Sqlite::open(folder.path()) {
            Err(error) => error,
            Ok(mut log) => log.load().map(|_| panic!("{what} was opened")).unwrap_err(),
        };
        assert!(matches!(refused, EngineError::Damaged { .. }), "{what}: {refused:?}");
        assert!(refused.to_string().contains("restore a backup"), "{what}: {refused}");
        assert!(fs::read(folder.path().join("log.db")).unwrap() == contents, "{what} is kept");
        let checked = Sqlite::check(folder.path());
        assert!(checked.as_ref().map_or(true, |report| !report.is_sound()), "{what}: {checked:?}");
    }
}

/// Any page may be wrong: each call ends with what was there or with an error, and a check knows.
#[test]
fn a_page_that_was_overwritten_is_an_error_where_it_is_read_and_found_by_a_check() {
    let whole = tempfile::tempdir().unwrap();
    let bytes = fs::read(log_of(whole.path(), 3000)).unwrap();
    let nonce = fs::read(whole.path().join("nonce")).unwrap();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for page in 1..bytes.len() / 4096 {
        let folder = tempfile::tempdir().unwrap();
        let mut contents = bytes.clone();
        random.fill(&mut contents[page * 4096..(page + 1) * 4096]);
        fs::write(folder.path().join("log.db"), &contents).unwrap();
        fs::write(folder.path().join("nonce"), &nonce).unwrap();
        let checked = Sqlite::check(folder.path());
        assert!(
            checked.as_ref().map_or(true, |report| !report.is_sound()),
            "page {page}, {checked:?}"
        );
        let used = Sqlite::open(folder.path()).and_then(|mut log| {
            log.load()?;
            log.reader().lines(0, 5000, 5000, None)?;
            log.reader().events(0, 10)?;
            log.commit(&lines(3001..=3100))
        });
        if let Err(error) = used {
            assert!(matches!(error, EngineError::Damaged { .. }), "page {page}: {error:?}");
        }
    }
}

#[test]
fn a_value_that_no_server_writes_is_damage_and_no_fault_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_of(folder.path(), 3);
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute("INSERT INTO outbox VALUES ('kitchen', 0, 1, 5, 'text', 77)", []).unwrap();
    drop(db);
    let refused = Sqlite::open(folder.path()).unwrap().load().unwrap_err();
    assert!(matches!(refused, EngineError::Damaged { .. }), "{refused:?}");
}

/// Copies the files of a log as a kill would leave them.
fn killed(folder: &Path, names: &[&str]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in names {
        let copied = Command::new("cp").arg(folder.join(name)).arg(copy.path()).status();
        assert!(copied.unwrap().success());
    }
    copy
}

#[test]
fn a_write_ahead_log_that_is_missing_after_a_kill_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    assert!(!log.is_wal_missing(), "a new one");
    log.commit(&lines(1..=9)).unwrap();
    let all = ["log.db", "log.db-wal", "nonce", "lock"];
    let whole = killed(folder.path(), &all);
    let without = killed(folder.path(), &["log.db", "nonce", "lock"]);
    drop(log);
    assert!(!Sqlite::open(folder.path()).unwrap().is_wal_missing(), "it was closed in order");
    let mut log = Sqlite::open(whole.path()).unwrap();
    assert_eq!((log.is_wal_missing(), log.load().unwrap().next), (false, 10));
    assert!(Sqlite::open(without.path()).unwrap().is_wal_missing());
}

#[test]
fn a_write_ahead_log_without_its_log_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=9)).unwrap();
    let copy = killed(folder.path(), &["log.db-wal", "nonce", "lock"]);
    let wal = fs::read(copy.path().join("log.db-wal")).unwrap();
    drop(log);
    let mut log = Sqlite::open(copy.path()).unwrap();
    assert_eq!(log.load().unwrap().next, 1, "it was moved away, to begin anew");
    let mut names = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = names.find(|name| name.to_string_lossy().contains("-wal.replaced-")).unwrap();
    assert!(fs::read(aside).unwrap() == wal);
}

/// Names the folder that a process of another user tries to open.
const DENIED: &str = "PBLINK_TEST_DENIED";

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn a_folder_that_this_user_may_not_write_is_refused_with_its_owner() {
    if let Some(folder) = std::env::var_os(DENIED) {
        let refused = Sqlite::open(Path::new(&folder)).unwrap_err();
        assert!(matches!(refused, EngineError::Denied { .. }), "{refused:?}");
        println!("refused: {refused}");
        return;
    }
    let above = tempfile::tempdir().unwrap();
    fs::set_permissions(above.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = fs::metadata(above.path()).unwrap().uid() == 0;
    let folder = above.path().join("state");
    log_of(&folder, 3);
    // Root may do anything: it asks as somebody else, whom the test's program has to be within reach of.
    let program = above.path().join("test");
    // By another process: a file that this one has open for writing is open in the children of its other threads, too, until these
    // run their programs, and such a file cannot be run ("text file busy").
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    let closed = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    for (what, path, mode) in [
        ("closed", folder.clone(), if root { 0o700 } else { 0 }),
        ("read only", folder.clone(), if root { 0o755 } else { 0o555 }),
        ("within one", folder.join("new"), if root { 0o755 } else { 0o555 }),
    ] {
        closed(mode);
        let mut test = Command::new(&program);
        test.args([
            "log_sqlite::damage::a_folder_that_this_user_may_not_write_is_refused_with_its_owner",
        ])
        .args(["--exact", "--nocapture"])
        .current_dir("/")
        .env(DENIED, &path);
        if root {
            test.uid(NOBODY).gid(NOBODY);
        }
        let output = test.output().unwrap();
        closed(0o700);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{what}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("choose another folder with --state"), "{what}: {text}");
        if root {
            assert!(text.contains("belongs to user 0, and this is user 65534"), "{what}: {text}");
        }
    }
}
