//! Faults on the way to a chip and in it.

/// One fault. Blocks (commands that carry data for flash) and answers (all but those to SYNC) are
/// counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// These bytes come before the first answer.
    Noise(Vec<u8>),
    /// A byte of this block changes on its way to the chip.
    GarbleBlock(u32),
    /// A byte of this answer changes on its way back.
    GarbleAnswer(u32),
    /// This block never arrives.
    LoseBlock(u32),
    /// This answer never arrives.
    LoseAnswer(u32),
    /// This answer comes late: just before the answer to the next command.
    DelayAnswer(u32),
    /// This block is acknowledged and not written.
    ForgetBlock(u32),
    /// The cable is pulled when this block arrives.
    VanishAtBlock(u32),
    /// The loader in RAM crashes at this block, and none can be loaded any more.
    LoseStubAtBlock(u32),
    /// The chip is reset when this block arrives, by someone else, and leaves its loader.
    ResetAtBlock(u32),
    /// The cable is pulled when the program starts.
    VanishAtStart,
    /// The adapter does not do this speed.
    NoSpeed(u32),
    /// This operation is always refused, for this reason.
    Refuse(u8, u8),
    /// Above this speed, every 400th byte changes, in both directions.
    NoisyAbove(u32),
    /// No chip is there.
    Silent,
}

/// All faults, and how far it has come.
#[derive(Debug, Default)]
pub struct Faults {
    pub list: Vec<Fault>,
    pub blocks: u32,
    pub answers: u32,
    pub bytes: u32,
    pub delayed: Option<Vec<u8>>,
}

impl Faults {
    pub fn has(&self, fault: &Fault) -> bool {
        self.list.contains(fault)
    }

    /// Passes a byte over the line, and returns it as it arrives.
    pub fn on_line(&mut self, byte: u8, baud: u32) -> u8 {
        let noisy =
            self.list.iter().any(|f| matches!(f, Fault::NoisyAbove(limit) if baud > *limit));
        if !noisy {
            return byte;
        }
        self.bytes += 1;
        if self.bytes.is_multiple_of(400) { byte ^ 0x10 } else { byte }
    }
}
