//! The question of a server whose log others share: does it serve its clients still?

use std::pin::Pin;

use tokio::sync::oneshot;

use super::Log;
use super::writer::Request;

impl Log {
    /// Returns the [question](pblink_server::Builder::gate) that a server has to ask for each connection. It is true if no other
    /// server had taken the place of this one when it was asked, and at once if none can. It does not keep the log open.
    pub fn gate(
        &self,
    ) -> impl Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync + 'static {
        let requests = self.shared.confirms.then(|| self.requests.downgrade());
        move || {
            let requests = requests.clone();
            Box::pin(async move {
                let Some(requests) = requests else { return true };
                let Some(requests) = requests.upgrade() else { return false };
                let (reply, answer) = oneshot::channel();
                let sent = requests.send(Request::Confirm(reply)).await;
                sent.is_ok() && answer.await.unwrap_or(false)
            })
        }
    }
}
