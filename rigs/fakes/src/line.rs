//! Bytes on their way from a board, on a line within the process.

/// The most bytes that come at a time: not all at once, as on a real line.
const PIECE: usize = 61;

/// Moves a piece of what a board has sent into `buffer`, and returns its length.
pub(crate) fn piece(output: &mut Vec<u8>, buffer: &mut [u8]) -> usize {
    let count = output.len().min(buffer.len()).min(PIECE);
    for (place, byte) in buffer.iter_mut().zip(output.drain(..count)) {
        *place = byte;
    }
    count
}
