//! The announcement of the server on its network.

#[cfg(feature = "mdns")]
pub(super) use announced::Announced;
#[cfg(not(feature = "mdns"))]
pub(super) use nothing::Announced;

#[cfg(feature = "mdns")]
mod announced {
    use pblink_serve::announce::{Announcement, Ground};
    use pblink_serve::hub::Hub;

    use super::super::Args;
    use crate::output::diagnostics::{say, warning};

    /// The announcement, if there is one.
    pub(in super::super) struct Announced(Option<Announcement>);

    impl Announced {
        /// Announces a server that other machines can reach. One that cannot be announced serves all the same.
        pub(in super::super) fn start(args: &Args, hub: &Hub) -> Self {
            if args.no_mdns {
                return Self(None);
            }
            let started = Announcement::start(hub.server().local_addr(), Ground::default());
            let started = started.unwrap_or_else(|error| {
                warning(error);
                None
            });
            if let Some(it) = &started {
                say(format_args!(
                    "announced on the network as {} (_pblink._tcp), this machine as {}",
                    it.name(),
                    it.host()
                ));
            }
            Self(started)
        }

        /// Takes it back.
        pub(in super::super) async fn stop(self) {
            if let Some(announcement) = self.0 {
                announcement.stop().await;
            }
        }
    }
}

#[cfg(not(feature = "mdns"))]
mod nothing {
    use pblink_serve::hub::Hub;

    use super::super::Args;

    /// No announcement.
    pub(in super::super) struct Announced;

    impl Announced {
        /// Announces nothing, with or without `--no-mdns`.
        pub(in super::super) fn start(_: &Args, _: &Hub) -> Self {
            Self
        }

        /// Takes nothing back.
        pub(in super::super) async fn stop(self) {}
    }
}
