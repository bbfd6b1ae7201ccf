//! The effects of the keys.

use super::{LINE, Mode, Model, Tone, export};
use crate::monitor::file::Form;
use crate::monitor::filter::States;
use crate::monitor::keys::{Action, Key, Tab};
use crate::monitor::order::Sorted;

impl Model {
    /// Does what the key says.
    pub fn key(&mut self, key: Key) -> Action {
        match key {
            Key::Ctrl('c') => return Action::Quit,
            Key::Ctrl('l') => return Action::Redraw,
            _ => {}
        }
        self.notice = None;
        match &self.mode {
            Mode::Writing { .. } => {
                self.write(key);
                return Action::None;
            }
            Mode::Sending { client, text } => {
                let (client, text) = (client.clone(), text.clone());
                self.mode = Mode::Command;
                let yes = matches!(key, Key::Char('y' | 'Y'));
                return if yes { Action::Send { client, text } } else { Action::None };
            }
            Mode::Exporting => {
                self.mode = Mode::Command;
                let form = match key {
                    Key::Char('j') => Form::Json,
                    Key::Char('c') => Form::Csv,
                    _ => return Action::None,
                };
                return Action::Export(Box::new(export::export(self, form)));
            }
            Mode::Filter => {
                self.edit(key);
                return Action::None;
            }
            Mode::Ending => {
                self.mode = Mode::Command;
                let yes = matches!(key, Key::Char('y' | 'Y'));
                return if yes { Action::Quit } else { Action::None };
            }
            Mode::Command => {}
        }
        if let Key::Char(c) = key
            && self.extra.iter().any(|extra| extra.key == c)
        {
            return Action::Extra(c);
        }
        if key == Key::Char('q') {
            if self.ending.is_none() {
                return Action::Quit;
            }
            self.mode = Mode::Ending;
            return Action::None;
        }
        if self.help {
            self.help = false;
            return Action::None;
        }
        self.command(key);
        Action::None
    }

    fn command(&mut self, key: Key) {
        match key {
            Key::Char('?') => self.help = true,
            Key::Char('/') => {
                // The filter works on lists, not on the page of one link.
                self.page = None;
                self.mode = Mode::Filter;
            }
            Key::Char('d') => {
                self.page = None;
                self.states = self.states.next();
            }
            Key::Char('l') if self.page.is_some() && self.has_lines => self.only_lines ^= true,
            Key::Char('m') if self.has_lines => {
                if let Some(why) = self.refusal.clone() {
                    self.tell(why, Tone::Warning);
                } else if let Some(client) = self.selected_id() {
                    self.mode = Mode::Writing { client, text: String::new() };
                }
            }
            Key::Char('e') => self.mode = Mode::Exporting,
            Key::Char('s') => self.sort(),
            Key::Char('S') => self.reverse(),
            Key::Char('f') => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => Some(Box::new(self.live.clone())),
                }
            }
            Key::Char(c @ '1'..='5') => self.go(Tab::ALL[c as usize - '1' as usize]),
            Key::Tab => self.go(self.tab.step(1)),
            Key::BackTab => self.go(self.tab.step(Tab::ALL.len() - 1)),
            Key::Enter => {
                if self.page.is_none()
                    && let Some(id) = self.selected_id()
                    && self.data().link(&id).is_some()
                {
                    self.link_pick = Some(id.clone());
                    self.page = Some(id);
                    self.page_pick = None;
                }
            }
            Key::Esc if self.page.is_some() => self.page = None,
            Key::Esc => {
                self.filter.clear();
                self.states = States::All;
            }
            Key::Up | Key::Char('k') => self.walk(-1),
            Key::Down | Key::Char('j') => self.walk(1),
            Key::PageUp => self.walk(-(self.rows as isize)),
            Key::PageDown => self.walk(self.rows as isize),
            Key::Home | Key::Char('g') => self.walk(isize::MIN),
            Key::End | Key::Char('G') => self.walk(isize::MAX),
            _ => {}
        }
    }

    /// Takes in a key of a line for a link. Enter asks before it is sent.
    fn write(&mut self, key: Key) {
        let Mode::Writing { client, text } = &mut self.mode else { return };
        match key {
            Key::Enter if !text.is_empty() => {
                let (client, text) = (std::mem::take(client), std::mem::take(text));
                self.mode = Mode::Sending { client, text };
            }
            Key::Enter | Key::Esc => self.mode = Mode::Command,
            Key::Backspace => drop(text.pop()),
            Key::Ctrl('u') => text.clear(),
            Key::Char(c) if !c.is_control() && text.len() + c.len_utf8() <= LINE => text.push(c),
            _ => {}
        }
    }

    /// Sorts the shown list by its next column.
    fn sort(&mut self) {
        match self.tab {
            _ if self.page.is_some() => {}
            Tab::Links | Tab::Reports => {
                self.link_order = Sorted { by: self.link_order.by.next(), reverse: false };
            }
            Tab::Outages => {
                self.outage_order = Sorted { by: self.outage_order.by.next(), reverse: false };
            }
            Tab::Day => {
                self.day_order = Sorted { by: self.day_order.by.next(), reverse: false };
            }
            Tab::Log => {}
        }
    }

    /// Turns the order of the shown list round.
    fn reverse(&mut self) {
        match self.tab {
            _ if self.page.is_some() => {}
            Tab::Links | Tab::Reports => self.link_order.reverse ^= true,
            Tab::Outages => self.outage_order.reverse ^= true,
            Tab::Day => self.day_order.reverse ^= true,
            Tab::Log => {}
        }
    }

    fn go(&mut self, tab: Tab) {
        self.page = None;
        self.tab = tab;
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Enter => self.mode = Mode::Command,
            Key::Esc => {
                self.filter.clear();
                self.mode = Mode::Command;
            }
            Key::Backspace => self.filter.pop(),
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(c) => self.filter.push(c),
            _ => {}
        }
    }

    fn walk(&mut self, by: isize) {
        if self.page.is_some() || self.tab == Tab::Log {
            let rows = self.log_rows();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_log(&rows).unwrap_or(last), by, last);
            // At its end the log follows again.
            let pick = (to < last).then(|| rows[to].key);
            if self.page.is_some() { self.page_pick = pick } else { self.log_pick = pick }
        } else if self.tab == Tab::Outages {
            let rows = self.outage_rows();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_outage(&rows), by, last);
            // At the top, new outages push in above and the selection stays on the newest.
            self.outage_pick = (to > 0).then(|| rows[to].0);
        } else {
            let rows = self.rows_of_links();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_link(&rows), by, last);
            self.link_pick = Some(self.data().links[rows[to]].id.clone());
        }
    }
}

fn stepped(from: usize, by: isize, last: usize) -> usize {
    from.saturating_add_signed(by).min(last)
}
