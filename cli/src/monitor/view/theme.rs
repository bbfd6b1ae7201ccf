//! Styles by meaning. The colours are the terminal's own sixteen, so they suit its background.

use pblink_server::LinkState;
use ratatui::style::{Color, Modifier, Style};

use crate::monitor::data::Tone;

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
        self.coloured(Color::Yellow)
    }

    pub fn dim(self) -> Style {
        self.coloured(Color::DarkGray)
    }

    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn key(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Returns the style of what must not be overlooked: the screen does not show the present state.
    pub fn alarm(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::REVERSED | Modifier::BOLD)
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
