//! Keys and what follows from them, independent of the terminal library.

use super::file::Export;

/// A key, independent of the terminal library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with the control key.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// The runner's next action after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    None,
    /// End the monitor.
    Quit,
    /// Hand an extra key to whoever asked for it.
    Extra(char),
    /// Write a file into the present folder, and say so.
    Export(Box<Export>),
    /// Send a line to a link.
    Send {
        /// The link.
        client: String,
        /// The line.
        text: String,
    },
    /// Draw everything anew: something else has written on the terminal.
    Redraw,
}

/// A key that the monitor does not know itself, such as "WiFi outage" in `pblink demo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraKey {
    /// The key. It takes precedence over the monitor's own keys, except while a text is typed or a question
    /// is answered.
    pub key: char,
    /// One or two words for the footer.
    pub label: String,
    /// A short sentence for the help; 43 characters fit everywhere.
    pub help: String,
}

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The table of links.
    Links,
    /// Reports of the ESP8266s.
    Reports,
    /// Outages.
    Outages,
    /// The log.
    Log,
    /// The last 24 hours of each link.
    Day,
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Links, Self::Reports, Self::Outages, Self::Log, Self::Day];

    /// Returns the name on the tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Links => "Links",
            Self::Reports => "Reports",
            Self::Outages => "Outages",
            Self::Log => "Log",
            Self::Day => "24 h",
        }
    }

    pub(super) fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}
