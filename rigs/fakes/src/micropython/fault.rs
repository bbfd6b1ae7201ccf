//! Faults on the way to a board with MicroPython, and in it.

/// One fault, or a property that a test asks for. Pieces are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No board is there.
    Silent,
    /// It says only this, again for each byte that it gets.
    Garbage(Vec<u8>),
    /// It has no raw REPL.
    NoRawRepl,
    /// Its raw REPL has no raw paste, as before MicroPython 1.14.
    NoPaste,
    /// A program runs, and catches all interrupts but this one, counted from 1.
    Program(u32),
    /// A timer of a program that was interrupted prints, until the interpreter is restarted.
    Timer,
    /// A program runs, prints without end, and cannot be interrupted.
    Stubborn,
    /// Another Python runs on it, or another version.
    Is(&'static str),
    /// It has no module of this name.
    Lacks(&'static str),
    /// An SD card is in it.
    Sd,
    /// It has no file system.
    NoFolder,
    /// This many pieces of 512 bytes are free.
    Free(u64),
    /// It has no room when this piece comes, whatever it has said before.
    FullAt(u32),
    /// Nothing can be written.
    ReadOnly,
    /// A byte of the file with this ending of its name changes.
    Wear(&'static str),
    /// The cable is pulled when this piece comes.
    VanishAt(u32),
    /// It does not answer to this piece.
    HangAt(u32),
    /// It answers nonsense to this piece.
    GarbleAt(u32),
    /// It answers nonsense to the question for a hash.
    GarbleSum,
    /// It has no memory for this piece.
    NoMemoryAt(u32),
    /// The program that is started ends with this error.
    ProgramFails(&'static str),
    /// The program that is started catches all interrupts but this one, counted from 1.
    ProgramCatches(u32),
}
