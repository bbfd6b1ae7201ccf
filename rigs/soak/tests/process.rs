//! A `pblink serve` process that is stopped, reloaded, out of disk, or given a backup, while boards write: the ledger.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use fastrand::Rng;
use pblink_soak::crowd::{self, Crowd};
use pblink_soak::faults::{Disk, Faults};
use pblink_soak::ledger::Ledger;
use pblink_soak::process::{Server, Signal, program, start, start_with};
use pblink_soak::store;

const BOARDS: u64 = 12;

/// Words of a server whose disk is full, or nearly.
const FULL: &str = "lines wait at";

/// Words of a server whose disk has room again.
const ROOM: &str = "there is room on the log's disk again";

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn seed() -> u64 {
    let seed = std::env::var("PBLINK_SEED").map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("PBLINK_SEED={seed}");
    seed
}

/// Lets some lines pass: the instant is the fault.
fn traffic(crowd: &Crowd, random: &mut Rng) {
    crowd.wait_for(random.u64(50..1500));
}

/// Returns true if the bytes for a full disk are set aside.
fn has_reserve(state: &Path) -> bool {
    fs::metadata(state.join("reserve")).is_ok_and(|data| data.len() == 8 << 20)
}

/// Starts a server that cannot, and returns what it says.
fn refused(state: &Path) -> String {
    let mut server = Command::new(program())
        .args(["serve", "--any-client", "--control", "off", "--listen", "127.0.0.1:0", "--state"])
        .arg(state)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its end is that of the pipe.
    let mut stderr = server.stderr.take().unwrap();
    let (said, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut words = String::new();
        stderr.read_to_string(&mut words).unwrap();
        said.send(words)
    });
    let Ok(said) = ended.recv_timeout(HANGS) else {
        server.kill().unwrap();
        panic!("it has started");
    };
    assert_eq!(server.wait().unwrap().code(), Some(1));
    said
}

/// Ends all, and compares the log and the echoes with what was written.
fn judge(crowd: Crowd, server: Server, state: &Path) {
    let accounts = crowd.finish(HANGS);
    server.stop(Signal::TERM).unwrap();
    let lines = store::lines(state).unwrap();
    println!("{} lines", lines.len());
    assert!(lines.len() > 100, "the boards have hardly written");
    assert_eq!(crowd::judge(&accounts, Some(store::by_client(lines).unwrap())), Ledger::default());
}

#[test]
fn a_server_that_is_stopped_at_any_instant_loses_and_doubles_nothing() {
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let mut random = Rng::with_seed(seed);
    let mut server = start(folder.path(), anywhere());
    let address = server.address();
    let crowd = Crowd::start(address, BOARDS, seed);
    for n in 0..8 {
        traffic(&crowd, &mut random);
        server.stop(if n % 2 == 0 { Signal::TERM } else { Signal::INT }).unwrap();
        server = start(folder.path(), address);
    }
    judge(crowd, server, folder.path());
}

#[test]
fn a_server_that_is_reloaded_all_the_time_goes_on() {
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let mut random = Rng::with_seed(seed);
    let mut server = start(folder.path(), anywhere());
    let address = server.address();
    let crowd = Crowd::start(address, BOARDS, seed);
    for n in 0..12 {
        traffic(&crowd, &mut random);
        server.signal(Signal::HUP).unwrap();
        if n % 4 == 3 {
            server.kill().unwrap();
            server = start(folder.path(), address);
        }
    }
    assert_eq!(server.has_ended().unwrap(), None, "{}", server.said());
    judge(crowd, server, folder.path());
}

#[test]
fn a_disk_that_is_full_and_freed_again_loses_and_doubles_nothing() {
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let disk = match Disk::mount(folder.path(), 160) {
        Ok(disk) => disk,
        Err(why) => {
            // The next test has the same by faults, which need no rights.
            eprintln!(
                "no small disk can be mounted here ({why}): full disks are made by faults only"
            );
            return;
        }
    };
    let mut random = Rng::with_seed(seed);
    let (state, ballast) = (disk.path().join("state"), disk.path().join("ballast"));
    let mut server = start(&state, anywhere());
    let address = server.address();
    let crowd = Crowd::start(address, BOARDS, seed);
    let fill = || {
        // To the last byte: not even the room that is left for cursors is there.
        let full = fs::File::create(&ballast)
            .and_then(|mut file| std::io::copy(&mut std::io::repeat(1), &mut file));
        assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    };
    for round in 0..3 {
        // The bytes that a start on a full disk needs are set aside while there is room.
        while !has_reserve(&state) {
            crowd.wait_for(100);
        }
        traffic(&crowd, &mut random);
        let before = server.times(FULL);
        fill();
        server.wait_for(FULL, before);
        assert_eq!(server.has_ended().unwrap(), None, "{}", server.said());
        if round > 0 {
            server.kill().unwrap();
            server = start(&state, address);
            // Boards are there again, and nothing of theirs can be kept.
            server.wait_for(FULL, 0);
        }
        let before = server.times(ROOM);
        fs::remove_file(&ballast).unwrap();
        // Until then it need not say once more that the disk is full.
        server.wait_for(ROOM, before);
    }
    // Without it a start is refused with a remedy, and costs nothing.
    server.stop(Signal::TERM).unwrap();
    // It may be used up already.
    let _ = fs::remove_file(state.join("reserve"));
    fill();
    let refused = refused(&state);
    assert!(refused.contains("is full: free some space"), "{refused}");
    assert!(refused.contains(&state.display().to_string()), "{refused}");
    fs::remove_file(&ballast).unwrap();
    let server = start(&state, address);
    traffic(&crowd, &mut random);
    judge(crowd, server, &state);
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_says_it_is_full_or_fails_once_loses_and_doubles_nothing() {
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let mut random = Rng::with_seed(seed);
    let state = folder.path().join("state");
    let mut faults = None;
    let mut begin = |address| {
        start_with(&state, address, |command| {
            faults = Some(Faults::give(folder.path(), command));
            command.args(["--app", "echo"])
        })
    };
    let mut server = begin(anywhere());
    let address = server.address();
    let crowd = Crowd::start(address, BOARDS, seed);
    for round in 0..4 {
        traffic(&crowd, &mut random);
        let faults = Faults::give(folder.path(), &mut Command::new("true"));
        let fault = if round % 2 == 0 { "full" } else { "quota" };
        // Words of an earlier round do not count.
        let before = server.times(FULL);
        faults.set(fault);
        server.wait_for(FULL, before);
        assert_eq!(server.has_ended().unwrap(), None, "{}", server.said());
        if round > 1 {
            server.kill().unwrap();
            faults.clear(fault);
            server = begin(address);
        } else {
            faults.clear(fault);
        }
        // A disk that fails once: the log is opened anew, and nothing counts before.
        traffic(&crowd, &mut random);
        let before = server.times("opening it anew");
        faults.set("fsync-once");
        server.wait_for("opening it anew", before);
    }
    judge(crowd, server, &state);
}

/// Runs a verb on the folder of a log.
fn state(verb: &str, state: &Path, file: &Path) {
    let output = Command::new(program())
        .args(["state", verb])
        .arg(file)
        .arg("--state")
        .arg(state)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
}

fn count(texts: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for text in texts {
        *counts.entry(text.as_str()).or_default() += 1;
    }
    counts
}

/// Lines since the backup are in the file that was replaced, and lines since the restore in the new one: together
/// they have every line, and neither has one more often than it was written.
#[test]
fn a_backup_that_is_restored_under_load_loses_nothing_and_doubles_nothing_in_either_log() {
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let mut random = Rng::with_seed(seed);
    let (path, backup) = (folder.path().join("state"), folder.path().join("backup"));
    let begin = |address| start_with(&path, address, |c| c.args(["--app", "print"]));
    let server = begin(anywhere());
    let address = server.address();
    let crowd = Crowd::without_echo(address, BOARDS, seed);
    traffic(&crowd, &mut random);
    state("backup", &path, &backup);
    traffic(&crowd, &mut random);
    server.kill().unwrap();
    state("restore", &path, &backup);
    let server = begin(address);
    traffic(&crowd, &mut random);
    let accounts = crowd.finish(HANGS);
    server.stop(Signal::TERM).unwrap();

    // The file that was replaced, as a log of its own.
    let replaced = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let replaced =
        replaced.into_iter().find(|path| path.to_string_lossy().contains("log.db.replaced-"));
    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::copy(replaced.expect("the log before"), old.join("log.db")).unwrap();
    let (before, after) = (store::lines(&old).unwrap(), store::lines(&path).unwrap());
    assert!(before.len() > 100 && after.len() > 100, "{} and {}", before.len(), after.len());
    let shared = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    assert!(shared > 0, "the backup has lines");
    assert!(before.len() > shared && after.len() > shared, "both went on from there");
    let fresh = store::by_client(after[shared..].to_vec()).unwrap();
    let (before, after) = (store::by_client(before).unwrap(), store::by_client(after).unwrap());
    let (mut lost, mut doubled) = (Vec::new(), Vec::new());
    for account in &accounts {
        assert!(account.finished, "{} waits for ever", account.id);
        let of = |texts: &HashMap<String, Vec<String>>| texts.get(&account.id).cloned();
        let [before, after, fresh] =
            [&before, &after, &fresh].map(|texts| of(texts).unwrap_or_default());
        let (first, second, rest) = (count(&before), count(&after), count(&fresh));
        let written: Vec<String> = account.written.iter().map(|line| line.text.clone()).collect();
        for (text, wrote) in count(&written) {
            let [a, b, c] =
                [&first, &second, &rest].map(|counts| counts.get(text).copied().unwrap_or(0));
            let best_effort = text.starts_with("best");
            if !best_effort && a + c < wrote {
                lost.push(format!("{}: {text}", account.id));
            }
            if a > wrote || b > wrote {
                doubled.push(format!("{}: {text}", account.id));
            }
        }
    }
    assert_eq!((lost, doubled), (Vec::<String>::new(), Vec::new()));
}
