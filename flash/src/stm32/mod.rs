//! The STM32: its flash sectors, and the two ways to them: a debug probe, USB DFU.
