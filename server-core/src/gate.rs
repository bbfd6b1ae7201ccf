//! A question that is asked before a connection is served.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// See [`Builder::gate`](crate::Builder::gate).
#[derive(Clone)]
pub(crate) struct Gate(Arc<dyn Fn() -> Answer + Send + Sync>);

impl Gate {
    pub(crate) fn new<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(ask())))
    }

    /// Asks for one connection.
    pub(crate) async fn opens(&self) -> bool {
        (self.0)().await
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
