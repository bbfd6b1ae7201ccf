//! Manual pages: what clap knows of a verb, and what it does not: exit codes, variables, files.

mod files;
mod help;
mod variables;
mod verbs;

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::exit::Exit;
use help::Parts;
use variables::OF_KEYS;
use verbs::{Verb, Verbs};

/// Returns the page of the whole command, in roff.
///
/// # Errors
/// None that are known: it is written to memory.
pub(crate) fn page(command: Command) -> io::Result<Vec<u8>> {
    let command = built(command);
    render(&command, None, &[])
}

/// Writes a page for the command and one for each verb into a folder.
///
/// # Errors
/// If one of them cannot be written.
pub(crate) fn write(command: Command, folder: &Path) -> io::Result<()> {
    write_from(&built(command), None, &[], folder)
}

/// `pblink help VERB` is the same as `pblink VERB --help`: it gets no page of its own.
fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

/// Writes the pages of a command and of those below it. `inherited`: the exit codes of the verb above, for one that has
/// none.
fn write_from(
    command: &Command,
    verb: Option<Verb>,
    inherited: &[(u8, String)],
    folder: &Path,
) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), render(command, verb, inherited)?)?;
    let own = parts(command).codes;
    let codes = if own.is_empty() { inherited } else { own.as_slice() };
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_from(below, verb.or(Some(Verb::of(below))), codes, folder)?;
    }
    Ok(())
}

fn parts(command: &Command) -> Parts {
    let text = command.get_after_long_help().or_else(|| command.get_after_help());
    text.map(|text| help::parts(&text.to_string())).unwrap_or_default()
}

fn render(
    command: &Command,
    verb: Option<Verb>,
    inherited: &[(u8, String)],
) -> io::Result<Vec<u8>> {
    let Parts { text, examples, codes } = parts(command);
    let man = Man::new(command.clone())
        .source(concat!("pblink ", env!("CARGO_PKG_VERSION")))
        .manual("Manual of pblink");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    paragraphs(&text).to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    exit_status(&mut roff, if codes.is_empty() { inherited } else { codes.as_slice() });
    environment(&mut roff, verb);
    files(&mut roff, verb);
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        as_typed(&mut roff, examples.iter().map(String::as_str));
    }
    see_also(&mut roff, command, verb);
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Text that stands behind the description, with what is indented as it is.
fn paragraphs(text: &[String]) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text {
        roff.control("PP", []);
        if paragraph.lines().any(|line| line.starts_with(' ')) {
            as_typed(&mut roff, paragraph.lines());
        } else {
            roff.text([roman(paragraph.replace('\n', " "))]);
        }
    }
    roff
}

fn as_typed<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn entry(roff: &mut Roff, name: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(about)]);
}

fn exit_status(roff: &mut Roff, codes: &[(u8, String)]) {
    roff.control("SH", ["EXIT STATUS"]);
    if codes.is_empty() {
        for exit in Exit::ALL {
            entry(roff, &(exit as u8).to_string(), exit.meaning());
        }
    }
    for (code, meaning) in codes {
        entry(roff, &code.to_string(), meaning);
    }
}

fn environment(roff: &mut Roff, verb: Option<Verb>) {
    roff.control("SH", ["ENVIRONMENT"]);
    if Verbs::Configured.are_of(verb) {
        entry(roff, OF_KEYS.0, OF_KEYS.1);
    }
    for variable in variables::VARIABLES.iter().filter(|row| row.verbs.are_of(verb)) {
        entry(roff, variable.name, variable.about);
    }
}

fn files(roff: &mut Roff, verb: Option<Verb>) {
    let rows: Vec<_> = files::FILES.iter().filter(|row| row.verbs.are_of(verb)).collect();
    if !rows.is_empty() {
        roff.control("SH", ["FILES"]);
    }
    for file in rows {
        entry(roff, file.path, file.about);
    }
}

fn see_also(roff: &mut Roff, command: &Command, verb: Option<Verb>) {
    let Some(verb) = verb else { return };
    let of_the_verb = format!("pblink-{}", verb.name);
    let is_the_verb = command.get_name() == verb.name;
    roff.control("SH", ["SEE ALSO"]);
    let mut words = vec![bold("pblink"), roman("(1)")];
    if !is_the_verb {
        words.extend([roman(", "), bold(of_the_verb), roman("(1)")]);
    }
    roff.text(words);
}

// Of all verbs.
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "mqtt"))]
mod reference;
#[cfg(test)]
mod tests;
