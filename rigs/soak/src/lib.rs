//! Parts of tests beside boards, server and ledger: brokers, clusters of stores, machines with cables, and faults of the disk.

pub mod broker;
pub mod faults;
pub mod jetstream;
pub mod machine;
pub mod nats;
pub mod process;
pub mod wall;

pub use pblink_endurance::{board, crowd, ledger, proxy, secure, soak, store};
