//! Reasons for the core to stop.

/// Events that the hooks report.
#[derive(Default)]
pub(crate) struct Stops {
    /// Stop before this cycle.
    pub(crate) deadline: u64,
    /// Stop as soon as it is safe.
    pub(crate) now: bool,
    /// Instructions left in an IT block, whose state would be lost.
    pub(crate) in_it: u8,
    /// Address at which it stopped.
    pub(crate) at: u64,
    pub(crate) wfe: bool,
    /// The event register (ARMv7-M B1.5.18).
    pub(crate) event: bool,
    pub(crate) returned: bool,
    /// The core has met something that it cannot do.
    pub(crate) fault: Option<String>,
}
