//! The broker that flags and `pblink.toml` name.

#[cfg(feature = "mqtt")]
use pblink_serve::consumers::Kind;
use pblink_serve::consumers::{Consumer, Entities};

use super::Args;
use crate::settings::Settings;

#[cfg(feature = "mqtt")]
pub use with::Url;
#[cfg(not(feature = "mqtt"))]
pub use without::Url;

/// Returns the consumer that uses the broker, if there is one.
///
/// # Errors
/// A file of passwords or certificates cannot be read, or others can read it.
pub(super) fn consumer(
    args: &Args,
    settings: &Settings,
    port: u16,
) -> anyhow::Result<Option<Consumer>> {
    #[cfg(feature = "mqtt")]
    return with::consumer(args, settings, port);
    #[cfg(not(feature = "mqtt"))]
    without::consumer(args, settings, port)
}

/// Returns the entities of a consumer that uses a broker.
pub(super) fn entities(consumer: &Consumer) -> Option<Entities> {
    match &consumer.kind {
        #[cfg(feature = "mqtt")]
        Kind::Mqtt(mqtt) => Some(mqtt.entities.clone()),
        _ => None,
    }
}

#[cfg(feature = "mqtt")]
mod with {
    use std::path::Path;

    use anyhow::Context;
    use pblink_serve::consumers::mqtt::{BadUrl, Broker, Login, Payload, Tls};
    use pblink_serve::consumers::{Consumer, Entities, Kind, Mqtt};

    use super::super::Args;
    use crate::exit::{Exit, Failed};
    use crate::settings::{Settings, of_broker, private_text};

    /// A broker as `--mqtt` names it; `None` is `off`. It takes any text: an error of the command line would show what was
    /// given, and people write passwords into URLs.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Url(Result<Option<Broker>, BadUrl>);

    impl From<&str> for Url {
        fn from(text: &str) -> Self {
            Self(if text == "off" { Ok(None) } else { text.parse().map(Some) })
        }
    }

    pub(super) fn consumer(
        args: &Args,
        settings: &Settings,
        port: u16,
    ) -> anyhow::Result<Option<Consumer>> {
        let section = &settings.mqtt;
        let broker = match &args.mqtt {
            Some(Url(Ok(broker))) => broker.clone(),
            Some(Url(Err(why))) => {
                return Err(Failed::with(Exit::Usage, format!("--mqtt names no broker: {why}")));
            }
            // It was checked when it was read.
            None => section.url.parse().ok(),
        };
        let Some(mut broker) = broker else { return Ok(None) };
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
        let mqtt = Mqtt {
            client_id,
            login,
            prefix: section.prefix.clone(),
            payload: if section.json { Payload::Json } else { Payload::Text },
            home_assistant: section.home_assistant,
            entities: Entities::new(settings.entities.clone()),
            ..Mqtt::new(broker)
        };
        Ok(Some(Consumer::new(Kind::Mqtt(mqtt), true)))
    }

    fn certificates(settings: &Settings) -> anyhow::Result<Tls> {
        let section = &settings.mqtt;
        let path = |key, file: &Path| settings.mqtt_path(key, file);
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
}

#[cfg(not(feature = "mqtt"))]
mod without {
    use pblink_serve::consumers::Consumer;

    use super::super::Args;
    use crate::exit::{Exit, Failed};
    use crate::settings::Settings;

    /// True if `--mqtt` names a broker, of which this program makes no use.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Url(bool);

    impl From<&str> for Url {
        fn from(text: &str) -> Self {
            Self(text != "off")
        }
    }

    pub(super) fn consumer(
        args: &Args,
        settings: &Settings,
        _port: u16,
    ) -> anyhow::Result<Option<Consumer>> {
        match args.mqtt.as_ref().map_or(!settings.mqtt.url.is_empty(), |Url(wanted)| *wanted) {
            false => Ok(None),
            true => {
                let what = "this pblink was built without MQTT: build it with the feature `mqtt`, or take mqtt.url out of \
                            pblink.toml";
                Err(Failed::with(Exit::Config, what))
            }
        }
    }
}
