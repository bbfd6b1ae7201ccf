//! Reasons why there is no connection to the broker, from the errors of the MQTT library.

use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The broker does not want this user.
    #[error(
        "the broker refuses the user: check mqtt.user and the password, and at the broker that this user may \
         publish and subscribe"
    )]
    Refused,
    /// The broker does not want this connection for another reason.
    #[error("the broker refuses the connection: {0}")]
    Unwanted(&'static str),
    /// The broker does not let this user have messages to boards.
    #[error("the broker refuses the subscription of {0}: at the broker, let this user read it")]
    Subscription(String),
    /// There is no connection.
    #[error("the broker cannot be reached: {0}")]
    Unreachable(String),
    /// There was one.
    #[error("the connection to the broker is lost: {0}")]
    Lost(String),
    /// The connection has ended; [`Connection::ended`] knows why.
    #[error("the connection to the broker has ended")]
    Gone,
}

/// Returns the reason why there was no welcome.
pub(super) fn before(error: ConnectionError) -> Trouble {
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                Trouble::Refused
            }
            ConnectReturnCode::BadClientId => {
                Trouble::Unwanted("it does not take mqtt.client_id; choose another")
            }
            ConnectReturnCode::ServiceUnavailable => Trouble::Unwanted("it is not available"),
            _ => Trouble::Unwanted("it does not speak MQTT 3.1.1"),
        },
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
        ConnectionError::Tls(why) => format!(
            "TLS: {why}; mqtt.ca_file names the certificate of whoever has signed the broker's"
        ),
        other => other.to_string(),
    }
}
