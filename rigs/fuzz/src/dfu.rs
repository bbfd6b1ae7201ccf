//! The USB boot loader of an STM32 that lies: its memories by their names, and `Dfu` while a program is written.

use pblink_fakes::stm32::{Bootloader, Chip};
use pblink_flash::stm32::{Alternate, Dfu, DfuIo, Layout, PROGRAM, write_program};
use pblink_flash::{Region, Silent};

use crate::input::Input;
use crate::liar::Liar;

/// Bytes of the program.
const PROGRAM_BYTES: usize = 5000;

/// Runs an input: a name of a memory, and what answers are changed to.
pub fn run(data: &[u8]) {
    run_with(data, |bootloader| bootloader);
}

/// Runs it with something between the host and the boot loader.
pub fn run_with<I: DfuIo>(data: &[u8], through: impl FnOnce(Bootloader) -> I) {
    let mut input = Input::new(data);
    let name = match input.byte() % 4 {
        0 => None,
        _ => Some(String::from_utf8_lossy(input.counted()).into_owned()),
    };
    name.as_deref().map(layout);
    let chip = Chip::new();
    let mut bootloader = Bootloader::of(&chip);
    if let Some(name) = name {
        bootloader = bootloader.with_alternates(vec![Alternate { number: 0, name }]);
    }
    let mut bytes: Vec<u8> = (0..PROGRAM_BYTES).map(|at| (at % 251) as u8).collect();
    bytes[..8].copy_from_slice(&[0, 0, 2, 0x20, 1, 1, 0, 8]);
    let liar = Liar { truth: through(bootloader), lies: input };
    let Ok(mut dfu) = Dfu::new(liar) else { return };
    let region = Region { name: "program".into(), address: PROGRAM, bytes: bytes.clone() };
    let written = write_program(&mut dfu, &[region], &mut Silent);
    let same = chip.bytes(PROGRAM, PROGRAM_BYTES) == bytes;
    assert!(same || written.is_err(), "it says that the program is there");
    assert!(same || !chip.would_start(), "half a program would start");
}

/// Reads the name of a memory: its sectors are in order, and within the address space.
fn layout(name: &str) {
    let Some(layout) = Layout::of_alternate(name) else { return };
    let sectors = layout.sectors();
    assert!(!sectors.is_empty() && layout.end() <= 1 << 32);
    assert!(sectors.windows(2).all(|two| two[0].end() <= u64::from(two[1].address)));
    assert!(sectors.iter().enumerate().all(|(at, sector)| at == sector.number));
    assert!(layout.fixed().iter().all(|&number| number < sectors.len()));
    for sector in [sectors[0], sectors[sectors.len() - 1]] {
        assert_eq!(layout.sector_of(sector.address), Some(sector));
        assert_eq!(layout.sector_of((sector.end() - 1) as u32), Some(sector));
    }
    // More would be bytes out of nothing.
    assert!(sectors.len() <= 4096 * name.len());
}
