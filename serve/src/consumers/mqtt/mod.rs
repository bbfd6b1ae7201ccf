//! `mqtt`: lines go to a broker, and messages of the broker go to boards.
//!
//! | topic | who, to whom | content |
//! |---|---|---|
//! | `PREFIX/ID/up` | board, to whoever wants it | a line, or JSON with it |
//! | `PREFIX/ID/down` | whoever wants, to the board | a line |
//! | `PREFIX/ID/down/json` | the same | JSON with lines and their delivery, as `POST /api/v1/links/ID/lines` takes it |
//! | `PREFIX/ID/command` | whoever wants, to the server | `reconnect`: the link is closed, and made anew |
//! | `PREFIX/ID/entity/NAME` | server; retained | the last value of an [`Entity`](super::Entity) in the board's lines |
//! | `PREFIX/ID/error` | server, to whoever has sent it | why a message to the board was refused |
//! | `PREFIX/ID/status` | server; retained | the link as JSON |
//! | `PREFIX/status` | server; retained, and its last will | `online` or `offline` |
//! | `homeassistant/device/…/config` | server; retained, if it is wanted | devices and entities for Home Assistant |
//!
//! All of it has QoS 1. The consumer's place moves with the broker's acknowledgements, in the order of the log: what a
//! broker has not acknowledged is sent again, so that a line may come twice, and none is lost. A message to a board is
//! acknowledged to the broker when it is in the log, not when the board has it: a broker allows few messages at a time
//! that are not acknowledged (Mosquitto 20), and one board that is away would stop all others.
//!
//! Each connection begins with nothing of the one before it but the place in the log. The broker keeps the session, and
//! with it the messages to boards that come while the server is away.

mod address;
mod client;
mod down;
mod home_assistant;
mod status;
mod topics;
mod trouble;
mod up;

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Consumer, Cursor, Entities};
use crate::hub::Hub;
use crate::log::Log;

pub use address::{BadUrl, Broker, Tls};
use client::{Connection, Trouble};
use topics::Topics;
pub use topics::check_prefix;

/// Time that the broker has for the last messages of a server that stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// A broker, and the use that is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// The broker.
    pub broker: Broker,
    /// Name of this server at the broker, which keeps messages to boards under it. Two servers at one broker need two.
    pub client_id: String,
    /// User and password, if the broker wants them.
    pub login: Option<Login>,
    /// First levels of all topics.
    pub prefix: String,
    /// Form of the lines of boards.
    pub payload: Payload,
    /// Boards are made known to Home Assistant.
    pub home_assistant: bool,
    /// Values in lines that have topics of their own.
    pub entities: Entities,
    /// Pauses between tries.
    pub pace: Pace,
}

impl Mqtt {
    /// Returns the use that is made of a broker by default.
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            client_id: "pblink".to_owned(),
            login: None,
            prefix: "pblink".to_owned(),
            payload: Payload::default(),
            home_assistant: false,
            entities: Entities::default(),
            pace: Pace::default(),
        }
    }
}

/// Form of the lines of boards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Payload {
    /// The line as it is.
    #[default]
    Text,
    /// The line as JSON, with offset, client, times, epoch and seq, as the control API has it.
    Json,
}

/// User and password. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Pauses between tries to reach the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// The first; each further one is twice as long. Default 1 s.
    pub first: Duration,
    /// The longest. Default 60 s.
    pub longest: Duration,
    /// Pauses begin anew after a connection that lasted this long. Default 30 s.
    pub steady: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            steady: Duration::from_secs(30),
        }
    }
}

/// The reason why a broker cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The fact.
    pub why: String,
    /// The remedy.
    pub remedy: &'static str,
}

/// Connects to the broker as a server would, and goes away again. A server that is connected is not disturbed, and nothing
/// stays at the broker. It waits for the broker's welcome no longer than `patience`.
///
/// # Errors
/// If it cannot be used: it is not there, does not want this user, or is not whom TLS expects.
pub async fn try_out(mqtt: &Mqtt, patience: Duration) -> Result<(), Unusable> {
    let client_id = format!("{}-doctor", mqtt.client_id);
    let guest = Mqtt { client_id, ..mqtt.clone() };
    let Err(trouble) = client::try_out(&guest, patience).await else { return Ok(()) };
    let remedy = trouble.remedy().unwrap_or(
        "see that the broker runs there and that no firewall is between, or change mqtt.url",
    );
    Err(Unusable { why: trouble.why(), remedy })
}

/// Parts that all directions of one connection share.
#[derive(Clone, Copy)]
struct Parts<'a> {
    hub: &'a Arc<Hub>,
    log: &'a Log,
    consumer: &'a Consumer,
    mqtt: &'a Mqtt,
    topics: &'a Topics,
    ending: &'a CancellationToken,
}

/// Runs the consumer: connects, and connects again, until all lines are sent that are there when `ending` is cancelled, or
/// the broker is away by then.
pub(super) async fn run(
    hub: Arc<Hub>,
    log: Log,
    consumer: &Consumer,
    mqtt: &Mqtt,
    ending: CancellationToken,
) {
    let Some(place) = consumer.register(&log).await else { return };
    let cursor = Cursor::follow(&log, &consumer.name, place.offset);
    let topics = Topics::new(&mqtt.prefix);
    let (name, broker) = (&consumer.name, &mqtt.broker);
    let parts = Parts { hub: &hub, log: &log, consumer, mqtt, topics: &topics, ending: &ending };
    let mut pause = mqtt.pace.first;
    let mut said = None;
    loop {
        let tried = tokio::select! {
            opened = Connection::open(mqtt, &topics) => opened,
            () = ending.cancelled() => return,
        };
        let why = match tried {
            Err(why) => why,
            Ok(connection) => {
                tracing::info!("{name}: connected to the broker {broker}");
                said = None;
                let began = Instant::now();
                match connected(parts, connection, &cursor).await {
                    Ok(()) => return,
                    Err(why) => {
                        if began.elapsed() >= mqtt.pace.steady {
                            pause = mqtt.pace.first;
                        }
                        why
                    }
                }
            }
        };
        // Each reason once: a broker that is away for a night fills no disk.
        let why = why.to_string();
        if said.as_ref() != Some(&why) {
            tracing::warn!("{name}: {why}; lines are kept, and tried again (broker {broker})");
            said = Some(why.clone());
        }
        let wait = scattered(pause);
        log.stalls(name, &why, wait);
        tokio::select! {
            () = sleep(wait) => {}
            () = ending.cancelled() => return,
        }
        pause = (pause * 2).min(mqtt.pace.longest);
    }
}

/// Serves one connection until it is lost, or until all is sent and the server ends.
async fn connected(
    parts: Parts<'_>,
    mut connection: Connection,
    cursor: &Cursor,
) -> Result<(), Trouble> {
    let Parts { mqtt, topics, .. } = parts;
    let publisher = connection.publisher.clone();
    let greeting = async {
        publisher.publish(topics.server_status(), "online", true).await?.wait().await?;
        let mut filters = topics.filters().to_vec();
        if mqtt.home_assistant {
            filters.push(home_assistant::BIRTH.to_owned());
        }
        publisher.subscribe(filters).await
    };
    tokio::select! {
        greeted = greeting => greeted?,
        why = connection.ended() => return Err(why),
    }
    parts.log.goes_on(&parts.consumer.name);
    let Connection { arrivals, pump, .. } = &mut connection;
    let (anew, came) = (Notify::new(), Notify::new());
    let done = tokio::select! {
        done = up::run(parts, cursor, &publisher, &came) => done,
        never = down::run(parts, arrivals, &publisher, &anew) => never.map(nothing),
        never = status::run(parts, &publisher, &anew, &came) => never.map(nothing),
        why = client::end_of(pump) => Err(why),
    };
    // Whatever has failed in a direction has failed with the connection, which knows why.
    if matches!(done, Err(Trouble::Gone)) {
        return Err(connection.ended().await);
    }
    done?;
    let farewell = async {
        publisher.publish(topics.server_status(), "offline", true).await?.wait().await?;
        publisher.disconnect().await?;
        Ok::<_, Trouble>(connection.ended().await)
    };
    // A broker that has gone away by now sends the last will.
    let _ = timeout(FAREWELL, farewell).await;
    Ok(())
}

fn nothing(never: Infallible) {
    match never {}
}

/// Returns a time between half of this and all of it, so that servers whose broker was away do not come back all at once.
fn scattered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause / 2 + (pause / 2).mul_f64(random as f64 / u64::MAX as f64)
}
