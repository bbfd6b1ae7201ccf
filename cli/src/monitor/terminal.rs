//! Taking the terminal, and giving it back whatever happens.

use std::io::{self, IsTerminal, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// True while a [`Screen`] has the terminal. The panic hook must know it, and it outlives all screens.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal in raw mode on its alternate screen. Dropping it gives the terminal back; so does
/// a panic, before its message is printed, or the message would vanish with the screen.
pub struct Screen {
    /// Draws.
    pub terminal: Terminal<CrosstermBackend<Out>>,
}

/// True once the terminal has not taken a byte: it was closed.
static GONE: AtomicBool = AtomicBool::new(false);

/// Standard output, for the screen. When the terminal is closed, writing does nothing: the library reports a cursor
/// that it cannot show on a standard error that is as gone, and that would be a panic.
#[derive(Debug)]
pub struct Out(Stdout);

impl Out {
    fn new() -> Self {
        Self(stdout())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                GONE.store(true, Ordering::SeqCst);
                Ok(bytes.len())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.flush().is_err() {
            GONE.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Returns true if standard output is a terminal that can show screens. One without a name, or named `dumb` as in
/// editors, shows the codes of a screen as they are.
pub fn takes_screens() -> bool {
    let term = std::env::var_os("TERM").unwrap_or_default();
    stdout().is_terminal() && !term.is_empty() && term != "dumb"
}

impl Screen {
    /// Takes the terminal.
    pub fn take(colour: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        // The decision about colours is ours (`--color` beats NO_COLOR), not the library's.
        crossterm::style::force_color_output(colour);
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = enable_raw_mode()
            .and_then(|()| crossterm::execute!(stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(Out::new())));
        match terminal {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Takes the terminal again, after a shell had it while the process was stopped: it may be neither in raw mode
    /// nor on the alternate screen.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn retake(&mut self) -> io::Result<()> {
        // The library believes that it is in raw mode still, and would do nothing.
        disable_raw_mode()?;
        enable_raw_mode()?;
        crossterm::execute!(stdout(), EnterAlternateScreen)?;
        self.clear()
    }

    /// Clears the screen, and forgets what was on it, so that the next frame is drawn in full.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        crossterm::execute!(stdout(), Clear(ClearType::All))?;
        // Not the library's own way: it asks the terminal for its cursor, and fails if no answer comes.
        self.terminal = Terminal::new(CrosstermBackend::new(Out::new()))?;
        Ok(())
    }

    /// Returns true once the terminal was closed.
    pub fn is_gone(&self) -> bool {
        GONE.load(Ordering::SeqCst)
    }

    /// Returns true while the terminal is taken: a panic in another thread gives it back.
    pub fn is_taken(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // If the terminal is gone, an error could not be shown.
        let _ = disable_raw_mode();
        let _ = crossterm::execute!(stdout(), LeaveAlternateScreen, Show);
    }
}
