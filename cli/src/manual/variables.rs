//! Variables of the environment that the command reads, for the manual.
//!
//! A test compares them with what the sources read: `cargo test -p pblink-checks variables`.

use super::verbs::Verbs::{self, All, Configured, Only};

/// A variable that the command reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its effect.
    pub(crate) about: &'static str,
    /// The verbs that read it.
    pub(crate) verbs: Verbs,
}

/// Verbs that speak to a running server, or are one.
const SERVER: &[&str] = &[
    "up",
    "serve",
    "send",
    "tail",
    "consumers",
    "outbox",
    "state",
    "monitor",
    "status",
    "outages",
    "history",
];

/// Verbs that give a board the WiFi password.
const PASSWORD: &[&str] = &["up", "doctor", "config", "build", "micropython", "provision"];

/// All of them, but for those of the keys of `pblink.toml`, which follow a rule.
pub(crate) const VARIABLES: &[Variable] = &[
    Variable {
        name: "PBLINK_CONFIG",
        about: "Configuration file, if --config names none.",
        verbs: Configured,
    },
    Variable {
        name: "PBLINK_WIFI_PASSWORD",
        about: "Password of the WiFi. --password-file takes precedence over it, and it over the file that \
                wifi.secrets names. Programs that the command starts do not get it.",
        verbs: Only(PASSWORD),
    },
    Variable {
        name: "PBLINK_TOKEN",
        about: "Token of the control API. --token-file takes precedence over it, and it over control.token_file.",
        verbs: Only(SERVER),
    },
    Variable {
        name: "PBLINK_MQTT_PASSWORD",
        about: "Password for the broker. It takes precedence over mqtt.password_file.",
        verbs: Only(&["serve", "doctor"]),
    },
    Variable {
        name: "PBLINK_LOG",
        about: "Filter of diagnostics, such as debug or pblink_server=debug,warn. It takes precedence over -v and -q.",
        verbs: All,
    },
    Variable {
        name: "NO_COLOR",
        about: "Not empty: no colours, unless --color=always.",
        verbs: All,
    },
    Variable {
        name: "ESP8266_NONOS_SDK",
        about: "Folder of Espressif's SDK, for an ESP8266's program to flash. It takes precedence over \
                build.esp8266_sdk.",
        verbs: Only(&["up", "doctor", "build", "flash"]),
    },
    Variable {
        name: "CARGO_TARGET_DIR",
        about: "Folder in which applications of your own are built.",
        verbs: Only(&["up", "build"]),
    },
    Variable {
        name: "XDG_CONFIG_HOME",
        about: "Folder of a user's configurations, ~/.config without it.",
        verbs: Configured,
    },
    Variable {
        name: "XDG_STATE_HOME",
        about: "Folder below which a server keeps its log, ~/.local/state without it.",
        verbs: Only(&["up", "serve", "state", "outbox"]),
    },
    Variable {
        name: "XDG_RUNTIME_DIR",
        about: "Folder for the token of a server that keeps its lines in memory.",
        verbs: Only(&["up", "serve"]),
    },
    Variable {
        name: "HOME",
        about: "The user's folder, where XDG_CONFIG_HOME and XDG_STATE_HOME are not set.",
        verbs: Configured,
    },
    Variable {
        name: "VISUAL",
        about: "Editor of config edit; else EDITOR, else vi.",
        verbs: Only(&["config"]),
    },
    Variable { name: "EDITOR", about: "Editor, if VISUAL names none.", verbs: Only(&["config"]) },
    Variable {
        name: "TERM",
        about: "Kind of terminal. Without it, or with dumb, there are lines instead of screens.",
        verbs: Only(&["monitor", "demo", "serve", "up"]),
    },
    Variable {
        name: "SUDO_UID",
        about: "The user who has called sudo: files with secrets may belong to this user, too.",
        verbs: Configured,
    },
    Variable {
        name: "STATE_DIRECTORY",
        about: "Folder of the log, from systemd.",
        verbs: Only(&["serve", "state", "outbox"]),
    },
    Variable {
        name: "CREDENTIALS_DIRECTORY",
        about: "Folder with secrets, from systemd.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "NOTIFY_SOCKET",
        about: "Socket for reports to systemd.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "LISTEN_FDNAMES",
        about: "Names of the sockets that systemd has opened (with LISTEN_FDS and LISTEN_PID).",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "PBLINK_CLIENT",
        about: "For programs of --exec: the id of the board whose lines they get.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "PBLINK_CONSUMER",
        about: "For programs of --exec: the name by which the log knows them.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "PBLINK_LOG_NAME",
        about: "For programs of --exec: the log's name.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "PBLINK_SERVER",
        about: "For programs of --exec: address of the control API.",
        verbs: Only(&["serve"]),
    },
    Variable {
        name: "PBLINK_COMPLETE",
        about: "Name of the shell that completes a command line: the scripts of pblink completions set it.",
        verbs: Only(&["completions"]),
    },
    Variable {
        name: "JOURNAL_STREAM",
        about: "Set by systemd where diagnostics go to the journal: each then has its level.",
        verbs: All,
    },
];

/// The rule for the variables of the keys of `pblink.toml`.
pub(crate) const OF_KEYS: (&str, &str) = (
    "PBLINK_SECTION_KEY",
    "Each key of pblink.toml has a variable that overrides it: PBLINK_SERVER_PORT is server.port.",
);
