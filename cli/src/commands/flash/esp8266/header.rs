//! Flags for the header of the ESP8266's program, by which the chip knows how its flash is connected.

use std::str::FromStr;

use pblink_flash::Region;
use pblink_flash::coprocessor::size_text;
use pblink_flash::esp8266::{FlashFrequency, FlashMap, FlashMode, Header, SdkLayout, Size};

const HEADING: &str = "The header of the program";

/// Changes to the header of the program at address 0.
#[derive(Debug, Clone, clap::Args)]
pub struct HeaderArgs {
    /// Size of flash that the header names: `keep` for the one in the file, as programs made with Espressif's SDK need
    /// it; `board` for the board's; or a size: 256KB, 512KB, 1MB, 2MB, 4MB, 8MB, 16MB, 2MB-c1 or 4MB-c1. Default: `keep`
    /// for programs that `pblink build` made and for files that lie as the SDK's do, else the board's, but 4MB at
    /// most: many programs restart for ever with more.
    #[arg(long, value_name = "keep|board|SIZE", help_heading = HEADING)]
    pub header_size: Option<HeaderSize>,
    /// Wires by which the chip reads its flash. Default: as in the file. An ESP8285, and some modules, start with
    /// `dout` only.
    #[arg(long, value_enum, value_name = "MODE", help_heading = HEADING)]
    pub flash_mode: Option<Mode>,
    /// Clock of the flash in MHz. Default: as in the file.
    #[arg(long, value_enum, value_name = "MHZ", help_heading = HEADING)]
    pub flash_freq: Option<Frequency>,
}

/// Size of flash in the header of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderSize {
    /// The one in its file.
    Keep,
    /// The board's.
    Board,
    /// This one.
    Map(FlashMap),
}

impl FromStr for HeaderSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "keep" => Ok(Self::Keep),
            "board" => Ok(Self::Board),
            text => text.parse().map(Self::Map).map_err(|why| format!("keep, board, or: {why}")),
        }
    }
}

/// Wires by which the chip reads its flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Four wires.
    Qio,
    /// Four wires for data only.
    Qout,
    /// Two wires.
    Dio,
    /// Two wires for data only: works on every board.
    Dout,
}

/// Clock of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Frequency {
    /// 20 MHz.
    #[value(name = "20", aliases = ["20m", "20MHz"])]
    Mhz20,
    /// 26 MHz.
    #[value(name = "26", aliases = ["26m", "26MHz"])]
    Mhz26,
    /// 40 MHz.
    #[value(name = "40", aliases = ["40m", "40MHz"])]
    Mhz40,
    /// 80 MHz.
    #[value(name = "80", aliases = ["80m", "80MHz"])]
    Mhz80,
}

impl HeaderArgs {
    /// Returns the changes to the header of these files, and a note about the size if the user has not chosen one.
    /// `built`: `pblink build` made them.
    pub(super) fn header(&self, regions: &[Region], built: bool) -> (Header, Option<String>) {
        let layout = SdkLayout::of(regions).filter(|_| self.header_size.is_none() && !built);
        let size = match self.header_size {
            Some(HeaderSize::Keep) => Size::Keep,
            Some(HeaderSize::Board) => Size::OfBoard,
            Some(HeaderSize::Map(map)) => Size::Map(map),
            None if built || layout.is_some() => Size::Keep,
            None => Size::Usual,
        };
        let mode = self.flash_mode.map(|mode| match mode {
            Mode::Qio => FlashMode::Qio,
            Mode::Qout => FlashMode::Qout,
            Mode::Dio => FlashMode::Dio,
            Mode::Dout => FlashMode::Dout,
        });
        let frequency = self.flash_freq.map(|frequency| match frequency {
            Frequency::Mhz20 => FlashFrequency::Mhz20,
            Frequency::Mhz26 => FlashFrequency::Mhz26,
            Frequency::Mhz40 => FlashFrequency::Mhz40,
            Frequency::Mhz80 => FlashFrequency::Mhz80,
        });
        let note = layout.map(|layout| {
            format!(
                "these are files as Espressif's SDK makes them ({layout}): the size of flash in the header stays as it is; \
                 --header-size changes it"
            )
        });
        (Header { mode, frequency, size }, note)
    }
}

/// Returns what to know of a board with more flash than the header names.
pub(super) fn larger_board(header: &Header, flash_size: u32) -> Option<String> {
    (header.size == Size::Usual && flash_size > Size::MOST).then(|| {
        format!(
            "the header names {} of the board's {}, since many programs do not start with more; --header-size board \
             names all of it",
            size_text(Size::MOST),
            size_text(flash_size)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_for_the_header_is_one_that_it_knows() {
        let parse = |text: &str| text.parse::<HeaderSize>();
        assert_eq!((parse("keep"), parse("Board")), (Ok(HeaderSize::Keep), Ok(HeaderSize::Board)));
        for size in ["256KB", "512kb", "1MB", "4MB", "16mb", "2MB-c1", "4MB-C1"] {
            let Ok(HeaderSize::Map(map)) = parse(size) else { panic!("{size}") };
            assert!(map.to_string().eq_ignore_ascii_case(size));
        }
        for wrong in ["3MB", "32MB", "4", "all", ""] {
            let why = parse(wrong).unwrap_err();
            assert!(why.contains("keep, board") && why.contains("4MB-c1"), "{why}");
        }
    }

    #[test]
    fn only_a_board_with_more_than_the_usual_is_spoken_of() {
        let header = |size| Header { size, ..Header::default() };
        let said = larger_board(&header(Size::Usual), 16 << 20).unwrap();
        assert!(said.contains("4 MB of the board's 16 MB"), "{said}");
        assert_eq!(larger_board(&header(Size::Usual), 4 << 20), None);
        assert_eq!(larger_board(&header(Size::Keep), 16 << 20), None);
    }
}
