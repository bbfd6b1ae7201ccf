//! All tests of the command in one program: linking one for each file took minutes.
//!
//! One part of them: `cargo test -p pblink config::`.

#[cfg(unix)] // The firmwares are built by shell scripts.
mod build;
#[cfg(unix)]
mod completion;
#[cfg(unix)]
mod config;
mod doctor;
#[cfg(all(unix, feature = "esp32c3"))]
mod esp32c3;
mod examples;
mod flags;
mod flash_esp8266;
mod flash_stm32;
#[cfg(feature = "nats")]
mod gateways;
mod guide;
mod help;
mod keys;
mod link;
#[cfg(feature = "sqlite")]
mod log_verbs;
mod micropython;
mod monitor;
mod monitor_command;
mod monitor_consumers;
mod monitor_fixture;
mod monitor_fuzz;
mod monitor_lines;
mod monitor_look;
mod monitor_past;
#[cfg(feature = "mqtt")]
mod mqtt;
mod new;
mod node_red;
mod process;
#[cfg(target_os = "linux")]
mod provision;
mod reload;
#[cfg(target_os = "linux")]
mod screen;
mod serve;
mod serve_exec;
mod serve_keys;
mod service;
mod simulate_key;
mod simulate_scene;
#[cfg(feature = "soak")]
mod soak;
#[cfg(feature = "sqlite")]
mod state;
#[cfg(feature = "nats")]
mod store;
mod up;
mod verbs;
#[cfg(all(target_os = "linux", feature = "sqlite"))]
mod web;
