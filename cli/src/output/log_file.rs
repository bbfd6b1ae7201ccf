//! A file of diagnostics that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes after which a new file is begun.
const MOST: u64 = 10_000_000;
/// Older files that are kept.
const OLDER: u32 = 5;

/// A file of diagnostics, and the older ones: `FILE.1` is the youngest of those.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
}

impl LogFile {
    /// Opens the file for more, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with(path, MOST)
    }

    fn with(path: &Path, most: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, most })
    }

    /// Appends a diagnostic. One that cannot be written is dropped: it stops no task.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        // A file that cannot be exchanged goes on growing: better than nothing.
        if self.bytes > 0 && self.bytes + bytes.len() as u64 > self.most {
            let _ = self.begin_anew();
        }
        if self.file.write_all(bytes).is_ok() {
            self.bytes += bytes.len() as u64;
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        // A device, such as /dev/null, is left alone.
        if !self.file.metadata()?.is_file() {
            self.bytes = 0;
            return Ok(());
        }
        for older in (1..OLDER).rev() {
            if let Err(error) = fs::rename(self.numbered(older), self.numbered(older + 1))
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        match fs::rename(&self.path, self.numbered(1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => *self = Self::with(&self.path, self.most)?,
        }
        Ok(())
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_full_becomes_the_first_of_five_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = LogFile::with(&path, 10).unwrap();
        for n in 0..9 {
            file.append(format!("{n} is here\n").as_bytes());
        }
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text("log"), "8 is here\n");
        for n in 1..=5 {
            assert_eq!(text(&format!("log.{n}")), format!("{} is here\n", 8 - n));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
    }

    #[test]
    fn an_older_file_is_continued_and_one_long_line_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let mut file = LogFile::with(&path, 20).unwrap();
        file.append(b"new\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
        let long = [&[b'x'; 99][..], b"\n"].concat();
        file.append(&long);
        assert_eq!(fs::read(&path).unwrap(), long);
        assert_eq!(fs::read(folder.path().join("log.1")).unwrap(), b"old\nnew\n");
    }

    #[test]
    fn what_is_no_file_is_never_moved() {
        let mut file = LogFile::with(Path::new("/dev/null"), 3).unwrap();
        for _ in 0..3 {
            file.append(b"more than that");
        }
        assert!(!Path::new("/dev/null.1").exists());
    }
}
