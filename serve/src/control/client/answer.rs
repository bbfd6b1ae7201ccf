//! Answers of bounded size. Whoever listens at the port may send what it likes, for ever.

use futures::StreamExt;
use reqwest::Response;

/// The reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It was cut off.
    #[error(transparent)]
    Cut(#[from] reqwest::Error),
    /// It is longer than any of ours.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// If it is longer, or cut off.
pub(super) async fn read(response: Response, max: usize) -> Result<Vec<u8>, Broken> {
    if response.content_length().is_some_and(|length| length > max as u64) {
        return Err(Broken::TooLong(max));
    }
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        if body.len() + piece.len() > max {
            return Err(Broken::TooLong(max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
