//! The broker that settings describe: its certificates, who the server is there, and what it does.

use std::path::Path;

use anyhow::Context;
use pblink_serve::consumers::mqtt::{Broker, Login, Payload, Tls};
use pblink_serve::consumers::{Entities, Mqtt};

use crate::exit::{Exit, Failed};
use crate::settings::{Settings, of_broker, private_text};

/// Returns the use that a server at this port makes of the broker.
///
/// # Errors
/// [`Exit::Config`]: a file of passwords or certificates cannot be read, others can read it, or one is missing.
pub(crate) fn mqtt(settings: &Settings, mut broker: Broker, port: u16) -> anyhow::Result<Mqtt> {
    let section = &settings.mqtt;
    if let Some(tls) = &mut broker.tls {
        *tls = certificates(settings)?;
    }
    let password = of_broker(settings)?;
    let login = match (section.user.as_str(), password) {
        ("", None) => None,
        ("", Some(_)) => {
            let what = "there is a password for the broker, and no user: give mqtt.user, too";
            return Err(Failed::with(Exit::Config, what));
        }
        (user, password) => {
            Some(Login { user: user.to_owned(), password: password.unwrap_or_default() })
        }
    };
    let client_id = match section.client_id.as_str() {
        "" => format!("pblink-{}-{port}", machine()),
        given => given.to_owned(),
    };
    Ok(Mqtt {
        client_id,
        login,
        prefix: section.prefix.clone(),
        payload: if section.json { Payload::Json } else { Payload::Text },
        home_assistant: section.home_assistant,
        entities: Entities::new(settings.entities.clone()),
        ..Mqtt::new(broker)
    })
}

fn certificates(settings: &Settings) -> anyhow::Result<Tls> {
    let section = &settings.mqtt;
    let path = |key, file: &Path| settings.path_of(key, file);
    let ca = path("mqtt.ca_file", &section.ca_file).map(|path| {
        let read = std::fs::read(&path).with_context(|| {
            format!("cannot read the certificates that mqtt.ca_file names, {}", path.display())
        });
        read.map_err(|error| Failed::with(Exit::Config, format!("{error:#}")))
    });
    let ca = ca.transpose()?;
    let own =
        (path("mqtt.cert_file", &section.cert_file), path("mqtt.key_file", &section.key_file));
    let client = match own {
        (None, None) => None,
        (Some(certificate), Some(key)) if ca.is_some() => {
            let certificate = std::fs::read(&certificate).map_err(|error| {
                let what = format!("cannot read {}: {error}", certificate.display());
                Failed::with(Exit::Config, what)
            })?;
            Some((certificate, private_text(&key)?.into_bytes()))
        }
        _ => {
            let what = "the server's certificate for the broker needs mqtt.cert_file, mqtt.key_file and \
                        mqtt.ca_file: give all three";
            return Err(Failed::with(Exit::Config, what));
        }
    };
    Ok(Tls { ca, client })
}

/// Returns the name of this machine, without what a broker might not take.
fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
    plain.take(40).collect()
}
