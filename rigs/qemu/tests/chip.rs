//! The chip's program compiles, assembles, and needs nothing but what the SDK and the ROM offer.

use pblink_emulation::image;

#[test]
fn the_chip_s_program_links_against_the_symbols_that_it_may_use() {
    let Some(elf) = image::chip() else { return };
    let bytes = std::fs::read(elf).expect("the image");
    // 32 bits, little-endian, executable, Xtensa.
    assert_eq!(bytes[..6], *b"\x7fELF\x01\x01");
    assert_eq!((bytes[16], bytes[18]), (2, 94));
}
