//! Files that the command reads and writes, for the manual.

use super::verbs::Verbs::{self, Configured, Only};

/// A file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    /// Its place.
    pub(crate) path: &'static str,
    /// Its contents.
    pub(crate) about: &'static str,
    /// The verbs that use it.
    pub(crate) verbs: Verbs,
}

/// All of them.
pub(crate) const FILES: &[File] = &[
    File {
        path: "pblink.toml",
        about: "The configuration. The first of this folder's, $XDG_CONFIG_HOME/pblink/pblink.toml and \
                /etc/pblink/pblink.toml is used.",
        verbs: Configured,
    },
    File {
        path: "pblink.secrets.toml",
        about: "The WiFi password, for the owner alone (mode 0600); wifi.secrets names it.",
        verbs: Only(&["up", "doctor", "config", "build", "micropython", "provision"]),
    },
    File {
        path: "pblink.keys.toml",
        about: "Keys of boards for the secure link, for the owner alone (mode 0600); link.keys names it. Back it up.",
        verbs: Only(&[
            "up",
            "doctor",
            "config",
            "keys",
            "provision",
            "serve",
            "service",
            "micropython",
        ]),
    },
    File {
        path: "$XDG_STATE_HOME/pblink/PORT/",
        about: "A server's log of lines (log.db) and its token (token): ~/.local/state/pblink/8123 in most cases, \
                /var/lib/pblink for a service.",
        verbs: Only(&["up", "serve", "service", "state", "outbox", "send", "consumers"]),
    },
    File {
        path: "$XDG_RUNTIME_DIR/pblink/PORT.token",
        about: "The token of a server that keeps its lines in memory.",
        verbs: Only(&["serve", "send", "consumers"]),
    },
    File {
        path: "target/pblink/",
        about: "Images to flash, and manifest.json with their hashes.",
        verbs: Only(&["up", "build", "flash", "provision"]),
    },
    File {
        path: "/etc/systemd/system/pblink.service",
        about: "The service. A package puts it into the folder of systemd's units.",
        verbs: Only(&["service"]),
    },
];
