//! The connection to the broker: all that this program knows of the MQTT library. It does not come back once it is lost.

use std::io;
use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, Broker, ClientError, ConnectionError, Event, EventLoop, Incoming,
    LastWill, ManualAck, MqttOptions, PublishNotice, PublishOptions, QoS, SubscribeFilterInput,
    TlsConfiguration, Transport,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Mqtt;
use super::topics::Topics;
pub(super) use super::trouble::Trouble;
use super::trouble::{after, before};

/// Interval of signs of life while nothing else is sent, in seconds: a broker that hangs is noticed within twice that.
const KEEP_ALIVE: u16 = 15;

/// Time that connecting may take, the broker's welcome included.
const CONNECT: Duration = Duration::from_secs(10);

/// Messages that are sent and not acknowledged by the broker, at most.
pub(super) const WINDOW: usize = 100;

/// Messages to boards that wait to be put into the log. When that many do, nothing more is read from the broker.
const ARRIVALS: usize = 1024;

/// Requests that wait for the connection: acknowledgements of all arrivals, and what the directions send at a time. With
/// less, whoever acknowledges could wait for the connection, and that for room among the arrivals.
const REQUESTS: usize = ARRIVALS + 3 * WINDOW;

/// Bytes that a message may have: as MQTT allows. A broker has a limit of its own; with a lower one here, a message
/// beyond it would end each connection anew.
const MESSAGE: usize = 268_435_455;

/// A connection that the broker has welcomed.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) publisher: Publisher,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) pump: JoinHandle<Trouble>,
}

/// Sends on a connection.
#[derive(Debug, Clone)]
pub(super) struct Publisher(AsyncClient);

/// The broker's acknowledgement of one message, which may not have come yet.
#[derive(Debug)]
pub(super) struct Acknowledgement(PublishNotice);

/// A message of the broker.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// The broker had kept it, and gives it to whoever subscribes.
    pub(super) retained: bool,
    ack: Option<ManualAck>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If the broker is not there, or does not want it.
    pub(super) async fn open(mqtt: &Mqtt, topics: &Topics) -> Result<Self, Trouble> {
        let mut options = options(mqtt).map_err(Trouble::Unreachable)?;
        let will = LastWill::new(topics.server_status(), "offline", QoS::AtLeastOnce, true);
        options.set_last_will(will).set_clean_session(false);
        let (client, events) = welcomed(options, CONNECT).await?;
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        let pump = tokio::spawn(pump(events, sender));
        Ok(Self { publisher: Publisher(client), arrivals, pump })
    }

    /// Waits for the end of the connection, and returns its reason.
    pub(super) async fn ended(&mut self) -> Trouble {
        end_of(&mut self.pump).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Waits for the end of a connection's task.
pub(super) async fn end_of(pump: &mut JoinHandle<Trouble>) -> Trouble {
    pump.await.unwrap_or(Trouble::Gone)
}

impl Publisher {
    /// Sends a message with QoS 1.
    pub(super) async fn publish(
        &self,
        topic: String,
        payload: impl Into<Vec<u8>>,
        retained: bool,
    ) -> Result<Acknowledgement, Trouble> {
        let options = PublishOptions::at_least_once().retain(retained);
        let notice = self.0.publish_tracked(topic, payload.into(), options).await;
        notice.map(Acknowledgement).map_err(gone)
    }

    /// Asks for the messages of these filters. Returns when the broker has agreed.
    pub(super) async fn subscribe(&self, filters: Vec<String>) -> Result<(), Trouble> {
        let wanted =
            filters.iter().map(|filter| SubscribeFilterInput::new(filter, QoS::AtLeastOnce));
        let notice = self.0.subscribe_many_tracked(wanted).await.map_err(gone)?;
        let answer = notice.wait_async().await.map_err(|_| Trouble::Gone)?;
        let refused = |code: &_| *code == rumqttc::SubscribeReasonCode::Failure;
        match answer.return_codes.iter().position(refused) {
            None => Ok(()),
            Some(n) => Err(Trouble::Subscription(filters.get(n).cloned().unwrap_or_default())),
        }
    }

    /// Tells the broker that a message has reached what keeps it.
    pub(super) async fn confirm(&self, arrival: &Arrival) -> Result<(), Trouble> {
        match arrival.ack.clone() {
            Some(ack) => self.0.manual_ack(ack).await.map_err(gone),
            None => Ok(()),
        }
    }

    /// Says goodbye: the broker does not send the last will.
    pub(super) async fn disconnect(&self) -> Result<(), Trouble> {
        self.0.disconnect().await.map_err(gone)
    }
}

impl Acknowledgement {
    /// Waits for it.
    pub(super) async fn wait(self) -> Result<(), Trouble> {
        self.0.wait_completion_async().await.map_err(|_| Trouble::Gone)
    }
}

/// Connects as the server does, under another name, and leaves nothing at the broker: neither a session nor a message. The
/// server's own connection goes on.
///
/// # Errors
/// If the broker is not there within `patience`, or does not want it.
pub(super) async fn try_out(mqtt: &Mqtt, patience: Duration) -> Result<(), Trouble> {
    let mut options = options(mqtt).map_err(Trouble::Unreachable)?;
    options.set_clean_session(true);
    let (client, mut events) = welcomed(options, patience).await?;
    client.disconnect().await.map_err(gone)?;
    // Its end is of no interest: the broker has said welcome.
    let _ = timeout(patience, async { while events.poll().await.is_ok() {} }).await;
    Ok(())
}

/// Connects, and returns when the broker has said welcome.
async fn welcomed(
    options: MqttOptions,
    patience: Duration,
) -> Result<(AsyncClient, EventLoop), Trouble> {
    let (client, mut events) = AsyncClient::builder(options).capacity(REQUESTS).build();
    match timeout(patience, events.poll()).await {
        Ok(Ok(_)) => Ok((client, events)),
        Ok(Err(error)) => Err(before(error)),
        Err(_) => Err(Trouble::Unreachable("it does not answer".to_owned())),
    }
}

/// Moves bytes until the connection ends.
async fn pump(mut events: EventLoop, arrivals: mpsc::Sender<Arrival>) -> Trouble {
    let mut dropped = 0_u64;
    loop {
        let publish = match events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => publish,
            Ok(_) => continue,
            Err(ConnectionError::RequestsDone) => return Trouble::Gone,
            Err(error) => return after(error),
        };
        let ack = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(ManualAck::PubAck(rumqttc::PubAck::new(publish.pkid))),
            // Nobody gets more than was subscribed to.
            QoS::ExactlyOnce => return Trouble::Lost("it sends QoS 2, unasked".to_owned()),
        };
        let arrival = Arrival {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.into(),
            retained: publish.retain,
            ack,
        };
        if arrival.ack.is_none() {
            // No promise goes with it, and it must not hold up those with one.
            if arrivals.try_send(arrival).is_err() {
                dropped += 1;
                if dropped.is_power_of_two() {
                    tracing::warn!(
                        "mqtt: {dropped} messages with QoS 0 came too fast, and are lost"
                    );
                }
            }
        } else if arrivals.send(arrival).await.is_err() {
            return Trouble::Gone;
        }
    }
}

fn options(mqtt: &Mqtt) -> Result<MqttOptions, String> {
    let (host, port) = (mqtt.broker.host.clone(), mqtt.broker.port);
    let mut options = MqttOptions::new(&mqtt.client_id, Broker::tcp(&host, port));
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_ack_mode(AckMode::Manual)
        .set_max_packet_size(MESSAGE, MESSAGE);
    options.set_inflight(WINDOW as u16);
    if let Some(login) = &mqtt.login {
        options.set_credentials(&login.user, login.password.clone());
    }
    if let Some(tls) = &mqtt.broker.tls {
        let configuration = match &tls.ca {
            Some(ca) => TlsConfiguration::Simple {
                ca: ca.clone(),
                alpn: None,
                client_auth: tls.client.clone(),
            },
            None => TlsConfiguration::try_default_rustls().map_err(|why| why.to_string())?,
        };
        options.set_transport(Transport::tls_with_config(configuration));
    }
    // The library's own takes no IPv6 address.
    options.set_socket_connector(move |_, _| {
        let host = host.clone();
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        }
    });
    Ok(options)
}

fn gone(_: ClientError) -> Trouble {
    Trouble::Gone
}
