//! The MQTT consumer with a real Mosquitto, and Mosquitto's own programs at the other end.

#[path = "../log/board.rs"]
mod board;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../log/engine.rs"]
mod engine;
#[path = "../exec/shop.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod shop;

mod entities;
mod faults;
mod gate;
mod guarded;
mod home_assistant;
mod lines;
mod planted;
mod relay;
