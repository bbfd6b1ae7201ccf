//! Connections to the control API that another gateway has accepted.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};

use super::access::{Access, Gate};
use super::listener::Places;
use super::{Api, router};

/// Gateways whose rights are remembered, with the sessions of their browsers.
const GATEWAYS: usize = 64;

/// The way into a control API for connections that it has not accepted itself. Clones are the same.
#[derive(Clone)]
pub struct Visitors {
    api: Api,
    places: Places,
    /// By gateway: sessions of browsers last as long as its rights are the same.
    doors: Arc<Mutex<HashMap<String, Known>>>,
}

/// The rights at a gateway, and what answers those who have them.
struct Known(Arc<Gate>, Router);

impl fmt::Debug for Visitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitors").finish_non_exhaustive()
    }
}

impl Visitors {
    pub(super) fn new(api: Api, places: Places) -> Self {
        Self { api, places, doors: Arc::default() }
    }

    /// Answers what comes from `peer`, until either side ends it. It has come to another gateway, with this name, those who
    /// have access there, and whether that is its own machine only.
    pub async fn answer(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: SocketAddr,
        (gateway, access, loopback): (&str, Access, bool),
    ) {
        let router = self.router(gateway, access, loopback);
        self.places.clone().answer(stream, peer, router, self.api.stop.clone()).await;
    }

    fn router(&self, gateway: &str, access: Access, loopback: bool) -> Router {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Known(gate, router)) = doors.get(gateway)
            && gate.is(&access, loopback)
        {
            return router.clone();
        }
        let gate = Arc::new(Gate::new(access, loopback));
        let router = router(Api { gate: Arc::clone(&gate), ..self.api.clone() });
        if doors.len() >= GATEWAYS {
            doors.clear();
        }
        doors.insert(gateway.to_owned(), Known(gate, router.clone()));
        router
    }
}
