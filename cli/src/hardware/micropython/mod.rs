//! Boards with MicroPython: the configuration of `pb_link`.

mod config;

pub(crate) use config::{CONFIG_PY_MARK, config_py};
