//! Functions of the chip's ROM: memory, and the division that the core does not have.

use super::{Done, Esp8266, Function, MHZ};
use crate::Fault;

pub(super) const FUNCTIONS: [(&str, Function); 10] = [
    ("memcpy", copy),
    ("memmove", copy),
    ("memset", set),
    ("memcmp", compare),
    ("__muldi3", |chip| wide(chip, |a, b| Some(a.wrapping_mul(b)))),
    ("__udivdi3", |chip| wide(chip, u64::checked_div)),
    ("__umoddi3", |chip| wide(chip, u64::checked_rem)),
    ("__udivsi3", |chip| narrow(chip, u32::checked_div)),
    ("__umodsi3", |chip| narrow(chip, u32::checked_rem)),
    ("ets_delay_us", |chip| Ok(Done::Busy(u64::from(chip.argument(0)) * MHZ))),
];

/// Returns bytes of any memory. None are anywhere.
fn bytes(chip: &Esp8266, at: u32, len: u32) -> Result<Vec<u8>, Fault> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let bytes = chip.core.memory.bytes(at, len).map(<[u8]>::to_vec);
    bytes.ok_or_else(|| chip.fault(format!("{len} bytes at {at:#x} are not there")))
}

/// Both take about a cycle for each byte.
fn copy(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [to, from, len] = [0, 1, 2].map(|n| chip.argument(n));
    let bytes = bytes(chip, from, len)?;
    if len > 0 && !chip.core.memory.load(to, &bytes) {
        return Err(chip.fault(format!("copies {len} bytes to {to:#x}")));
    }
    chip.cycles += u64::from(len);
    Ok(Done::Nothing)
}

fn set(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [at, value, len] = [0, 1, 2].map(|n| chip.argument(n));
    if len == 0 {
        return Ok(Done::Nothing);
    }
    let Some(bytes) = chip.core.memory.bytes_mut(at, len) else {
        return Err(chip.fault(format!("sets {len} bytes at {at:#x}")));
    };
    bytes.fill(value as u8);
    chip.cycles += u64::from(len);
    Ok(Done::Nothing)
}

fn compare(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [one, other, len] = [0, 1, 2].map(|n| chip.argument(n));
    let (one, other) = (bytes(chip, one, len)?, bytes(chip, other, len)?);
    chip.cycles += u64::from(len);
    let unequal = one.iter().zip(&other).find(|(a, b)| a != b);
    Ok(Done::Value(unequal.map_or(0, |(a, b)| (i32::from(*a) - i32::from(*b)) as u32)))
}

fn wide(chip: &mut Esp8266, result: fn(u64, u64) -> Option<u64>) -> Result<Done, Fault> {
    let pair = |n| u64::from(chip.argument(n)) | u64::from(chip.argument(n + 1)) << 32;
    let result = result(pair(0), pair(2)).ok_or_else(|| chip.fault("division by zero"))?;
    chip.core.a[3] = (result >> 32) as u32;
    chip.cycles += 60;
    Ok(Done::Value(result as u32))
}

fn narrow(chip: &mut Esp8266, result: fn(u32, u32) -> Option<u32>) -> Result<Done, Fault> {
    let result = result(chip.argument(0), chip.argument(1));
    chip.cycles += 40;
    result.map(Done::Value).ok_or_else(|| chip.fault("division by zero"))
}
