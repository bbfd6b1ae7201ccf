//! Limits for each source address, so that no single machine uses up what is there for all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Returns the source of a connection: an IPv4 address, or the 64 bits of an IPv6 address that name
/// its network, since a machine may choose the others as it likes.
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Places, of which each source gets at most a fixed number.
#[derive(Debug)]
pub(crate) struct Sources {
    max: usize,
    /// No entry for a source without a place. Whoever has a place is a connection: these are bounded.
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, unless this source has all that it may have.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut taken = self.taken();
        let places = taken.entry(source).or_default();
        if *places >= self.max {
            return None;
        }
        *places += 1;
        Some(Place { sources: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.sources.taken();
        if let Some(places) = taken.get_mut(&self.source) {
            *places -= 1;
            if *places == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_places_and_a_network_of_ipv6_is_one() {
        let sources = Sources::new(2);
        let enter = |address: &str| sources.enter(address.parse().unwrap());
        let first = enter("10.0.0.1").unwrap();
        let _second = enter("::ffff:10.0.0.1").unwrap();
        assert!(enter("10.0.0.1").is_none());
        let _other = enter("10.0.0.2").unwrap();
        let _v6 = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        assert_eq!(sources.taken().len(), 3, "who has no place is not remembered");
    }
}
