//! The chips' programs compile, and link against nothing but what their chips offer.

use std::process::Command;

use pblink_emulation::image;
use pblink_fakes::esptool;

#[test]
fn the_chip_s_program_links_against_the_symbols_that_it_may_use() {
    let Some(elf) = image::chip() else { return };
    let bytes = std::fs::read(elf).expect("the image");
    // 32 bits, little-endian, executable, Xtensa.
    assert_eq!(bytes[..6], *b"\x7fELF\x01\x01");
    assert_eq!((bytes[16], bytes[18]), (2, 94));
}

/// Espressif's own tool makes an image of it, which names the chip, and checks that.
#[test]
fn the_esp32c3_s_program_links_with_its_radio_and_becomes_an_image() {
    let Some(elf) = image::esp32c3_chip() else { return };
    let Some(esptool) = esptool() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("pblink-esp32c3.bin");
    let run = |args: &[&str]| {
        let run = Command::new(esptool).args(["--chip", "esp32c3"]).args(args).output();
        let run = run.expect("it starts");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
        said
    };
    let (elf, image) = (elf.to_str().expect("UTF-8"), image.to_str().expect("UTF-8"));
    run(&["elf2image", "--output", image, elf]);
    let said = run(&["image-info", image]);
    println!("{said}");
    assert!(said.contains("ESP32-C3") && said.contains("pblink-esp32c3"), "{said}");
    let size = std::fs::metadata(image).expect("it is there").len();
    // The usual table of partitions leaves it 1 MB in a flash of 4 MB at the least.
    assert!((200_000..1_000_000).contains(&size), "{size} bytes");
}
