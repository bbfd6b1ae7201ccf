//! Reasons why there is no connection to the broker, from the errors of the MQTT library.

use std::{fmt, io};

use rumqttc::{ConnectReturnCode, ConnectionError, StateError};

/// Why there is no connection. In words it has its remedy behind it, if that is its own.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The broker does not want this user.
    Refused,
    /// The broker does not want a client of this name.
    ClientId,
    /// The broker does not want this connection for another reason.
    Unwanted(&'static str),
    /// The broker does not let this user have messages to boards.
    Subscription(String),
    /// The broker is not whom TLS expects, or no TLS is spoken there.
    Tls(String),
    /// There is no connection.
    Unreachable(String),
    /// There was one.
    Lost(String),
    /// The connection has ended; [`Connection::ended`](super::client::Connection::ended) knows why.
    Gone,
}

impl Trouble {
    /// Returns the fact.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Refused => "the broker refuses the user".to_owned(),
            Self::ClientId => "the broker refuses the name mqtt.client_id".to_owned(),
            Self::Unwanted(why) => format!("the broker refuses the connection: {why}"),
            Self::Subscription(filter) => {
                format!("the broker refuses the subscription of {filter}")
            }
            Self::Tls(why) => format!("the broker cannot be reached: TLS: {why}"),
            Self::Unreachable(why) => format!("the broker cannot be reached: {why}"),
            Self::Lost(why) => format!("the connection to the broker is lost: {why}"),
            Self::Gone => "the connection to the broker has ended".to_owned(),
        }
    }

    /// Returns the remedy. `None`: it is the same for all that may be wrong between here and the broker.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Refused => Some(
                "check mqtt.user and the password, and at the broker that this user may publish and subscribe",
            ),
            Self::ClientId => Some("choose another"),
            Self::Subscription(_) => Some("at the broker, let this user read it"),
            Self::Tls(_) => Some(
                "see that the broker speaks TLS at this port (8883, mostly), and that mqtt.ca_file names the \
                 certificate of whoever has signed the broker's",
            ),
            Self::Unwanted(_) | Self::Unreachable(_) | Self::Lost(_) | Self::Gone => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why())?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, ": {remedy}"))
    }
}

impl std::error::Error for Trouble {}

/// Returns the reason why there was no welcome.
pub(super) fn before(error: ConnectionError) -> Trouble {
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                Trouble::Refused
            }
            ConnectReturnCode::BadClientId => Trouble::ClientId,
            ConnectReturnCode::ServiceUnavailable => Trouble::Unwanted("it is not available"),
            _ => Trouble::Unwanted("it does not speak MQTT 3.1.1"),
        },
        ConnectionError::Tls(why) => Trouble::Tls(why.to_string()),
        other => Trouble::Unreachable(words(other)),
    }
}

/// Returns the reason why a connection has ended.
pub(super) fn after(error: ConnectionError) -> Trouble {
    Trouble::Lost(words(error))
}

/// Returns an error in words for people.
fn words(error: ConnectionError) -> String {
    match error {
        ConnectionError::Io(why) | ConnectionError::MqttState(StateError::Io(why)) => {
            match why.kind() {
                io::ErrorKind::UnexpectedEof => "it has closed the connection".to_owned(),
                _ => why.to_string(),
            }
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "it has closed the connection".to_owned()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "it does not answer".to_owned(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "it does not answer".to_owned()
        }
        ConnectionError::Tls(why) => format!("TLS: {why}"),
        other => other.to_string(),
    }
}
