//! Delivered messages whose acknowledgement the owner holds back.

use super::line::Mid;
use super::mid_set::MidSet;

/// Names a delivered message whose acknowledgement is due later: see
/// [`Disposition::Later`](super::endpoint::Disposition::Later). It belongs to the endpoint that gave it,
/// and is to be released at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    pub(super) mid: Mid,
    /// The running count of the uses of the number, as far as it has to distinguish receipts.
    void: u8,
}

/// The numbers whose last message was delivered and is not released yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    later: MidSet,
    /// For each number, how many receipts have become void before they were released: because their
    /// sender restarted, or used the number again. A receipt that was released needs no count, so
    /// one byte is enough: 256 void receipts of one number would have to be out at the same time.
    void: [u8; 256],
}

impl Held {
    pub(super) const fn new() -> Self {
        Self { later: MidSet::EMPTY, void: [0; 256] }
    }

    pub(super) const fn contains(&self, mid: Mid) -> bool {
        self.later.contains(mid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.later.is_empty()
    }

    /// Returns the receipt for a message that is about to be delivered.
    pub(super) fn receipt(&self, mid: Mid) -> Receipt {
        let again = u8::from(self.later.contains(mid));
        Receipt { mid, void: self.void[usize::from(mid.0)].wrapping_add(again) }
    }

    /// Notes that the message of this receipt was delivered. `later`: its acknowledgement is held back.
    /// An earlier receipt for the number is void.
    pub(super) fn delivered(&mut self, receipt: Receipt, later: bool) {
        self.void[usize::from(receipt.mid.0)] = receipt.void;
        if later {
            self.later.insert(receipt.mid);
        } else {
            self.later.remove(receipt.mid);
        }
    }

    /// Notes that the sender has restarted: only what it sent since (`local`) is still held.
    pub(super) fn restarted(&mut self, local: &MidSet) {
        for mid in self.later.iter().filter(|&mid| !local.contains(mid)) {
            let void = &mut self.void[usize::from(mid.0)];
            *void = void.wrapping_add(1);
        }
        self.later.retain(local);
    }

    /// Releases a message. Returns false if the receipt is void, or was released already.
    pub(super) fn release(&mut self, receipt: Receipt) -> bool {
        receipt.void == self.void[usize::from(receipt.mid.0)] && self.later.remove(receipt.mid)
    }
}
