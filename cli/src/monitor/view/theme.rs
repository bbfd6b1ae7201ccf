//! Styles by meaning. The colours are the terminal's own, and only those that can be read on light and on dark
//! backgrounds: yellow and cyan vanish on white, blue on black, and "bright black" is the background itself in
//! some schemes. Symbols stand beside them, for those who see no colours.

use pblink_server::LinkState;
use ratatui::style::{Color, Modifier, Style};

use crate::monitor::entry::Tone;

/// Styles of the screen, with or without colours.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub fn warning(self) -> Style {
        self.coloured(Color::Magenta)
    }

    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn key(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Returns what the row under the cursor adds to its cells: they keep their colours, and none is dim.
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED).remove_modifier(Modifier::DIM)
    }

    /// Returns the style of what must not be overlooked: the screen does not show the present state.
    pub fn alarm(self) -> Style {
        self.warning().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    pub fn state(self, state: LinkState) -> Style {
        match state {
            LinkState::Up => self.good(),
            LinkState::Waiting => self.warning(),
            LinkState::Down { .. } => self.bad(),
        }
    }

    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Good => self.good(),
            Tone::Bad => self.bad(),
            Tone::Warning => self.warning(),
            Tone::Own => self.heading(),
        }
    }
}

/// Returns the symbol of a state.
pub fn symbol(state: LinkState) -> &'static str {
    match state {
        LinkState::Up => "●",
        LinkState::Waiting => "○",
        LinkState::Down { .. } => "✗",
    }
}

/// Returns the symbol of a tone: one cell, a blank where there is nothing to say.
pub fn mark(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => " ",
        Tone::Good => "+",
        Tone::Bad => "✗",
        Tone::Warning => "!",
        Tone::Own => "·",
    }
}
