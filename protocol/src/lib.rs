//! The pblink link as sans-io state machines.
#![no_std]
