//! `pblink up` as a process: the plan, a step that fails, and the way to a server that runs, with an
//! ESP8266 on a pseudo-terminal.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::process;
use pblink_fakes::esp8266::{Board, image};

fn up(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("up").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("ESP8266_NONOS_SDK");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = up(folder, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Leaves out all steps but these.
fn only<'a>(steps: &[&str]) -> Vec<&'a str> {
    let all = ["check", "build", "stm32", "esp8266", "config", "serve"];
    let others = all.into_iter().filter(|step| !steps.contains(step));
    others.flat_map(|step| ["--skip", step]).collect()
}

/// Returns the steps of a plan, without what is missing for them.
fn steps(plan: &str) -> Vec<&str> {
    plan.lines().filter_map(|line| line.split(' ').next()).filter(|step| !step.is_empty()).collect()
}

/// Returns what is missing for a step.
fn missing(plan: &str, step: &str) -> Vec<String> {
    let lines = plan.lines().skip_while(|line| line.split(' ').next() != Some(step)).skip(1);
    let lines = lines.take_while(|line| line.starts_with(' '));
    lines.filter_map(|line| line.trim().strip_prefix("missing: ").map(str::to_owned)).collect()
}

#[test]
fn the_plan_says_for_each_step_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let dry = |arguments: &[&str]| {
        let (code, plan, said) = run(folder.path(), &[&["--dry-run"], arguments].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""));
        plan
    };
    let has = |missing: &[String], part: &str| missing.iter().any(|what| what.contains(part));
    // A port that nobody has, an image that is not there, no configuration.
    let esp =
        ["--serial", "/dev/no-such-port", "--esp8266-image", "none.bin", "--probe", "ffff:fffe"];
    let plan = dry(&[&only(&["esp8266", "config", "serve"])[..], &esp].concat());
    let of_esp = missing(&plan, "esp8266");
    assert!(
        has(&of_esp, "the serial port /dev/no-such-port") && has(&of_esp, "none.bin"),
        "{plan}"
    );
    assert!(has(&missing(&plan, "config"), "pblink.toml"), "{plan}");
    // It is held while the ESP8266 is flashed, and there is none.
    assert!(has(&missing(&plan, "hold"), "STM32"), "{plan}");

    // All of that is there now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = |control: &str| {
        let text =
            format!("[server]\nlisten = \"127.0.0.1\"\nport = {free}\ncontrol = \"{control}\"\n");
        std::fs::write(path("pblink.toml"), text).unwrap();
    };
    config("off");
    std::fs::write(path("none.bin"), image(&[7; 100])).unwrap();
    let esp = ["--serial", "/dev/null", "--esp8266-image", "none.bin"];
    let plan = dry(&[&only(&["esp8266", "config", "serve"])[..], &esp].concat());
    assert_eq!(missing(&plan, "esp8266"), [""; 0], "{plan}");
    assert_eq!(missing(&plan, "serve"), [""; 0], "{plan}");
    assert!(!has(&missing(&plan, "config"), "pblink.toml"), "{plan}");

    // Another program has a port; a password file is not there; the SDK is missing.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    std::thread::spawn(move || other.incoming().for_each(drop));
    config(&taken.to_string());
    let plan = dry(&[&only(&["config", "serve"])[..], &["--password-file", "gone"]].concat());
    assert!(has(&missing(&plan, "serve"), &format!("{taken} is not free")), "{plan}");
    assert!(has(&missing(&plan, "config"), "gone"), "{plan}");
    let (code, out, _) =
        run(folder.path(), &[&["--dry-run", "--json"], &only(&["serve"])[..]].concat());
    let event: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, event["missing"].as_array().map(Vec::len)), (Some(0), Some(1)), "{out}");

    // A configuration with a mistake is missing for each step that reads it.
    std::fs::write(path("pblink.toml"), "[server]\nport = 0\n").unwrap();
    let plan = dry(&only(&["config", "serve"]));
    for step in ["config", "serve"] {
        assert!(has(&missing(&plan, step), "pblink.toml:2:8"), "{plan}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn without_tools_and_sdk_the_plan_names_them() {
    let folder = tempfile::tempdir().unwrap();
    // No compiler is in there, only what runs a script.
    for tool in ["sh", "dirname", "env"] {
        let found = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, folder.path().join(tool)).unwrap();
    }
    let mut command =
        up(folder.path(), &[&["--dry-run"], &only(&["build", "esp8266"])[..]].concat());
    let output = command.env("PATH", folder.path()).env_remove("CARGO").output().unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{plan}");
    assert!(!missing(&plan, "build").is_empty(), "{plan}");
    let of_esp = missing(&plan, "esp8266");
    assert!(of_esp.iter().any(|what| what.contains("Espressif's SDK")), "{plan}");
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (code, plan, said) = run(folder.path(), &["--dry-run", "--skip", "build"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let steps = steps(&plan);
    assert_eq!(steps, ["check", "stm32", "esp8266", "config", "serve"]);
    // The STM32 would reset an ESP8266 that is being flashed.
    assert!(plan.contains("stm32    pblink flash stm32 --no-start\n"), "{plan}");
    let (code, plan, _) = run(folder.path(), &["--dry-run", "--skip", "build", "--skip", "config"]);
    assert_eq!(code, Some(0));
    assert_eq!(self::steps(&plan), ["check", "stm32", "esp8266", "start", "serve"]);
    assert!(plan.contains("check    pblink doctor\n"), "{plan}");
    // One that is not to be flashed is held, too; who leaves it alone is warned.
    let (_, plan, said) = run(folder.path(), &["--dry-run", "--skip", "stm32"]);
    let commands: String =
        plan.split_inclusive('\n').filter(|line| !line.starts_with(' ')).collect();
    assert!(commands.contains("hold     pblink config pull --no-start\nesp8266 "), "{plan}");
    assert_eq!(said, "");
    let alone = ["--dry-run", "--skip", "stm32", "--skip", "config"];
    let (_, plan, said) = run(folder.path(), &alone);
    assert!(!plan.contains("hold") && said.contains("the STM32 is not held"), "{plan}{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn it_stops_at_the_step_that_fails_names_it_and_keeps_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = ["--serial", "/dev/no-such-port", "--yes", "--esp8266-image", "none.bin"];
    let arguments = [&only(&["esp8266", "serve"])[..], &nobody].concat();
    let (code, out, said) = run(folder.path(), &arguments);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("none.bin") && said.contains("step esp8266 failed"), "{said}");
    assert!(said.contains("pblink flash esp8266 --serial /dev/no-such-port"), "{said}");
    assert!(said.contains("--skip esp8266"), "{said}");
    assert!(!said.contains("step 2"), "it does not go on: {said}");

    // A configuration that cannot be right is code 3, as the step itself would say, in a clone.
    for name in ["firmware-stm32", "firmware-esp8266"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("build.sh"), "").unwrap();
    }
    std::fs::write(folder.path().join("pblink.toml"), "[server]\nport = 0\n").unwrap();
    let (code, _, said) = run(folder.path(), &only(&["build"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("step build failed") && said.contains("pblink.toml:2"), "{said}");
}

#[test]
fn as_json_the_steps_have_the_envelope_of_all_others_and_nothing_else_is_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let objects = |out: &str| -> Vec<serde_json::Value> {
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (code, out, said) = run(folder.path(), &["--dry-run", "--json", "--skip", "build"]);
    assert_eq!((code, &*said), (Some(0), ""));
    let plan = objects(&out);
    assert_eq!(
        (plan.len(), &plan[0]["v"], &plan[0]["event"]),
        (5, &1.into(), &"step_planned".into())
    );
    assert_eq!((&plan[4]["seq"], &plan[4]["steps"]), (&5.into(), &5.into()));
    assert_eq!(plan[4]["command"], serde_json::json!(["serve", "--json"]));
    assert!(plan[0]["time"].as_str().unwrap().ends_with('Z') && plan[0]["at_ms"].is_u64());
    // `doctor` finds something that is missing, and says so to people.
    let (code, out, said) = run(folder.path(), &[&only(&["check"])[..], &["--json"]].concat());
    let steps = objects(&out);
    assert_eq!(steps.len(), 2, "{out}");
    assert_eq!((&steps[0]["event"], &steps[0]["step"]), (&"step_began".into(), &"check".into()));
    assert_eq!(steps[1]["event"], "step_ended");
    assert_eq!(steps[1]["exit"].as_i64(), code.map(i64::from), "{said}");
    assert!(said.contains("step 1 of 1"), "{said}");
}

#[test]
fn what_cannot_succeed_is_reported_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code, part) in [
        (&["--before", "nonsense", "--dry-run"][..], 2, "step esp8266"),
        (&["--via", "nonsense"], 2, "step stm32"),
        (&["--esp8266-image", "x.bin"], 2, "--yes"),
        (&["--yes"], 3, "pblink config init"),
        (&["--yes", "--skip", "config"], 3, "without Espressif's SDK"),
    ] {
        let (exit, out, said) = run(folder.path(), arguments);
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{said}");
        assert!(said.contains(part) && !said.contains("step 1"), "{said}");
    }
    let (exit, _, said) = run(folder.path(), &only(&[]));
    assert_eq!(exit, Some(2), "{said}");
}

#[test]
fn a_server_that_runs_already_is_watched_at_an_address_that_can_be_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = process::Serve::start(&["--any-client", "--control", "0.0.0.0:0"]);
    let said = serve.child.stderr.as_mut().unwrap();
    let control = process::control_address(&mut BufReader::new(said));
    let (_, port) = control.rsplit_once(':').unwrap();
    let config = format!("[server]\ncontrol = \"0.0.0.0:{port}\"\n");
    std::fs::write(folder.path().join("pblink.toml"), config).unwrap();
    let mut up = up(folder.path(), &only(&["serve"]));
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    let step = said.find(|line| line.contains("step 1 of 1"));
    let expected = format!("pblink monitor --connect http://127.0.0.1:{port}");
    let step = step.expect("it says what it does");
    // The step ends with its server.
    serve.child.kill().unwrap();
    let stopped = Command::new("kill").args(["-TERM", &up.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    up.wait().unwrap();
    assert!(step.ends_with(&expected), "{step}");
}

/// Flashes a coprocessor on this port with images of these files, and serves; returns when the server listens.
fn flash_and_serve(more: &str, files: &[(&str, &[u8])], images: &[&str], port: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config =
        format!("[server]\nlisten = \"127.0.0.1\"\nport = {free}\ncontrol = \"off\"\n{more}");
    std::fs::write(folder.path().join("pblink.toml"), config).unwrap();

    let flags = ["--yes", "--before", "no-reset", "--port", port];
    let arguments = [&only(&["esp8266", "serve"])[..], &flags, images].concat();
    let mut child =
        up(folder.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let pid = child.id().to_string();
    // If it never comes, the test is to fail, not to hang.
    let (came, wait) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if wait.recv_timeout(Duration::from_secs(120)).is_err() {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    });
    let listening = lines.find(|line| line.contains("listens at"));
    came.send(()).unwrap();
    guard.join().unwrap();
    assert!(listening.is_some_and(|line| line.contains(&free.to_string())));
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_board_is_flashed_and_then_the_server_runs() {
    let program = image(&[7; 20_000]);
    let board = Board::with([]);
    let pty = board.pty();
    let images = ["--esp8266-image", "program.bin"];
    flash_and_serve("", &[("program.bin", &program)], &images, pty.path());
    let flash = board.flash();
    // The header has the size of the board's flash.
    assert!(flash[..3] == program[..3] && flash[4..program.len()] == program[4..]);
}

#[cfg(feature = "esp32c3")]
#[test]
fn the_coprocessor_of_the_settings_is_flashed_and_then_the_server_runs() {
    use pblink_fakes::esp32c3::{Board, Regions};
    let parts = Regions::new(&[7; 20_000]);
    let [(_, boot), (_, table), (_, app)] = parts.all();
    let board = Board::with([]);
    let pty = board.pty();
    let files = [("boot.bin", boot), ("table.bin", table), ("app.bin", app)];
    let images = ["boot.bin", "table.bin@0x8000", "app.bin@0x10000"];
    let images: Vec<_> = images.iter().flat_map(|file| ["--coprocessor-image", file]).collect();
    flash_and_serve("[board]\ncoprocessor = \"esp32c3\"\n", &files, &images, pty.path());
    assert!(board.would_start());
}
