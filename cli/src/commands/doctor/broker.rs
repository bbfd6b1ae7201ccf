//! Checks of the broker of `[mqtt]`.

use super::finding::{Finding, Group};
use crate::settings::Settings;

/// Time that the broker has for its welcome.
#[cfg(feature = "mqtt")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// Connects to the broker, if there is one, under a name of its own: a server that runs is not disturbed.
#[cfg(feature = "mqtt")]
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    use pblink_serve::consumers::mqtt::{Broker, try_out};

    let mut group = Group::new("broker");
    // A URL that is none has been reported with the file, and no URL is no broker.
    let Ok(broker) = settings.mqtt.url.parse::<Broker>() else { return group.done() };
    let name = broker.to_string();
    match crate::broker::mqtt(settings, broker, settings.server.port) {
        Err(error) => group.error(format!("{error:#}"), "docs/MQTT.md has the keys of [mqtt]"),
        Ok(mqtt) => match try_out(&mqtt, PATIENCE).await {
            Ok(()) => group.ok(format!("{name} takes the server")),
            Err(bad) => group.error(format!("{name}: {}", bad.why), bad.remedy),
        },
    }
    group.done()
}

/// Says that this program makes no use of a broker, if there is one.
#[cfg(not(feature = "mqtt"))]
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("broker");
    if !settings.mqtt.url.is_empty() {
        group.error(
            "this pblink was built without MQTT",
            "build it with the feature `mqtt`, or take mqtt.url out of pblink.toml",
        );
    }
    group.done()
}
