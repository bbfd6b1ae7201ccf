//! An STM32, behind its USB bootloader or a debug probe.
