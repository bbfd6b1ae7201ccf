//! `pblink serve` and a real broker.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::process::{Serve, output, pblink, stderr};
use pblink_soak::broker::{BrokerProcess, Software, free_port};
use serde_json::Value;
use tempfile::TempDir;

/// Three boards, one line in pblink.toml and a broker: they are devices with values, lines go both ways.
#[test]
fn boards_appear_in_home_assistant_and_lines_pass_both_ways() {
    let Some(broker) = BrokerProcess::start(Software::Mosquitto, "allow_anonymous true") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    let url = format!("mqtt://127.0.0.1:{}", broker.address().port());
    let text = format!("[link]\nkeys = \"\"\n[mqtt]\nurl = \"{url}\"\nhome_assistant = true\n");
    std::fs::write(&config, text).unwrap();
    let reader = broker.subscribe("reader", &["homeassistant/#", "pblink/#"], &[]);
    let serve =
        Serve::start(&["--config", config.to_str().unwrap(), "--any-client", "--state", "off"]);
    let ids = ["attic", "kitchen", "shed"];
    let boards: Vec<_> = ids
        .iter()
        .map(|id| {
            let mut command = pblink(&["simulate", "--server", &serve.address, "--client", id]);
            command.args(["--count", "1000000", "--every", "50ms"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut seen = BTreeSet::new();
    let wanted: BTreeSet<_> = ids
        .iter()
        .flat_map(|id| [format!("device {id}"), format!("up {id}"), format!("line {id}")])
        .collect();
    while !seen.is_superset(&wanted) {
        let message = reader.next();
        let (topic, payload) = message.split_once(' ').unwrap();
        let levels: Vec<_> = topic.split('/').collect();
        let json = || serde_json::from_str::<Value>(payload).unwrap();
        match levels[..] {
            ["homeassistant", "device", device, "config"] if device != "pblink-pblink" => {
                seen.insert(format!("device {}", json()["device"]["name"].as_str().unwrap()));
            }
            ["pblink", id, "status"] if json()["state"] == "up" => {
                seen.insert(format!("up {id}"));
            }
            ["pblink", id, "up"] => {
                seen.insert(format!("line {id}"));
            }
            _ => {}
        }
    }
    for mut board in boards {
        board.kill().unwrap();
        board.wait().unwrap();
    }
    serve.signal("-TERM");
    assert_eq!(reader.next_in("pblink/status"), "offline");
}

/// `[[entity]]` in pblink.toml, and SIGHUP, which reads the sections again.
#[test]
fn entities_of_the_file_are_sensors_and_a_signal_exchanges_them() {
    let Some(broker) = BrokerProcess::start(Software::Mosquitto, "allow_anonymous true") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    let url = format!("mqtt://127.0.0.1:{}", broker.address().port());
    let write = |entity: &str| {
        let text = format!(
            "[server]\ntimeout_ms = \"60s\"\nclients = [\"kitchen\"]\n[link]\nkeys = \"\"\n\
             [mqtt]\nurl = \"{url}\"\nhome_assistant = true\n[[entity]]\n{entity}"
        );
        std::fs::write(&config, text).unwrap();
    };
    write(
        "name = \"Temperature\"\npointer = \"/t\"\nunit = \"°C\"\ndevice_class = \"temperature\"\n",
    );
    let device = "homeassistant/device/pblink-pblink-kitchen/config";
    let reader = broker.subscribe("reader", &[device], &[]);
    let values = broker.subscribe("values", &["pblink/kitchen/entity/+"], &[]);
    let serve = Serve::start(&["--config", config.to_str().unwrap(), "--state", "off"]);
    let mut board = TcpStream::connect(&serve.address).unwrap();
    board.write_all(b"kitchen\n\n00no JSON\n01{\"t\": 21.5, \"h\": 40}\n").unwrap();
    assert_eq!(values.next(), "pblink/kitchen/entity/Temperature 21.5");
    let components = || {
        let device = serde_json::from_str::<Value>(&reader.next_in(device)).unwrap();
        device["components"].clone()
    };
    let sensor = components()["entity-Temperature"].take();
    assert_eq!(sensor["unit_of_measurement"], "°C");
    assert_eq!(sensor["device_class"], "temperature");

    write("name = \"Humidity\"\npointer = \"/h\"\n");
    serve.signal("-HUP");
    let new = loop {
        let new = components();
        if !new["entity-Humidity"].is_null() {
            break new;
        }
    };
    assert_eq!(new["entity-Humidity"]["name"], "Humidity");
    assert_eq!(new["entity-Temperature"], serde_json::json!({ "platform": "sensor" }));
    board.write_all(b"02{\"t\": 22, \"h\": 41}\n").unwrap();
    // The old value is forgotten.
    assert_eq!(values.next(), "pblink/kitchen/entity/Temperature (null)");
    assert_eq!(values.next(), "pblink/kitchen/entity/Humidity 41");
}

/// Returns a broker that takes the user `pblink` with the password `right`; `None` if there is none here.
fn with_password(folder: &TempDir) -> Option<BrokerProcess> {
    let passwords = folder.path().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", passwords.to_str().unwrap(), "pblink", "right"])
        .status();
    if made.is_err() {
        assert!(BrokerProcess::start(Software::Mosquitto, "allow_anonymous true").is_none());
        return None;
    }
    BrokerProcess::start(
        Software::Mosquitto,
        &format!("allow_anonymous false\npassword_file {}", passwords.display()),
    )
}

#[test]
fn a_broker_that_refuses_the_password_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = with_password(&folder) else { return };
    let url = format!("mqtt://127.0.0.1:{}", broker.address().port());
    let args = ["--any-client", "--state", "off", "--mqtt", &url];
    let variables = [("PBLINK_MQTT_USER", "pblink"), ("PBLINK_MQTT_PASSWORD", "wrong")];
    let mut serve = Serve::start_with(&args, &variables);
    let mut words = String::new();
    let mut said = serve.child.stderr.take().unwrap();
    while !words.contains("the broker refuses the user: check mqtt.user and the password") {
        let mut some = [0; 256];
        let n = said.read(&mut some).unwrap();
        assert!(n > 0, "it never says that: {words}");
        words.push_str(&String::from_utf8_lossy(&some[..n]));
    }
    assert!(!words.contains("wrong"), "{words}");
}

#[test]
fn wrong_settings_are_named_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let said = |text: &str, more: &[&str]| {
        let config = folder.path().join("pblink.toml");
        std::fs::write(&config, format!("[link]\nkeys = \"\"\n[mqtt]\n{text}")).unwrap();
        let output = output(&[&["serve", "--config", config.to_str().unwrap()], more].concat());
        (output.status.code(), stderr(&output))
    };
    let file = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, "x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("open", 0o644);
    file("closed", 0o600);
    for (text, more, code, words) in [
        ("url = \"localhost\"", &[][..], 3, "`mqtt.url` must be the URL of a broker"),
        ("url = \"mqtt://me:secret@a\"", &[], 3, "keys of their own"),
        ("prefix = \"a/#\"", &[], 3, "first levels of all topics"),
        ("", &["--mqtt", "http://a"], 2, "mqtt://HOST"),
        ("url = \"mqtt://a\"\nuser = \"u\"\npassword_file = \"open\"", &[], 3, "chmod 600"),
        ("url = \"mqtt://a\"\nuser = \"u\"\npassword_file = \"gone\"", &[], 3, "cannot read it"),
        ("url = \"mqtt://a\"\npassword_file = \"closed\"", &[], 3, "give mqtt.user, too"),
        ("url = \"mqtts://a\"\nca_file = \"gone\"", &[], 3, "mqtt.ca_file"),
        ("url = \"mqtts://a\"\ncert_file = \"open\"", &[], 3, "give all three"),
    ] {
        let (exit, said) = said(text, more);
        assert_eq!(exit, Some(code), "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

/// Every way to name a broker, with a password where none belongs: nothing that is printed has it.
#[test]
fn a_password_in_the_url_is_shown_nowhere() {
    const URL: &str = "mqtt://me:hunter2@broker";
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    let path = config.to_str().unwrap();
    let said = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = pblink(args);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(!said.contains("hunter2"), "{args:?}: {said}");
        said
    };
    for text in [
        format!("[mqtt]\nurl = \"{URL}\"\n"),
        format!("mqtt = {{ url = \"{URL}\", prefix = \"a/#\" }}\n"),
        format!("[mqtt]\nurl = [\"{URL}\"]\n"),
        "[mqtt]\nurl = \"me:hunter2@broker\"\n".to_owned(),
        "[mqtt]\nurl = \"mqtt://hunter2:\"\n".to_owned(),
        // No TOML.
        format!("[mqtt]\nurl = \"{URL}\n"),
        format!("[mqtt]\nurl = {URL}\n"),
        format!("mqtt.url = {URL}\n"),
        format!("mqtt = {{ url = \"{URL} }}\n"),
    ] {
        std::fs::write(&config, &text).unwrap();
        for args in [
            &["serve", "--config", path][..],
            &["config", "check", "--config", path],
            &["config", "show", "--config", path],
            &["config", "show", "--json", "--config", path],
            &["config", "get", "mqtt.url", "--config", path],
            &["config", "set", "server.port", "1", "--config", path],
            &["status", "--json", "--config", path],
            &["doctor", "--config", path],
            &["doctor", "--json", "--config", path],
        ] {
            let said = said(args, &[]);
            assert!(said.contains("pblink.toml:"), "{args:?}: {said}");
        }
    }
    std::fs::write(&config, "").unwrap();
    let serve = ["serve", "--config", path, "--listen", "127.0.0.1:0", "--state", "off"];
    let remedy = "mqtt.password_file";
    for url in [URL, "mqtt:/me:hunter2@broker", "mqtt://hunter2:"] {
        let by_flag = said(&[&serve[..], &["--mqtt", url]].concat(), &[]);
        assert!(by_flag.contains("--mqtt"), "{by_flag}");
        let by_variable = said(&serve, &[("PBLINK_MQTT_URL", url)]);
        assert!(by_variable.contains("PBLINK_MQTT_URL"), "{by_variable}");
        let by_set = said(&["config", "set", "mqtt.url", url, "--config", path], &[]);
        if url == URL {
            let all = [by_flag, by_variable, by_set];
            assert!(all.iter().all(|said| said.contains(remedy)), "{all:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "");
}

/// `pblink doctor` says of each way in which a broker cannot be used which it is.
#[test]
fn the_doctor_tries_the_broker_and_names_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    let Some(broker) = with_password(&folder) else { return };
    let address = broker.address();
    let doctor = |url: &str, password: &str| {
        let text = format!(
            "[server]\nport = {}\ncontrol = \"127.0.0.1:{}\"\n[link]\nkeys = \"\"\n\
             [mqtt]\nurl = \"{url}\"\nclient_id = \"gate\"\nuser = \"pblink\"\n",
            free_port(),
            free_port()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = pblink(&["doctor", "--json", "--only", "server", "--config"]);
        command.arg(&config).env("PBLINK_MQTT_PASSWORD", password);
        let output = command.output().unwrap();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = all["findings"].as_array().unwrap();
        let mut of_broker = all.iter().filter(|finding| finding["group"] == "broker");
        let finding = of_broker.next().unwrap().clone();
        assert_eq!(of_broker.next(), None);
        if finding["level"] == "error" {
            assert_eq!(output.status.code(), Some(1));
        }
        let text = format!("{}: {} / {}", finding["level"], finding["message"], finding["remedy"]);
        assert!(!text.contains(password), "{text}");
        text
    };
    let url = format!("mqtt://{address}");
    let well = doctor(&url, "right");
    assert!(well.starts_with("\"ok\"") && well.contains(&address.to_string()), "{well}");
    let closed = format!("mqtt://127.0.0.1:{}", free_port());
    let tls = format!("mqtts://{address}");
    for (url, password, why, remedy) in [
        (&url, "wrong!", "the broker refuses the user", "check mqtt.user and the password"),
        (&closed, "right", "refused", "see that the broker runs there"),
        (&"mqtt://broker.invalid".to_owned(), "right", "cannot be reached", "change mqtt.url"),
        (&tls, "right", "cannot be reached: TLS: ", "mqtt.ca_file names the certificate"),
    ] {
        let said = doctor(url, password);
        assert!(said.starts_with("\"error\""), "{said}");
        assert!(said.contains(why) && said.contains(remedy), "{said}");
    }
}
