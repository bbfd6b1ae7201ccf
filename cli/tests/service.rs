//! `pblink serve` under a service manager: what it reports, the sockets and secrets that it is given, its diagnostics. The units
//! for systemd are checked by its own tools.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Serve, output, pblink, stderr};

/// Far longer than anything here takes: reached only when something hangs.
const HANGS: Duration = Duration::from_secs(60);

/// A service manager: the socket that is told of the service.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(HANGS)).unwrap();
        Self { socket, folder }
    }

    fn start(&self, args: &[&str], variables: &[(&str, &str)]) -> Serve {
        let socket = self.folder.path().join("notify");
        let ours = [("NOTIFY_SOCKET", socket.to_str().unwrap())];
        Serve::start_with(&[&["--state", "off"], args].concat(), &[&ours, variables].concat())
    }

    /// Returns the next report, as its lines.
    fn next(&self) -> Vec<String> {
        let mut report = [0; 4096];
        let len = self.socket.recv(&mut report).expect("a report");
        String::from_utf8_lossy(&report[..len]).lines().map(str::to_owned).collect()
    }

    /// Returns the next report with this line.
    fn wait_for(&self, line: &str) -> Vec<String> {
        loop {
            let report = self.next();
            if report.iter().any(|it| it == line) {
                return report;
            }
        }
    }
}

#[test]
fn a_service_manager_hears_of_start_life_reload_and_end() {
    let manager = Manager::new();
    let file = manager.folder.path().join("pblink.toml");
    fs::write(&file, "[server]\nclients = [\"kitchen\"]\n[link]\nkeys = \"\"\n").unwrap();
    let named = ["--config", file.to_str().unwrap()];
    let serve = manager.start(&named, &[("WATCHDOG_USEC", "200000")]);
    let first = manager.next();
    assert_eq!(first, ["READY=1", "STATUS=0 of 1 board connected"]);
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");

    // Kept open: the link goes down when it is dropped.
    let mut board = TcpStream::connect(&serve.address).unwrap();
    board.write_all(b"kitchen\n\n").unwrap();
    let report = manager.wait_for("STATUS=1 of 1 board connected");
    assert_eq!(report[0], "WATCHDOG=1");

    serve.signal("-HUP");
    let report = manager.wait_for("RELOADING=1");
    assert!(report[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0);
    manager.wait_for("READY=1");

    serve.signal("-TERM");
    manager.wait_for("STOPPING=1");
    assert_eq!(serve.end().0, Some(0));
}

#[test]
fn without_a_watchdog_it_reports_all_the_same_and_a_manager_that_is_gone_stops_nothing() {
    let manager = Manager::new();
    let mut serve = manager.start(&["--any-client"], &[]);
    manager.wait_for("READY=1");
    drop(manager);
    let mut board = TcpStream::connect(&serve.address).unwrap();
    board.write_all(b"kitchen\n\n").unwrap();
    serve.wait_for("connected");
    serve.signal("-TERM");
    let (code, said) = serve.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("cannot be told").count(), 1, "{said}");
}

/// Starts a server with these sockets, which it finds as systemd gives them.
fn activated(sockets: [&TcpListener; 2], names: &str, args: &[&str]) -> Command {
    let [boards, control] = sockets.map(|it| OwnedFd::from(it.try_clone().unwrap()));
    let program = pblink(args);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", names)])
        .stdin(Stdio::from(boards))
        .stdout(Stdio::from(control))
        .stderr(Stdio::piped());
    command
}

#[test]
fn sockets_of_the_manager_stay_open_from_one_server_to_the_next() {
    let [boards, control] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let (address, api) = (boards.local_addr().unwrap(), control.local_addr().unwrap());
    let args = ["serve", "--state", "off", "--any-client"];
    for round in 0..2 {
        // Nobody serves now. They are not refused.
        let mut board = TcpStream::connect(address).unwrap();
        board.set_read_timeout(Some(HANGS)).unwrap();
        board.write_all(b"kitchen\n\n").unwrap();
        let mut asking = TcpStream::connect(api).unwrap();
        asking.set_read_timeout(Some(HANGS)).unwrap();
        asking.write_all(b"GET /api/v1/links HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();

        let mut server = activated([&boards, &control], "boards:control", &args).spawn().unwrap();
        let mut first = [0; 1];
        board.read_exact(&mut first).expect("the server greets the board");
        let mut answer = String::new();
        asking.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "round {round}: {answer}");

        let killed = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let mut said = String::new();
        server.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(server.wait().unwrap().code(), Some(0), "{said}");
        assert!(said.contains(&format!("serving boards at {address}")), "{said}");
    }
}

#[test]
fn sockets_that_cannot_be_used_are_named() {
    let [boards, control] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let args = ["serve", "--state", "off", "--any-client"];
    let two = activated([&boards, &control], "boards:boards", &args).output().unwrap();
    assert_eq!(two.status.code(), Some(4));
    assert!(stderr(&two).contains("is a second one for boards"), "{}", stderr(&two));
    // One that does not listen.
    let stream = TcpStream::connect(control.local_addr().unwrap()).unwrap();
    let stream = TcpListener::from(OwnedFd::from(stream));
    let wrong = activated([&boards, &stream], "boards:control", &args).output().unwrap();
    assert_eq!(wrong.status.code(), Some(4));
    let said = stderr(&wrong);
    assert!(said.contains("socket 2") && said.contains("\"control\""), "{said}");
}

#[test]
fn the_token_may_be_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    let token = "a-token-that-systemd-has-given-us";
    fs::write(folder.path().join("control.token"), format!("{token}\n")).unwrap();
    let given = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    let args = ["--state", "off", "--client", "kitchen", "--control", "127.0.0.1:0"];
    let mut serve = Serve::start_with(&args, &given);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let url = format!("http://{}", crate::process::control_address(&mut said));
    let send = |token: &str| {
        let mut send = pblink(&["send", "--url", &url, "kitchen", "hello", "--no-wait"]);
        send.env("PBLINK_TOKEN", token).output().unwrap()
    };
    let refused = send("another-token-which-is-just-as-long");
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    let taken = send(token);
    assert_eq!(taken.status.code(), Some(0), "{}", stderr(&taken));
    fs::write(folder.path().join("control.token"), "short").unwrap();
    let bad = pblink(&[&["serve"], &args[..]].concat()).envs(given).output().unwrap();
    assert_eq!(bad.status.code(), Some(3));
    assert!(stderr(&bad).contains("the credential control.token"), "{}", stderr(&bad));
}

#[test]
fn diagnostics_are_objects_and_go_into_a_file_if_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let args = ["--state", "off", "--log-format", "json"];
    let serve = Serve::start(&args);
    serve.signal("-TERM");
    let (_, said) = serve.end();
    let objects: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = objects[0]["message"].as_str().unwrap();
    assert!(message.contains("serving boards at") && objects[0]["level"] == "info", "{said}");
    assert!(objects[0]["time"].as_str().unwrap().ends_with('Z'), "{said}");

    let serve = Serve::start(&["--state", "off", "--log-file", file.to_str().unwrap()]);
    serve.signal("-TERM");
    let (code, said) = serve.end();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(" pblink: serving boards at 127.0.0.1:"), "{text}");
    assert!(text.starts_with("20"), "each line has its time: {text}");

    // Whoever starts it by hand sees why it does not start.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args =
        ["serve", "--state", "off", "--listen", &address, "--log-file", file.to_str().unwrap()];
    let failed = output(&args);
    assert_eq!(failed.status.code(), Some(4));
    assert!(stderr(&failed).contains("cannot listen on"), "{}", stderr(&failed));
    assert!(fs::read_to_string(&file).unwrap().contains("error: cannot listen on"));

    let nowhere = output(&["serve", "--log-file", "/nonexistent/log"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("/nonexistent/log"), "{}", stderr(&nowhere));
}

/// The journal takes levels from the beginnings of lines, where stderr is its stream.
#[test]
fn in_the_journal_each_line_has_its_level() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let stream = fs::File::create(folder.path().join("journal")).unwrap();
    let it = stream.metadata().unwrap();
    let mut command = Serve::command(&["--state", "off"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", it.dev(), it.ino()));
    command.stdout(Stdio::piped()).stderr(stream);
    let mut serve = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::new(serve.stdout.take().unwrap()).read_line(&mut first).unwrap();
    serve.kill().unwrap();
    serve.wait().unwrap();
    let text = fs::read_to_string(folder.path().join("journal")).unwrap();
    assert!(text.lines().all(|line| line.starts_with('<')), "{text}");
    assert!(text.contains("<6>pblink: serving"), "{text}");
}

/// systemd's own judgement of the units, with a program in the place of ours that is there.
#[test]
fn the_units_are_sound_and_give_the_service_little() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    let tool = Command::new("systemd-analyze").arg("--version").output();
    if !tool.is_ok_and(|tool| tool.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI has systemd: see rigs/install.sh");
        eprintln!("NOT CHECKED: there is no systemd-analyze here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["pblink.service", "pblink.socket"] {
        let text = fs::read_to_string(templates.join(name)).unwrap();
        fs::write(folder.path().join(name), text.replace("/usr/bin/pblink", "/bin/true")).unwrap();
    }
    let judged = |args: &[&str]| {
        let it = Command::new("systemd-analyze").args(args).current_dir(&folder).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&it.stdout), stderr(&it));
        (it.status.success(), text)
    };
    let security = ["security", "--offline=true", "--threshold=20", "./pblink.service"];
    let (sound, text) = judged(&["verify", "--man=no", "./pblink.service", "./pblink.socket"]);
    assert!(sound && !text.contains("pblink."), "{text}");
    let (safe, text) = judged(&security);
    assert!(safe, "{text}");
    println!("{}", text.lines().last().unwrap_or_default());

    // Both find what is planted.
    let file = folder.path().join("pblink.service");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("Type=notify", "Typo=notify")).unwrap();
    assert!(judged(&["verify", "--man=no", "./pblink.service"]).1.contains("Typo"));
    let open = text.replace("ProtectSystem=strict\n", "").replace("PrivateDevices=yes\n", "");
    fs::write(&file, open.replace("DynamicUser=yes\n", "").replace("SystemCallFilter", "#"))
        .unwrap();
    assert!(!judged(&security).0);
}

/// A folder with a configuration, and a stand-in for systemctl that notes its words and prints `state`.
fn machine(state: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pblink.toml"), "[link]\nkeys = \"\"\n").unwrap();
    fs::write(folder.path().join("state"), state).unwrap();
    let systemctl = folder.path().join("systemctl");
    let here = folder.path().display();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>'{here}/asked'\ncat '{here}/state'\n[ ! -e '{here}/fails' ]\n"
    );
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn on(machine: &tempfile::TempDir, args: &[&str]) -> std::process::Output {
    let mut path = std::ffi::OsString::from(machine.path());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    pblink(&[&["service"], args].concat()).current_dir(machine).env("PATH", path).output().unwrap()
}

#[test]
fn the_unit_that_is_printed_is_sound_and_names_the_secrets_that_there_are() {
    let here = machine("");
    let text = "[link]\nkeys = \"\"\n[mqtt]\npassword_file = \"secret\"\n[control]\ntoken_file = \"none\"\n";
    fs::write(here.path().join("pblink.toml"), text).unwrap();
    fs::write(here.path().join("secret"), "x").unwrap();
    let printed = on(&here, &["print", "--program", "/usr/bin/pblink"]);
    assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
    let unit = String::from_utf8(printed.stdout).unwrap();
    let folder = here.path().canonicalize().unwrap();
    let folder = folder.display();
    let start = format!("ExecStart=/usr/bin/pblink serve --config {folder}/pblink.toml\n");
    assert!(unit.contains(&start), "{unit}");
    #[cfg(feature = "mqtt")]
    assert!(unit.contains(&format!("\nLoadCredential=mqtt.password:{folder}/secret\n")), "{unit}");
    assert!(
        !unit.contains("control.token:"),
        "a file that is not there keeps it from starting: {unit}"
    );
    assert!(!here.path().join("asked").exists());
}

#[test]
fn install_writes_both_units_and_starts_the_service_unless_it_is_for_another_system() {
    let here = machine("");
    let root = here.path().join("image");
    let args = ["install", "--root", root.to_str().unwrap()];
    let installed = on(&here, &args);
    assert_eq!(installed.status.code(), Some(0), "{}", stderr(&installed));
    let units = root.join("etc/systemd/system");
    assert!(fs::read_to_string(units.join("pblink.service")).unwrap().contains("Type=notify"));
    let socket = fs::read_to_string(units.join("pblink.socket")).unwrap();
    assert!(socket.contains("ListenStream=8123"));
    assert!(!socket.contains("PartOf="), "it would be closed whenever the service starts anew");
    assert_eq!(fs::read_dir(&units).unwrap().count(), 2, "nothing else is left");
    assert!(!here.path().join("asked").exists(), "systemctl is of another system");
    let again = on(&here, &args);
    assert!(stderr(&again).contains("is as it was"), "{}", stderr(&again));
}

#[test]
fn install_says_what_the_service_could_not_reach_and_changes_nothing() {
    // The folder of this test is below /tmp, which is closed to the service.
    let here = machine("");
    let refused = on(&here, &["install", "--program", "/bin/true"]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(
        said.contains("/tmp is closed to it") && said.contains("sudo install -D -m 644"),
        "{said}"
    );
    assert!(!here.path().join("asked").exists());

    fs::remove_file(here.path().join("pblink.toml")).unwrap();
    let nothing = on(&here, &["install", "--program", "/bin/true"]);
    assert_eq!(nothing.status.code(), Some(3), "{}", stderr(&nothing));
    assert!(stderr(&nothing).contains("pblink config init"), "{}", stderr(&nothing));
}

#[test]
fn status_is_what_systemd_and_the_service_say() {
    let here = machine(
        "LoadState=loaded\nActiveState=active\nSubState=running\nStatusText=1 of 1 board connected\nNRestarts=0\n",
    );
    let runs = on(&here, &["status"]);
    let text = String::from_utf8_lossy(&runs.stdout).into_owned();
    assert_eq!(
        (runs.status.code(), text.as_str()),
        (Some(0), "pblink.service active (running): 1 of 1 board connected\n")
    );
    let asked = fs::read_to_string(here.path().join("asked")).unwrap();
    assert!(asked.starts_with("show pblink.service --property=LoadState,"), "{asked}");
    let object: Value = serde_json::from_slice(&on(&here, &["status", "--json"]).stdout).unwrap();
    assert_eq!((&object["active"], &object["installed"]), (&"active".into(), &true.into()));

    let gone = machine("LoadState=not-found\nActiveState=inactive\nSubState=dead\n");
    assert_eq!(on(&gone, &["status"]).status.code(), Some(1));
    fs::write(gone.path().join("fails"), "").unwrap();
    let broken = on(&gone, &["status"]);
    assert!(stderr(&broken).contains("does not know the state"), "{}", stderr(&broken));
    let bare = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", bare.path().join("env")).unwrap();
    let none = pblink(&["service", "status"]).env("PATH", bare.path()).output().unwrap();
    assert_eq!(none.status.code(), Some(3));
    assert!(stderr(&none).contains("cannot run systemctl"), "{}", stderr(&none));
}
