//! The control API of a server with a log, over real sockets: lines out, lines in, consumers, access, limits.

mod access;
mod consumers;
mod documented;
mod lines;
mod metrics;
#[cfg(feature = "nats")]
mod passed;
mod refused;
mod send;
#[cfg(feature = "sqlite")]
mod state;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Station, soon};
use pblink_serve::control::{Access, ControlServer, Token};
use pblink_serve::hub::Hub;
use pblink_serve::log::{Engine, From, Memory};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

const TOKEN: &str = "a-token-for-these-tests";

/// A server with its log and its control API.
struct Rig {
    station: Station,
    hub: Arc<Hub>,
    control: ControlServer,
    http: reqwest::Client,
}

impl Rig {
    async fn start() -> Self {
        Self::with(Memory::new("abc")).await
    }

    async fn with(engine: impl Engine) -> Self {
        let station = Station::start(engine).await;
        Self::around(station, "127.0.0.1:0".parse().unwrap(), access()).await
    }

    async fn around(station: Station, address: SocketAddr, access: Access) -> Self {
        let (server, log) = (station.server.clone(), station.log.clone());
        let hub = Hub::with_log(server, log, Duration::from_secs(1200), "print");
        let control = ControlServer::bind_with(address, hub.clone(), access).await.unwrap();
        Self { station, hub, control, http: reqwest::Client::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.control.address())
    }

    /// Returns a request with the token.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(TOKEN)
    }

    /// Asks without a token, and returns status and JSON.
    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.http.get(self.url(path))).await
    }

    /// Connects a board that says these lines, and waits until they are in the log.
    async fn board(&self, id: &str, lines: &[&str]) -> Board {
        let mut board = Board::connect(&self.station, id).await;
        let head = self.station.log.head();
        for (n, line) in lines.iter().enumerate() {
            board.say(&format!("{n:02x}{line}")).await;
        }
        if let Some(before_last) = (head + lines.len() as u64).checked_sub(1) {
            assert!(soon(self.station.log.wait_beyond(before_last)).await);
        }
        board
    }
}

fn access() -> Access {
    Access { token: Some(Token::parse(TOKEN).unwrap()), ..Access::default() }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = soon(request.send()).await.unwrap();
    let status = response.status();
    let body = soon(response.bytes()).await.unwrap();
    let json = serde_json::from_slice(&body);
    (status, json.unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
}

/// Returns the texts of an answer's lines.
fn texts(page: &Value) -> Vec<&str> {
    page["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

/// Lets the log in memory acknowledge nothing: lines wait at the server as they would on a slow disk.
async fn hold(rig: &Rig) {
    rig.station.log.register("held", true, From::Now).await.unwrap();
}
