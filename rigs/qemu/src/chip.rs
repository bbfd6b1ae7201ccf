//! A QEMU process that runs a firmware, and the frames to and from it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pblink_emulated_board::frame::{self, from_board};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The emulator has come up within this time, or never does.
const START: Duration = Duration::from_secs(30);

/// A kind of chip, for the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The ESP8266's.
    Lx106,
    /// The STM32F405's.
    CortexM4,
    /// The ESP32-C3's.
    Rv32,
}

impl Core {
    /// Returns the emulator's program.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Lx106 => "qemu-system-xtensa",
            Self::CortexM4 => "qemu-system-arm",
            Self::Rv32 => "qemu-system-riscv32",
        }
    }

    /// Returns the line that installs the emulator: the QEMU 10 with which this was tried.
    pub fn install(self) -> &'static str {
        match self {
            Self::Lx106 => "sudo apt-get install -t bookworm-backports qemu-system-misc",
            Self::CortexM4 => "sudo apt-get install -t bookworm-backports qemu-system-arm",
            Self::Rv32 => "sudo apt-get install -t bookworm-backports qemu-system-misc",
        }
    }

    /// Returns the machine, and its serial port on the character device `console`.
    fn machine(self) -> &'static [&'static str] {
        match self {
            Self::Lx106 => &["-M", "sim", "-cpu", "lx106", "-serial", "chardev:console"],
            // The second port is USART2.
            Self::CortexM4 => {
                &["-M", "olimex-stm32-h405", "-serial", "null", "-serial", "chardev:console"]
            }
            // The chip's instructions and no others: multiplication and short ones, but nothing atomic.
            Self::Rv32 => &[
                "-M",
                "virt",
                "-bios",
                "none",
                "-cpu",
                "rv32i,m=on,c=on,zicsr=on,zifencei=on,u=on,pmp=on,sv32=off,mmu=off",
                "-serial",
                "chardev:console",
            ],
        }
    }

    /// Returns true if the board asks for the next bytes when it has taken those on their way.
    fn asks(self) -> bool {
        match self {
            Self::Lx106 | Self::Rv32 => true,
            Self::CortexM4 => false,
        }
    }

    /// Returns the most bytes that may be on their way to the board.
    fn chunk(self) -> usize {
        if self.asks() { frame::CHUNK } else { usize::MAX }
    }
}

/// A frame from the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its kind, of [`frame::from_board`].
    pub kind: u8,
    /// Its content.
    pub content: Vec<u8>,
}

/// A running emulator. It is killed when this is dropped.
#[derive(Debug)]
pub struct Chip {
    core: Core,
    child: Child,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The board has read all that it was sent.
    idle: bool,
    stopped: bool,
    /// Holds the socket.
    _folder: TempDir,
}

impl Chip {
    /// Starts the image. Returns when the emulator is there; its program has then just begun.
    ///
    /// # Errors
    /// If the emulator cannot be started.
    pub async fn start(core: Core, image: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("console");
        let listener = UnixListener::bind(&path)?;
        let chardev = format!("socket,id=console,path={}", path.display());
        let mut child = Command::new(core.qemu())
            .args(["-display", "none", "-monitor", "none", "-semihosting", "-chardev", &chardev])
            .args(core.machine())
            .arg("-kernel")
            .arg(image)
            .stdin(Stdio::null())
            .spawn()?;
        let accepted = timeout(START, listener.accept()).await;
        let stream = match accepted.map_err(io::Error::from).and_then(|accepted| accepted) {
            Ok((stream, _)) => stream,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { core, child, stream, input, output, idle: true, stopped: false, _folder: folder })
    }

    /// Ends the process. What it has sent can still be read: [`frame`](Self::frame) fails after that.
    ///
    /// # Panics
    /// If the process has ended before.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child");
    }

    /// Stops the process without its knowledge, like a chip that hangs.
    pub fn hang(&mut self) {
        let pid = self.child.id().to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(stopped.is_ok_and(|status| status.success()), "kill -STOP {pid}");
        self.stopped = true;
    }

    /// Returns true if it [hangs](Self::hang).
    pub fn is_hung(&self) -> bool {
        self.stopped
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// If it is longer than [`frame::MAX`].
    pub fn emit(&mut self, kind: u8, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        self.output.extend(frame::header(kind, len));
        for part in parts {
            self.output.extend_from_slice(part);
        }
        self.flush();
    }

    /// Sends the next bytes, if the board has read the last ones. Errors show when it is read.
    fn flush(&mut self) {
        let chunk = self.output.len().min(self.core.chunk());
        if self.idle
            && chunk > 0
            && let Ok(n @ 1..) = self.stream.try_write(&self.output[..chunk])
        {
            self.output.drain(..n);
            self.idle = !self.core.asks();
        }
    }

    /// Returns the next frame. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the process has ended, or is out of step.
    pub async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            let first = frame::first(&self.input)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "out of step"))?;
            if let Some((kind, content, len)) = first {
                let frame = Frame { kind, content: content.to_vec() };
                self.input.drain(..len);
                if kind == from_board::MORE {
                    self.idle = true;
                    self.flush();
                    continue;
                }
                return Ok(frame);
            }
            if self.idle && !self.output.is_empty() {
                tokio::select! {
                    readable = self.stream.readable() => readable?,
                    writable = self.stream.writable() => writable?,
                }
                self.flush();
            } else {
                self.stream.readable().await?;
            }
            let mut chunk = [0; 4096];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        // Also ends a process that is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
