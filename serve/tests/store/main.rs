//! A log in a stream of NATS JetStream that several gateways share, with real NATS servers.

#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../log_sqlite/commits.rs"]
mod commits;
mod desk;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../kills/engines.rs"]
mod engines;
mod fleet;
mod lead;
mod outage;
mod records;
mod refused;
mod restored;
mod states;
