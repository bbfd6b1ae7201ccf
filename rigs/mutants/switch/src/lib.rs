//! Says, in a program with all mutants in it, which of them runs.
//!
//! `PBLINK_MUTANT` has its number: none runs without. `PBLINK_REACHED` names a file; it gets the number of each mutant that was asked
//! for, four bytes each, the lowest first.
//!
//! With `--cfg switch_in_const_fn` it may be asked in a `const fn`, too, and says no while a constant is computed. That needs a
//! feature of the compiler which is not stable.

#![cfg_attr(switch_in_const_fn, feature(core_intrinsics, const_eval_select))]
#![cfg_attr(switch_in_const_fn, allow(internal_features))]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Mutants of one program, at most.
const MOST: usize = 1 << 14;

/// No mutant runs.
const NONE: u32 = u32::MAX;

/// The orders are not known yet, or it is written down what is asked.
const ASK: u32 = u32::MAX - 1;

/// The mutant that runs, [`NONE`] or [`ASK`]. Loops ask it at each step.
static MUTANT: AtomicU32 = AtomicU32::new(ASK);

static REACHED: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let path = std::env::var_os("PBLINK_REACHED")?;
    let file = OpenOptions::new().create(true).append(true).open(path);
    Some(Mutex::new(file.expect("the file of PBLINK_REACHED can be written")))
});

static SEEN: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

/// Returns true if this mutant runs.
#[cfg(not(switch_in_const_fn))]
#[inline]
pub fn on(number: u32) -> bool {
    asked(number)
}

/// Returns true if this mutant runs; false while a constant is computed.
#[cfg(switch_in_const_fn)]
#[inline]
pub const fn on(number: u32) -> bool {
    const fn never(_: u32) -> bool {
        false
    }
    std::intrinsics::const_eval_select((number,), never, asked)
}

#[inline]
fn asked(number: u32) -> bool {
    match MUTANT.load(Ordering::Relaxed) {
        ASK => ask(number),
        mutant => mutant == number,
    }
}

#[cold]
fn ask(number: u32) -> bool {
    let Some(file) = &*REACHED else {
        let mutant = std::env::var("PBLINK_MUTANT").ok();
        let mutant = mutant.map_or(NONE, |n| n.parse().expect("PBLINK_MUTANT is a number"));
        MUTANT.store(mutant, Ordering::Relaxed);
        return mutant == number;
    };
    if !SEEN[number as usize].swap(true, Ordering::Relaxed) {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&number.to_le_bytes()).expect("the file of PBLINK_REACHED can be written");
    }
    false
}
