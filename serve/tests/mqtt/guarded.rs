//! A broker that wants a password, and one that wants certificates.

use std::path::Path;
use std::process::Command;

use pblink_serve::consumers::Mqtt;
use pblink_serve::consumers::mqtt::{Broker, Login, Tls};
use pblink_serve::log::Memory;
use pblink_soak::broker::{BrokerProcess, Software, free_port};

use crate::gate::{consumer, mqtt};
use crate::shop::{Pen, Shop};

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed (apt-get install openssl)");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an authority, and certificates of a broker at 127.0.0.1 and of a client.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    for (name, more) in [("broker", "-addext subjectAltName=IP:127.0.0.1"), ("client", "")] {
        openssl(
            folder,
            &format!(
                "req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -CA ca.pem -CAkey ca.key \
                 -addext basicConstraints=CA:FALSE {more}"
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_pass_with_the_right_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let hashed = Command::new("mosquitto_passwd")
        .args(["-b", "-c", file.to_str().unwrap(), "pblink", "a long one"])
        .status();
    if hashed.is_err() {
        return assert!(
            BrokerProcess::start(Software::Mosquitto, "allow_anonymous true").is_none()
        );
    }
    let settings = format!("allow_anonymous false\npassword_file {}", file.display());
    let Some(broker) = BrokerProcess::start(Software::Mosquitto, &settings) else { return };
    let login = Login { user: "pblink".into(), password: "a long one".into() };
    let settings = Mqtt { login: Some(login), ..mqtt(broker.address().port()) };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "1").await;
    // Acknowledged when the broker has it.
    board.say("secret").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_pass_over_tls_with_certificates_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (place, port) = (folder.path().display(), free_port());
    let settings = format!(
        "allow_anonymous true\nlistener {port} 127.0.0.1\ncafile {place}/ca.pem\ncertfile {place}/broker.pem\n\
         keyfile {place}/broker.key\nrequire_certificate true"
    );
    let Some(broker) = BrokerProcess::start(Software::Mosquitto, &settings) else { return };
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let tls =
        Tls { ca: Some(read("ca.pem")), client: Some((read("client.pem"), read("client.key"))) };
    let reader = broker.subscribe("reader", &["pblink/1/up"], &[]);
    let guarded = Broker { host: "127.0.0.1".into(), port, tls: Some(tls) };
    let settings = Mqtt { broker: guarded, ..mqtt(port) };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("over TLS").await;
    assert_eq!(reader.next(), "pblink/1/up over TLS");
    broker.publish("pblink/1/down", "back", &[]);
    assert_eq!(board.hear().await, "back");
    shop.close().await;
}
