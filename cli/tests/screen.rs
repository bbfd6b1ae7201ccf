//! The screens in a real terminal: one that is dumb, one that is closed, one that others have written on.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::process::{self, Serve};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Much longer than anything takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A terminal of 80 × 24 with a program in it.
struct Terminal {
    master: File,
    child: Child,
    shown: Vec<u8>,
    /// Bytes that were waited for already.
    seen: usize,
}

impl Terminal {
    fn run(term: Option<&str>, args: &[&str]) -> Self {
        Self::run_into(None, term, args)
    }

    /// Runs one whose results go elsewhere.
    fn run_into(stdout: Option<Stdio>, term: Option<&str>, args: &[&str]) -> Self {
        Self::start(&["--ctty"], stdout, term, args)
    }

    /// Runs one to which the kernel says nothing when its terminal is closed: it is in a session without one.
    fn run_unbound(args: &[&str]) -> Self {
        Self::start(&[], None, Some("xterm"), args)
    }

    fn start(setsid: &[&str], stdout: Option<Stdio>, term: Option<&str>, args: &[&str]) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).unwrap());
        let pblink = process::pblink(args);
        // With --ctty it gets the terminal as its own.
        let mut command = Command::new("setsid");
        command.args(setsid).arg(pblink.get_program()).args(pblink.get_args());
        command
            .stdin(open())
            .stdout(stdout.unwrap_or_else(open))
            .stderr(open())
            .env_remove("NO_COLOR");
        command.current_dir(pblink.get_current_dir().unwrap());
        for (name, value) in pblink.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        match term {
            Some(term) => command.env("TERM", term),
            None => command.env_remove("TERM"),
        };
        let child = command.spawn().unwrap();
        Self { master: master.into(), child, shown: Vec::new(), seen: 0 }
    }

    /// Reads once. Returns false at the end.
    fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
        assert_ne!(poll(&mut ready, Some(&left)).unwrap(), 0, "in time, after {:?}", self.text());
        let mut buffer = [0; 4096];
        // An error: nobody has the terminal any more.
        let n = self.master.read(&mut buffer).unwrap_or(0);
        self.shown.extend(&buffer[..n]);
        n > 0
    }

    /// Waits until the terminal shows this, after what was waited for before.
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let fresh = &self.shown[self.seen..];
            if let Some(at) = fresh.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            assert!(self.read(deadline), "{text:?} is not in {:?}", self.text());
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Reads to the end of the program.
    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        while self.read(deadline) {}
        (self.child.wait().unwrap(), self.text())
    }

    /// Closes the terminal, as closing its window does.
    fn close(self) -> ExitStatus {
        let Self { master, mut child, .. } = self;
        drop(master);
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let limit = Timespec::try_from(LIMIT).unwrap();
        if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap() == 0 {
            child.kill().unwrap();
            panic!("it goes on without its terminal");
        }
        child.wait().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }
}

const SERVE: [&str; 6] = ["serve", "--screen", "--listen", "127.0.0.1:0", "--state", "off"];

fn serve(control: &str) -> Vec<&str> {
    [&SERVE[..], &["--control", control]].concat()
}

#[test]
fn a_terminal_that_is_closed_ends_the_demo_cleanly() {
    let mut terminal = Terminal::run(Some("xterm"), &["demo", "--calm"]);
    terminal.expect("Outages");
    assert_eq!(terminal.close().code(), Some(0));
}

/// The library that reads the keys must not wait for one more, with the processor busy, where signals are looked at. Its
/// usual way did, one time in fifty, if the terminal went in a certain moment.
#[test]
fn a_terminal_that_is_closed_without_a_signal_ends_the_demo_too() {
    for key in ["", "j", "?"].into_iter().cycle().take(12) {
        let mut terminal = Terminal::run_unbound(&["demo", "--calm"]);
        terminal.expect("Outages");
        terminal.press(key);
        assert_eq!(terminal.close().code(), Some(0));
    }
}

#[test]
fn a_terminal_that_is_closed_stops_the_server_cleanly() {
    let mut terminal = Terminal::run(Some("xterm"), &serve("off"));
    terminal.expect("Outages");
    assert_eq!(terminal.close().code(), Some(0));
}

/// Both are the same signal.
#[test]
fn a_server_without_a_screen_reads_its_settings_again_or_stops_when_its_terminal_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let out = Some(Stdio::from(File::create(&path).unwrap()));
    let args = [&SERVE[..1], &SERVE[2..], &["--control", "off"]].concat();
    let mut terminal = Terminal::run_into(out, Some("xterm"), &args);
    terminal.expect("serving boards at");
    terminal.signal("-HUP");
    terminal.expect("there is no pblink.toml");
    assert_eq!(terminal.close().code(), Some(0));
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("server stopped\n"));
}

#[test]
fn a_terminal_that_is_closed_ends_the_monitor_cleanly() {
    let mut server = Terminal::run(Some("xterm"), &serve("127.0.0.1:0"));
    server.expect("control API at http://");
    server.expect("/");
    let said = server.text();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let mut terminal = Terminal::run(Some("xterm"), &["monitor", "--connect", &address]);
    terminal.expect("Outages");
    assert_eq!(terminal.close().code(), Some(0));
    server.press("\x03");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_monitor_shows_the_lines_of_a_link_and_sends_it_one() {
    let mut server =
        Serve::start(&["--client", "1", "--timeout", "60s", "--control", "127.0.0.1:0"]);
    let mut said = BufReader::new(server.child.stderr.take().unwrap());
    let url = format!("http://{}", process::control_address(&mut said));
    let mut board = TcpStream::connect(&server.address).unwrap();
    board.set_read_timeout(Some(LIMIT)).unwrap();
    board.write_all(b"1\n\n00before\n").unwrap();
    server.wait_for("line_in");
    let mut terminal = Terminal::run(Some("xterm"), &["monitor", "--url", &url]);
    terminal.expect("Outages");
    terminal.expect("before");
    // The list has it as the last line; the page has it among those that pass.
    terminal.press("\rl");
    terminal.expect("before");
    board.write_all(b"01after\n").unwrap();
    terminal.expect("after");
    terminal.press("mlamp\r");
    terminal.expect("Send");
    terminal.press("y");
    let mut lines = BufReader::new(board.try_clone().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line == "00lamp").unwrap();
    board.write_all(b"00\n").unwrap();
    terminal.expect("acknowledged");
    terminal.press("q");
    assert_eq!(terminal.end().0.code(), Some(0));
}

#[test]
fn the_demo_shows_the_lines_of_a_board_and_sends_it_one_that_its_ledger_does_not_mind() {
    let mut terminal = Terminal::run(Some("xterm"), &["demo", "--calm", "--boards", "1"]);
    // Before its links are there, none can be opened. With the first comes the head of the table;
    // "0/1 up" may be drawn as a single character over "0/0 up".
    terminal.expect("last line");
    terminal.press("\r");
    // The board's lines are lists: number, time, and nothing more.
    terminal.expect("Lines");
    terminal.expect("\"\"]");
    terminal.press("mlamp\r");
    terminal.expect("Send");
    terminal.press("y");
    terminal.expect("acknowledged");
    terminal.press("q");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(0), "{shown}");
}

#[test]
fn a_dumb_terminal_gets_lines() {
    for term in [Some("dumb"), Some(""), None] {
        let terminal = Terminal::run(term, &["demo", "--calm", "--for", "1s"]);
        let (status, shown) = terminal.end();
        assert_eq!(status.code(), Some(0), "{term:?}: {shown}");
        assert!(shown.contains("server listens at"), "{term:?}: {shown}");
        assert!(!shown.contains('\x1b'), "{term:?}: {shown:?}");
    }
}

#[test]
fn what_others_have_left_on_the_terminal_is_drawn_over() {
    let mut terminal = Terminal::run(Some("xterm"), &serve("off"));
    terminal.expect("Outages");
    // A shell has the terminal while the program is stopped.
    terminal.signal("-STOP");
    let mut modes = tcgetattr(&terminal.master).unwrap();
    modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    tcsetattr(&terminal.master, OptionalActions::Now, &modes).unwrap();
    terminal.signal("-CONT");
    terminal.expect("\x1b[?1049h");
    terminal.expect("Outages");
    let modes = tcgetattr(&terminal.master).unwrap();
    assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "raw again");
    terminal.press("\x0c");
    terminal.expect("\x1b[2J");
    terminal.expect("Outages");
    let size = Winsize { ws_row: 20, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal.master, size).unwrap();
    terminal.expect("\x1b[2J");
    terminal.expect("Outages");
    terminal.press("q");
    terminal.expect("Stop the server?");
    terminal.press("n");
    terminal.expect("quit");
    terminal.press("qy");
    assert_eq!(terminal.end().0.code(), Some(0));
}
