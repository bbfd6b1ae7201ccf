#![doc = include_str!("../README.md")]
#![no_std]

/// The configuration file `pblink.toml`, with a comment for each key and all defaults.
pub const PBLINK_TOML: &str = include_str!("../pblink.toml");

/// The udev rules that let a user without root reach the boards on Linux.
pub const UDEV_RULES: &str = include_str!("../69-pblink.rules");

/// The unit of systemd that runs `pblink serve`.
pub const SERVICE: &str = include_str!("../pblink.service");

/// The unit of systemd that keeps the socket for boards open while `pblink serve` starts anew.
pub const SOCKET: &str = include_str!("../pblink.socket");

/// `config.py` of `pb_link`, the Pyboard's side of micropython-iot. In it stand numbers for `{{port}}`,
/// `{{timeout_ms}}`, `{{report_s}}` and `{{bus}}`, names of pins for `{{scl}}` and `{{sda}}`, and Python's string
/// literals for `{{host}}`, `{{ssid}}`, `{{password}}`, `{{syn}}`, `{{ack}}` and `{{reset}}`.
pub const PB_LINK_CONFIG_PY: &str = include_str!("../pb_link_config.py.in");

/// The application that `pblink new` makes: each constant is a file.
///
/// In [`CARGO_TOML`](app::CARGO_TOML) and [`README`](app::README) `{{name}}` stands for the application's name, `{{board}}`,
/// `{{title}}` and `{{chip}}` for the kind, the name and the chip of its board, `{{bootloader}}` for the way into its boot
/// loader, `{{console}}` for the place of its console. The linker script `memory.x` is made from the memory map, and is not a
/// template; nor are the sources of pblink, which lie in `pblink/`.
pub mod app {
    /// `Cargo.toml`, with `{{name}}`, `{{title}}` and `{{board}}`.
    pub const CARGO_TOML: &str = include_str!("../app/Cargo.toml.in");
    /// `build.rs`.
    pub const BUILD_RS: &str = include_str!("../app/build.rs");
    /// `build.sh`, to be made executable.
    pub const BUILD_SH: &str = include_str!("../app/build.sh");
    /// `src/main.rs`.
    pub const MAIN_RS: &str = include_str!("../app/src/main.rs");
    /// `.gitignore`.
    pub const GITIGNORE: &str = include_str!("../app/gitignore");
    /// `README.md`, with all but `{{board}}`.
    pub const README: &str = include_str!("../app/README.md");
}
