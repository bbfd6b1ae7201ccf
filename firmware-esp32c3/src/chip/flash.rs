//! The network that the chip remembers, in its flash.

use esp_storage::FlashStorage;

use super::console;
use crate::remembered::{Network, RECORD, decode, encode};

/// The first sector of the partition `nvs`, which nothing else uses here: `espflash`'s and ESP-IDF's usual table of
/// partitions.
const PLACE: u32 = 0x9000;

/// The flash.
pub(super) struct Memory(pub(super) FlashStorage<'static>);

impl Memory {
    /// Returns the network, if there is one.
    pub(super) fn network(&mut self) -> Option<Network> {
        let mut record = [0; RECORD];
        self.0.read(PLACE, &mut record).ok()?;
        decode(&record)
    }

    /// Remembers a network. Writing costs a little of the flash's life: only what is new.
    pub(super) fn remember(&mut self, network: &Network) {
        if self.network().as_ref() == Some(network) {
            return;
        }
        let sector = PLACE..PLACE + FlashStorage::SECTOR_SIZE;
        let written = self.0.erase(sector.start, sector.end);
        if let Err(error) = written.and_then(|()| self.0.write_nor(PLACE, &encode(network))) {
            console::print(format_args!("wifi: the network is not remembered: {error:?}"));
        }
    }
}
