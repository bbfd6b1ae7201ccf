//! The MQTT consumer with a real Mosquitto, and what needs nothing of its own with the MQTT side of NATS, too; at the other
//! end Mosquitto's programs.

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
