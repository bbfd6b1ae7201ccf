//! The place where an endpoint keeps the texts of lines that are not acknowledged.

/// Keeps the texts of lines that are not acknowledged, in the order in which they were put in.
pub trait Store {
    /// The form in which a line is given back when it leaves.
    type Line;
    /// Returns the text of one of them; 0 is the oldest.
    ///
    /// # Panics
    /// If there are not this many.
    fn text(&self, at: usize) -> &[u8];
    /// Takes one out; those behind it move up.
    ///
    /// # Panics
    /// If there are not this many.
    fn remove(&mut self, at: usize) -> Self::Line;
}

/// A [`Store`] that takes lines in the form `T`.
pub trait Put<T>: Store {
    /// Puts a line behind the others.
    ///
    /// # Errors
    /// Gives `line` back if there is no room.
    fn put(&mut self, line: T) -> Result<(), T>;
}

/// Each line in a buffer of its own.
impl<L: AsRef<[u8]>, const N: usize> Store for heapless::Vec<L, N> {
    type Line = L;

    fn text(&self, at: usize) -> &[u8] {
        self[at].as_ref()
    }

    fn remove(&mut self, at: usize) -> L {
        self.remove(at)
    }
}

impl<L: AsRef<[u8]>, const N: usize> Put<L> for heapless::Vec<L, N> {
    fn put(&mut self, line: L) -> Result<(), L> {
        self.push(line)
    }
}
