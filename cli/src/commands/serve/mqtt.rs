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
    use pblink_serve::consumers::mqtt::{BadUrl, Broker};
    use pblink_serve::consumers::{Consumer, Kind};

    use super::super::Args;
    use crate::exit::{Exit, Failed};
    use crate::settings::Settings;

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
        let Some(broker) = broker else { return Ok(None) };
        let mqtt = crate::broker::mqtt(settings, broker, port)?;
        Ok(Some(Consumer::new(Kind::Mqtt(mqtt), true)))
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
