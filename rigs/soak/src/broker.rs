//! A real broker, with Mosquitto's command line programs at the other end: started, stopped, halted and killed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::nats;

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Topics of messages that say that a subscription stands begin so.
const READY: &str = "ready/";

/// Pause between two tries to be heard.
const AGAIN: Duration = Duration::from_millis(100);

/// The file of settings, in the broker's folder.
const SETTINGS: &str = "broker.conf";

/// A broker's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Software {
    /// Eclipse Mosquitto, of the system.
    Mosquitto,
    /// The MQTT side of NATS with JetStream, of the path, else of PyPI.
    Nats,
}

/// A broker, whose data outlives its process. It is killed when this is dropped.
#[derive(Debug)]
pub struct BrokerProcess {
    software: Software,
    program: PathBuf,
    address: SocketAddr,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// A subscriber, as a process of its own.
#[derive(Debug)]
pub struct Subscriber {
    child: Child,
    lines: Receiver<String>,
    /// Messages that came before the subscription was known to stand.
    early: RefCell<VecDeque<String>>,
}

/// Returns a program of Mosquitto. Debian has the broker where only root looks.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Returns a port of this machine on which nobody listens.
///
/// # Panics
/// If the system has none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Software {
    /// Returns its program. `None`: it is not installed, which is said.
    fn program(self) -> Option<PathBuf> {
        // Those of Mosquitto are at the other end of every broker.
        let needed = ["mosquitto", "mosquitto_sub", "mosquitto_pub"];
        if needed.iter().any(|name| program(name).is_none()) {
            let missing =
                "Mosquitto is not installed (apt-get install mosquitto mosquitto-clients)";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
            eprintln!("passed over: {missing}");
            return None;
        }
        match self {
            Self::Mosquitto => program("mosquitto"),
            Self::Nats => nats::SERVER.path().map(Path::to_owned),
        }
    }

    /// Returns its settings for a port of this machine, with data in a folder.
    fn settings(self, port: u16, folder: &Path) -> String {
        let place = folder.display();
        match self {
            Self::Mosquitto => format!(
                "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {place}/\n\
                 autosave_interval 1\nlog_type none\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            ),
            // Its own protocol at any port: nobody uses it here.
            Self::Nats => format!(
                "listen: \"127.0.0.1:-1\"\nserver_name: broker\nlog_file: \"/dev/null\"\n\
                 jetstream {{ store_dir: \"{place}\" }}\nmqtt {{ listen: \"127.0.0.1:{port}\", ack_wait: \"1s\" }}\n"
            ),
        }
    }
}

impl BrokerProcess {
    /// Starts one on a free port, with more lines for its settings. `None`: it is not installed, which is said.
    ///
    /// # Panics
    /// If it does not start, or is not there in CI.
    pub fn start(software: Software, settings: &str) -> Option<Self> {
        let program = software.program()?;
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let all = format!("{}{settings}\n", software.settings(port, folder.path()));
        std::fs::write(folder.path().join(SETTINGS), all).expect("its settings");
        let mut broker =
            Self { software, program, address: ([127, 0, 0, 1], port).into(), folder, child: None };
        broker.restart();
        Some(broker)
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its program.
    pub fn software(&self) -> Software {
        self.software
    }

    /// Returns the folder of its settings and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again, on the same port with the same data, and returns when it listens.
    ///
    /// # Panics
    /// If it does not.
    pub fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join(SETTINGS)).stdout(Stdio::null());
        let mut child = command.spawn().expect("the broker starts");
        let began = Instant::now();
        while let Err(error) = TcpStream::connect(self.address) {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
            assert_eq!(child.try_wait().expect("our child"), None, "the broker has ended");
            assert!(began.elapsed() < HANGS, "the broker does not listen");
            std::thread::yield_now();
        }
        self.child = Some(child);
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Stops it in good order: it writes its data.
    ///
    /// # Panics
    /// If it does not run.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.child.take().expect("it runs").wait().expect("our child");
    }

    /// Publishes a message with QoS 1, with more arguments for `mosquitto_pub`.
    ///
    /// # Panics
    /// If the broker does not take it.
    pub fn publish(&self, topic: &str, message: &str, more: &[&str]) {
        let mut command = self.client("mosquitto_pub");
        command.args(["-q", "1", "-t", topic, "-m", message]).args(more);
        let status = command.status().expect("mosquitto_pub starts");
        assert!(status.success(), "mosquitto_pub ended with {status}");
    }

    /// Subscribes under a name, with QoS 1 and a session that outlives connections: each message is a line, topic and
    /// payload with a blank between them. Returns when the broker has agreed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn subscribe(&self, name: &str, topics: &[&str], more: &[&str]) -> Subscriber {
        let mut command = self.client("mosquitto_sub");
        command.args(["-v", "-q", "1", "-c", "-i", name]).args(more);
        // A topic of its own, which says that the subscription stands.
        let ready = format!("{READY}{name}");
        for topic in topics.iter().chain([&ready.as_str()]) {
            command.args(["-t", topic]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("mosquitto_sub starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (wanted, mut early) = (format!("{ready} now"), VecDeque::new());
        let mut subscriber = Subscriber { child, lines, early: RefCell::default() };
        let began = Instant::now();
        // Again and again: NATS may give a message that comes during the subscription to nobody, although it is retained.
        'subscribed: loop {
            assert!(began.elapsed() < HANGS, "no subscription of {name}");
            self.publish(&ready, "now", &[]);
            while let Ok(message) = subscriber.lines.recv_timeout(AGAIN) {
                if message == wanted {
                    break 'subscribed;
                }
                early.push_back(message);
            }
        }
        subscriber.early = early.into();
        subscriber
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(program(name).expect("it was there"));
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        command
    }
}

impl Subscriber {
    /// Waits for the next message.
    ///
    /// # Panics
    /// If none comes.
    pub fn next(&self) -> String {
        loop {
            let early = self.early.borrow_mut().pop_front();
            let next =
                early.unwrap_or_else(|| self.lines.recv_timeout(HANGS).expect("a message comes"));
            if !next.starts_with(READY) {
                return next;
            }
        }
    }

    /// Waits for a message in this topic, and returns its payload; others are passed over.
    ///
    /// # Panics
    /// If none comes.
    pub fn next_in(&self, topic: &str) -> String {
        loop {
            let line = self.next();
            if let Some(payload) = line.strip_prefix(topic).and_then(|rest| rest.strip_prefix(' '))
            {
                return payload.to_owned();
            }
        }
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended.
    let _: io::Result<()> = child.kill();
    let _ = child.wait();
}
