//! Remarks on settings that are allowed but probably not meant.

use std::net::IpAddr;

use pblink_protocol::tcp::line::{Escaped, is_invisible};

use super::{Board, Problem, Secret, Settings};

/// Remark on settings that are valid by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The key that it is about, as in `board[1].id`.
    key: String,
    /// True if it cannot work: the server refuses a board with these settings.
    pub(crate) fatal: bool,
    /// The fact and, behind the first colon, what follows from it.
    pub(crate) message: String,
}

impl Remark {
    fn note(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), fatal: false, message: message.into() }
    }

    /// Returns the remark as a problem: of the variable that gives its key, else with the place in the file.
    pub(crate) fn problem(&self, settings: &Settings) -> Problem {
        let variable = settings.variable_of(&self.key);
        let place = settings.places.get(&self.key).map(|(place, _)| *place);
        let place = place.filter(|_| variable.is_none());
        Problem { place, ..Problem::of_file(settings.origin(variable), &self.message) }
    }
}

impl Settings {
    /// Returns remarks on what is allowed but probably not meant, given the password, if there is one.
    pub(crate) fn remarks(&self, password: Option<&Secret>) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if !self.wifi.ssid.is_empty() && password.is_none() {
            remarks.push(Remark::note(
                "wifi.ssid",
                "`wifi.ssid` has no password: right only for an open network; `pblink config set \
                 wifi.password` adds one",
            ));
        }
        remarks.extend(self.odd_ssid().map(|message| Remark::note("wifi.ssid", message)));
        if let Some(odd) = password.and_then(|password| oddity(password.expose())) {
            remarks.push(Remark::note(
                "wifi.secrets",
                format!("the WiFi password {odd}: right only if it is meant"),
            ));
        }
        remarks.extend(self.refused_boards());
        match self.server.host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => remarks.push(Remark::note(
                "server.host",
                "`server.host` is this machine itself: simulated boards reach it, real ones do not",
            )),
            Ok(IpAddr::V6(_)) => remarks.push(Remark::note(
                "server.host",
                "`server.host` is an IPv6 address: simulated boards reach it, but the ESP8266 \
                 speaks only IPv4",
            )),
            _ => {}
        }
        if let Some(control) = self.server.control
            && !control.ip().is_loopback()
        {
            remarks.push(Remark::note(
                "server.control",
                format!(
                    "`server.control` = {control} can be reached by others: they need the token of `pblink serve`, \
                     which goes over the network unencrypted"
                ),
            ));
        }
        remarks
    }

    /// Returns a remark on a name of the network that does not look like what it is. Every byte of it counts: a phone
    /// may well be called `Anna's phone ` with a blank at the end.
    pub(crate) fn odd_ssid(&self) -> Option<String> {
        let odd = oddity(&self.wifi.ssid)?;
        Some(format!(
            "`wifi.ssid` = \"{}\" {odd}: right only if the network has exactly this name",
            Escaped(&self.wifi.ssid)
        ))
    }

    /// Returns the texts of all [`remarks`](Self::remarks).
    pub(crate) fn notes(&self, password: Option<&Secret>) -> Vec<String> {
        self.remarks(password).into_iter().map(|remark| remark.message).collect()
    }

    /// Returns a remark for each board that the server refuses, since it is not in its list. That is fatal for a
    /// board that somebody has named; a file for the server alone names none.
    fn refused_boards(&self) -> Vec<Remark> {
        let unnamed = &Self::default().board.id;
        let listed = |board: &Board| {
            self.server.clients.is_empty() || self.server.clients.contains(&board.id)
        };
        let boards = self.all_boards().iter().enumerate().filter(|(_, board)| !listed(board));
        let remarks = boards.map(|(n, board)| {
            let (key, whose) = match self.has_list_of_boards() {
                true => (format!("board[{n}].id"), "the board"),
                false => ("board.id".to_owned(), "this board's id"),
            };
            let message = format!(
                "`server.clients` does not list {whose} {:?}: the server will refuse it",
                board.id
            );
            let fatal = self.is_given(&key) || board.id != *unnamed;
            Remark { key, fatal, message }
        });
        remarks.collect()
    }
}

/// Says what cannot be seen in a text.
fn oddity(text: &str) -> Option<&'static str> {
    if text.chars().any(is_invisible) {
        Some("has a character that cannot be seen")
    } else if text.ends_with(' ') {
        Some("has a blank at its end")
    } else if text.starts_with(' ') {
        Some("has a blank at its beginning")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::environment::Environment;
    use super::super::reader::read_in;
    use super::super::{check_password, read};
    use super::*;

    fn remarks(text: &str) -> Vec<(bool, String)> {
        let (settings, problems) = read(Path::new("pblink.toml"), text);
        assert_eq!(problems, []);
        let remarks = settings.remarks(None).into_iter();
        remarks.map(|remark| (remark.fatal, remark.problem(&settings).to_string())).collect()
    }

    #[test]
    fn a_board_that_the_server_refuses_is_fatal_and_one_that_nobody_has_named_is_not() {
        let of =
            |who: &str| format!("`server.clients` does not list {who}: the server will refuse it");
        let clients = "[server]\nclients = [\"a\"]\n";
        assert_eq!(
            remarks(&format!("{clients}[board]\nid = \"1\"\n")),
            [(true, format!("pblink.toml:4:1: {}", of("this board's id \"1\"")))]
        );
        assert_eq!(
            remarks(&format!(
                "{clients}[[board]]\nid = \"a\"\n[[board]]\nlog = \"off\"\nid = \"b\"\n"
            )),
            [(true, format!("pblink.toml:7:1: {}", of("the board \"b\"")))]
        );
        // A file for the server alone.
        assert_eq!(
            remarks(clients),
            [(false, format!("pblink.toml: {}", of("this board's id \"1\"")))]
        );
        assert_eq!(remarks("[server]\nclients = []\n[board]\nid = \"b\"\n"), []);
    }

    #[test]
    fn what_a_variable_says_is_not_blamed_on_a_line_of_the_file() {
        let of = |file: &str, id: &str| {
            let variables = [("PBLINK_BOARD_ID".into(), id.into())].into_iter();
            let (settings, problems) =
                read_in(Some(Path::new("pblink.toml")), file, &Environment::of(variables));
            let remarks: Vec<_> = settings
                .remarks(None)
                .iter()
                .map(|r| (r.fatal, r.problem(&settings).to_string()))
                .collect();
            (remarks, problems.iter().map(Problem::to_string).collect::<Vec<_>>())
        };
        let refused = |who: &str| {
            format!(
                "PBLINK_BOARD_ID: `server.clients` does not list {who}: the server will refuse it"
            )
        };
        let clients = "[server]\nclients = [\"a\"]\n";
        assert_eq!(
            of(&format!("{clients}[board]\nid = \"a\"\n"), "b").0,
            [(true, refused("this board's id \"b\""))]
        );
        // The only one of a list; "1" is also what nobody has named.
        for list in ["[[board]]\nid = \"a\"\n", "[[board]]\nreport_s = 1\n"] {
            assert_eq!(
                of(&format!("{clients}{list}"), "1").0,
                [(true, refused("the board \"1\""))]
            );
        }
        // A line that gets too long by it.
        let host = "h".repeat(63);
        let long = format!("[server]\nclients = []\nhost = \"{host}.{host}\"\n");
        let (_, problems) = of(&long, &"i".repeat(64));
        assert!(
            problems.len() == 1 && problems[0].starts_with("PBLINK_BOARD_ID: the settings make"),
            "{problems:?}"
        );
    }

    #[test]
    fn what_cannot_be_seen_in_a_name_or_password_is_pointed_out() {
        for (name, shown, odd) in [
            ("Home ", r"Home\u{20}", "has a blank at its end"),
            (" Home", r"\u{20}Home", "has a blank at its beginning"),
            ("Ho\u{200b}me", r"Ho\u{200b}me", "has a character that cannot be seen"),
            ("Home\u{a0}", r"Home\u{a0}", "has a character that cannot be seen"),
        ] {
            let mut settings = Settings::default();
            settings.wifi.ssid = name.to_owned();
            let password = check_password("hunter2 hunter2").unwrap();
            let expected = format!(
                "`wifi.ssid` = \"{shown}\" {odd}: right only if the network has exactly this name"
            );
            assert_eq!(settings.notes(Some(&password)), [expected]);
            settings.wifi.ssid = "My home".to_owned();
            let password = check_password(&format!("hunter2{name}")).unwrap();
            let notes = settings.notes(Some(&password));
            assert_eq!(notes.len(), usize::from(!name.starts_with(' ')), "{notes:?}");
            assert!(notes.iter().all(|note| note.contains(odd) && !note.contains("hunter2")));
        }
    }
}
