//! The price of one `fdatasync`, beside which commits are seen.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use crate::histogram::Histogram;

/// The size of the file, which is written before, so that only its contents change: as of a log that has
/// found its size.
const FILE: usize = 4 << 20;

/// Bytes that are written at a time: two pages, as a commit of one line is.
const WRITE: usize = 8192;

/// Writes and syncs for this long, in the folder of temporary files. Returns half of the times and the 99th of a
/// hundred, in µs.
pub fn sync_times(time: Duration) -> io::Result<(f64, f64)> {
    let mut file: File = tempfile::tempfile()?;
    file.write_all(&vec![0; FILE])?;
    file.sync_all()?;
    let mut times = Histogram::default();
    let (began, mut at) = (Instant::now(), 0);
    while began.elapsed() < time {
        let begin = Instant::now();
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(&[1; WRITE])?;
        file.sync_data()?;
        times.add(begin.elapsed(), 1);
        at = (at + WRITE) % FILE;
    }
    let us = |part| times.percentile(part).as_secs_f64() * 1e6;
    Ok((us(0.5), us(0.99)))
}
