//! An input, read as a series of choices.

/// The rest of an input. Behind its end there are zeros.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Returns this many bytes, or fewer at the end.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Returns as many bytes as the next one says.
    pub fn counted(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.bytes(len.into())
    }

    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Returns a number: mostly small, sometimes at an end of a range.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::MAX - u64::from(self.byte()),
            253 => u64::from(self.byte()) << 56 | 0x7f,
            252 => 1 << (self.byte() % 64),
            small => u64::from(small % 20),
        }
    }
}
