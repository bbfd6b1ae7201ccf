//! Files that a user gives for flashing, and what a board's flash holds.

use pblink_flash::stm32::{board_of, check_program};
use pblink_image::crc::crc32;
use pblink_image::esp8266::{
    self, FlashFrequency, FlashMode, FlashParameters, FlashSize, Header, Image, SdkLayout,
};
use pblink_image::keys::{Fields, Keys};
use pblink_image::program::Flaw;
use pblink_image::settings::{MAX_SIZE, Settings};
use pblink_image::{Region, esp32c3, file, identity, stm32};

use crate::input::Input;

/// Checks an image of the ESP8266.
pub type Check = fn(&[u8]) -> Result<(), Flaw>;

/// The most bytes of an image: more than either chip's flash.
const MOST: usize = 4 << 20;

/// Runs an input: a kind of content, and the content.
pub fn run(data: &[u8]) {
    run_with(data, esp8266::check);
}

/// Runs it with another check of images.
pub fn run_with(data: &[u8], check: Check) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => checked(input.rest(), check),
        1 => patched(&mut input),
        2 => linked(input.rest(), check),
        3 => settings(input.rest()),
        4 => keys(input.rest()),
        _ => program(&mut input),
    }
}

/// Checks an image of the ESP8266, by the rules of the other chip, too, and each that differs from it in a bit of what the check sum covers.
fn checked(bytes: &[u8], check: Check) {
    let of_other = esp32c3::check(bytes);
    let Ok(()) = check(bytes) else { return };
    assert_eq!(of_other, Err(Flaw::Esp8266), "an image is for one chip");
    let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("it was checked"));
    let (mut at, mut sum) = (8, 0xef);
    let mut other = bytes.to_vec();
    for _ in 0..bytes[1] {
        let data = at + 8..at + 8 + word(at + 4) as usize;
        sum = bytes[data.clone()].iter().fold(sum, |sum, byte| sum ^ byte);
        for changed in data.clone().take(3) {
            other[changed] ^= 0x10;
            assert_eq!(check(&other), Err(Flaw::Damaged), "byte {changed}");
            other[changed] ^= 0x10;
        }
        at = data.end;
    }
    assert_eq!(bytes[at | 15], sum);
    assert!(check(&bytes[..at | 15]).is_err(), "it is cut off");
}

/// Changes the header of an image: nothing else, and not the program's own size of flash unless that is asked for.
fn patched(input: &mut Input<'_>) {
    let modes = [None, Some(FlashMode::Qio), Some(FlashMode::Dout)];
    let size = match input.byte() % 4 {
        0 => esp8266::Size::Keep,
        1 => esp8266::Size::Usual,
        2 => esp8266::Size::OfBoard,
        _ => esp8266::Size::Bytes(u32::from(input.byte()) << (input.byte() % 32)),
    };
    let frequency = input.one_of(&[None, Some(FlashFrequency::Mhz80)]);
    let header = Header { mode: input.one_of(&modes), frequency, size };
    let board = 1 << (input.byte() % 32);
    let old = input.rest();
    let mut new = old.to_vec();
    esp8266::header::patch(&mut new, &header, board);
    assert_eq!(new.len(), old.len());
    let differs = |at: usize| old[at] != new[at];
    assert!((0..old.len()).filter(|at| differs(*at)).all(|at| at == 2 || at == 3));
    let (before, after) = (esp8266::header::wanted_size(old), esp8266::header::wanted_size(&new));
    // A size that nobody knows may become one that is known.
    assert!(before.is_none() || after.is_some());
    if header.size == esp8266::Size::Keep {
        assert_eq!(before, after);
    }
    let once = new.clone();
    esp8266::header::patch(&mut new, &header, board);
    assert_eq!(once, new, "a second time it changes nothing");
}

/// Makes images of an ELF file: those of the ESP8266 pass the check of its boot loader.
fn linked(elf: &[u8], check: Check) {
    let (mode, frequency) = (FlashMode::Dio, FlashFrequency::Mhz40);
    let parameters = FlashParameters { mode, frequency, size: FlashSize::Mb1 };
    if let Ok(image) = Image::from_elf(elf, parameters) {
        let boot = &image.boot.bytes;
        assert!(boot.len() < MOST && boot.len().is_multiple_of(16));
        let none = boot[1] == 0;
        let passes = check(boot);
        // The linker may place code where the boot loader has no memory: that one is refused before it is flashed.
        let refused = matches!(passes, Err(Flaw::NoMemory { .. })) || none;
        assert!(passes == Ok(()) || refused, "{passes:?}");
        let regions = image.into_regions();
        let _ = SdkLayout::of(&regions);
    }
    if let Ok(flash) = stm32::flash(elf) {
        assert!((1..=MOST).contains(&flash.bytes.len()));
    }
}

/// Reads the sector of the settings, as it is and with the check sum that belongs to it.
fn settings(sector: &[u8]) {
    let mut whole = b"PBLK\x01\0".to_vec();
    whole.extend((sector.len() as u16).to_le_bytes());
    let crc = crc32(&[&whole[4..8], sector]);
    whole.extend(crc.to_le_bytes());
    whole.extend(sector);
    for sector in [sector, &whole] {
        let Ok(settings) = Settings::read(sector) else { continue };
        let mut out = [0xff; MAX_SIZE];
        let length = settings.write(&mut out).expect("they were read");
        assert_eq!(Settings::read(&out[..length]), Ok(settings));
    }
}

/// Reads the sector of the keys, with slots whose check sum is right.
fn keys(bytes: &[u8]) {
    let mut sector = Vec::new();
    for slot in bytes.chunks(SLOT) {
        let mut whole = [0xff; SLOT];
        whole[..slot.len()].copy_from_slice(slot);
        // As it came, or with its magic and its check sum.
        if whole[12] % 4 != 0 {
            whole[..6].copy_from_slice(b"PBKY\x01\0");
            let crc = crc32(&[&whole[4..12], &whole[16..208]]);
            whole[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        sector.extend(whole);
    }
    let keys = Keys::read(&sector);
    for record in keys.record().into_iter().chain(keys.fallback()) {
        let fields = Fields {
            id: record.id(),
            generation: record.generation(),
            private: record.private(),
            server: record.server(),
            shared: record.shared(),
            seed: record.seed(),
            confirmed: record.confirmed(),
        };
        let again = fields.write().expect("it was read");
        assert_eq!(again[..208], sector[record.offset()..][..208]);
    }
    if let Some(free) = keys.free() {
        assert!(sector[free..].iter().all(|&byte| byte == 0xff));
    }
    let kept = [keys.record(), keys.fallback()].map(|record| record.map(|record| record.offset()));
    assert!(keys.spent().all(|spent| !kept.contains(&Some(spent))));
}

/// Bytes of a slot of keys.
const SLOT: usize = 256;

/// Checks a program for the STM32, with a name and an address of the user's.
fn program(input: &mut Input<'_>) {
    let name = String::from_utf8_lossy(input.counted()).into_owned();
    let address = input.one_of(&[0x0800_0000, 0x0800_4000, 0x0802_0000, 0x0810_0000, u32::MAX]);
    let starts = input.byte().is_multiple_of(2);
    let bytes = input.rest().to_vec();
    if let Err(error) = file::check(&name, &bytes, starts) {
        assert!(!error.to_string().is_empty());
    }
    if let Some(found) = identity::find(&bytes) {
        let words = [found.app, found.version, found.pblink, found.board.unwrap_or_default()];
        assert!(
            words.iter().all(|word| !word.contains([' ', '\0']) && word.len() < identity::SIZE)
        );
    }
    let first = Region { name, address, bytes };
    let _ = board_of(&first);
    let mut second = Region { name: "second".into(), ..first.clone() };
    second.address = address.wrapping_add(first.bytes.len() as u32);
    let _ = check_program(&[first.clone(), second]);
    let _ = check_program(&[first]);
}
