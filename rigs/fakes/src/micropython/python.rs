//! The calls of the agent, and the files of the board.

use std::collections::BTreeMap;

use pblink_image::manifest::sha256;

use super::fault::Fault;

/// Result of code.
pub enum Ran {
    /// It has printed this.
    Done(String),
    /// It has raised this.
    Failed(String),
    /// A program that goes on until this interrupt.
    Program(u32),
    /// It never ends.
    Hangs,
    /// The cable was pulled.
    Gone,
}

#[derive(Debug)]
pub struct Python {
    pub faults: Vec<Fault>,
    pub files: BTreeMap<String, Vec<u8>>,
    open: Option<String>,
    pieces: u32,
    has_agent: bool,
}

impl Python {
    pub fn new(faults: Vec<Fault>) -> Self {
        Self { faults, files: BTreeMap::new(), open: None, pieces: 0, has_agent: false }
    }

    pub fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    fn find<T>(&self, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(wanted)
    }

    pub fn restart(&mut self) {
        self.has_agent = false;
        self.open = None;
    }

    pub fn run(&mut self, code: &str) -> Ran {
        if code.contains("import pb_link.pb_client") {
            return self.program();
        }
        self.has_agent |= code.contains("\ndef pblink_id():\n");
        let call = code.lines().last().unwrap_or_default();
        let Some((name, rest)) = call.strip_prefix("pblink_").and_then(|call| call.split_once('('))
        else {
            return Ran::Failed("SyntaxError: invalid syntax".into());
        };
        if !self.has_agent {
            return Ran::Failed(format!("NameError: name 'pblink_{name}' isn't defined"));
        }
        let texts: Vec<&str> = rest.split('\'').skip(1).step_by(2).collect();
        self.call(name, &texts)
    }

    fn program(&mut self) -> Ran {
        if let Some(error) = self.find(|f| match f {
            Fault::ProgramFails(error) => Some(*error),
            _ => None,
        }) {
            return Ran::Failed(error.to_owned());
        }
        if !self.files.keys().any(|name| name.ends_with("/pb_link/pb_client.py")) {
            return Ran::Failed("ImportError: no module named 'pb_link'".into());
        }
        let catches = self.find(|f| match f {
            Fault::ProgramCatches(interrupts) => Some(*interrupts),
            _ => None,
        });
        Ran::Program(catches.unwrap_or(1))
    }

    fn call(&mut self, name: &str, texts: &[&str]) -> Ran {
        let say = |words: String| Ran::Done(format!("pblink {words}\r\n"));
        let missing = || Ran::Failed("OSError: [Errno 2] ENOENT".into());
        match (name, texts) {
            ("id", []) => {
                let is = self.find(|f| match f {
                    Fault::Is(what) => Some(*what),
                    _ => None,
                });
                say(is.unwrap_or("micropython 1.22.0 pyboard").to_owned())
            }
            ("place", folders) => match folders.iter().find(|folder| self.is_there(folder)) {
                Some(folder) => say(format!("{folder} 512 {}", self.free())),
                None => say("-".to_owned()),
            },
            ("lacks", modules) => {
                let lacks: Vec<_> = modules
                    .iter()
                    .filter(|m| {
                        self.find(|f| match f {
                            Fault::Lacks(name) if name == *m => Some(()),
                            _ => None,
                        })
                        .is_some()
                    })
                    .map(|module| format!("pblink {module}\r\n"))
                    .collect();
                Ran::Done(lacks.concat())
            }
            ("sum", [path]) if self.has(&Fault::GarbleSum) && path.len() > 1 => {
                say("banana".to_owned())
            }
            ("sum", [path]) => match self.files.get(*path) {
                Some(bytes) => say(format!("{} {}", bytes.len(), sha256(bytes))),
                None => say("-".to_owned()),
            },
            ("dir", [folder, end]) => {
                if self.has(&Fault::ReadOnly) {
                    return Ran::Failed("OSError: [Errno 30] EROFS".into());
                }
                let below = format!("{folder}/");
                self.files.retain(|name, _| !(name.starts_with(&below) && name.ends_with(end)));
                Ran::Done(String::new())
            }
            ("open", [path]) => {
                self.files.insert((*path).to_owned(), Vec::new());
                self.open = Some((*path).to_owned());
                Ran::Done(String::new())
            }
            ("add", [text]) => self.add(text),
            ("close", []) => {
                self.open = None;
                Ran::Done(String::new())
            }
            ("drop", [path]) => {
                self.files.remove(*path);
                Ran::Done(String::new())
            }
            ("name", [from, to]) => match self.files.remove(*from) {
                Some(bytes) => {
                    self.files.insert((*to).to_owned(), bytes);
                    Ran::Done(String::new())
                }
                None => missing(),
            },
            _ => Ran::Failed(format!("NameError: name 'pblink_{name}' isn't defined")),
        }
    }

    fn add(&mut self, text: &str) -> Ran {
        self.pieces += 1;
        let piece = self.pieces;
        for fault in &self.faults {
            match fault {
                Fault::VanishAt(n) if *n == piece => return Ran::Gone,
                Fault::HangAt(n) if *n == piece => return Ran::Hangs,
                Fault::FullAt(n) if *n <= piece => {
                    return Ran::Failed("OSError: [Errno 28] ENOSPC".into());
                }
                Fault::GarbleAt(n) if *n == piece => return Ran::Done("\u{4}\u{4}what?".into()),
                Fault::NoMemoryAt(n) if *n == piece => {
                    return Ran::Failed(
                        "MemoryError: memory allocation failed, allocating 512 bytes".into(),
                    );
                }
                _ => {}
            }
        }
        let Some(open) = self.open.clone() else {
            return Ran::Failed("NameError: name 'pblink_f' isn't defined".into());
        };
        let mut bytes = decode(text);
        let worn = self.find(|f| match f {
            Fault::Wear(end) if open.ends_with(&format!("{end}.part")) => Some(()),
            _ => None,
        });
        if worn.is_some()
            && let Some(first) = bytes.first_mut()
        {
            *first ^= 0x10;
        }
        self.files.entry(open).or_default().extend(bytes);
        Ran::Done(String::new())
    }

    fn is_there(&self, folder: &str) -> bool {
        match folder {
            _ if self.has(&Fault::NoFolder) => false,
            "/sd" => self.has(&Fault::Sd),
            folder => folder == "/flash",
        }
    }

    fn free(&self) -> u64 {
        self.find(|f| match f {
            Fault::Free(free) => Some(*free),
            _ => None,
        })
        .unwrap_or(190)
    }
}

/// Decodes base64.
fn decode(text: &str) -> Vec<u8> {
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let word = four.iter().fold(0_u32, |word, digit| word << 6 | u32::from(value(*digit)) & 63);
        let padding = four.iter().filter(|digit| **digit == b'=').count();
        bytes.extend(&word.to_be_bytes()[1..4 - padding]);
    }
    bytes
}
