//! The ESP8266's images: the same bytes as esptool's, and what is refused.

use std::path::Path;
use std::process::Command;

use pblink_fakes::esptool;
use pblink_image::Region;
use pblink_image::esp8266::{
    FlashFrequency, FlashMode, FlashParameters, FlashSize, Image, SystemSectors, parameters, patch,
    regions,
};

const DIO: FlashParameters = FlashParameters {
    mode: FlashMode::Dio,
    frequency: FlashFrequency::Mhz40,
    size: FlashSize::Mb1,
};

/// A section of an ELF file: type, address, bytes.
type Section<'a> = (u32, u32, &'a [u8]);

const PROGBITS: u32 = 1;
const NOBITS: u32 = 8;
const INIT_ARRAY: u32 = 14;

/// Returns a little-endian Xtensa ELF file of these sections.
fn elf(entry: u32, sections: &[Section<'_>]) -> Vec<u8> {
    let names = b"\0.section\0";
    let count = sections.len() as u16 + 2;
    let mut content: Vec<u8> = Vec::new();
    let mut table = vec![0; 40];
    let all = sections.iter().copied().chain([(3, 0, &names[..])]);
    for (kind, address, bytes) in all {
        let flags = 2 * u32::from(address != 0);
        let offset = 52 + content.len() as u32;
        for word in [1, kind, flags, address, offset, bytes.len() as u32, 0, 0, 1, 0] {
            table.extend(u32::to_le_bytes(word));
        }
        if kind != NOBITS {
            content.extend(bytes);
        }
    }
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves =
        |out: &mut Vec<u8>, list: &[u16]| list.iter().for_each(|n| out.extend(n.to_le_bytes()));
    halves(&mut out, &[2, 94]);
    for word in [1, entry, 0, 52 + content.len() as u32, 0] {
        out.extend(u32::to_le_bytes(word));
    }
    halves(&mut out, &[52, 0, 0, 40, count, count - 1]);
    out.extend(content);
    out.extend(table);
    out
}

#[test]
fn an_image_is_header_segments_and_check_sum() {
    let elf = elf(
        0x4010_0004,
        &[
            (PROGBITS, 0x3ffe_8000, b"abcde"),
            (NOBITS, 0x3ffe_9000, &[1; 64]),
            (PROGBITS, 0x4021_0000, b"flash"),
            (PROGBITS, 0, b"a comment"),
        ],
    );
    let image = Image::from_elf(&elf, DIO).unwrap();
    let mut expected =
        b"\xe9\x01\x02\x20\x04\0\x10\x40\0\x80\xfe\x3f\x08\0\0\0abcde\0\0\0".to_vec();
    expected.extend([0; 7]);
    expected.push(0xef ^ b'a' ^ b'b' ^ b'c' ^ b'd' ^ b'e');
    assert_eq!(image.boot.bytes, expected);
    assert_eq!(image.boot.address, 0);
    let irom = image.irom.as_ref().unwrap();
    assert_eq!((irom.address, &irom.bytes[..]), (0x1_0000, &b"flash\0\0\0"[..]));
    let names: Vec<_> = image.into_regions().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["esp8266-0x00000.bin", "esp8266-0x10000.bin"]);
}

#[test]
fn the_header_of_a_finished_image_can_be_changed_and_nothing_else() {
    let elf = elf(0x4010_0000, &[(PROGBITS, 0x4010_0000, b"code")]);
    for mode in [FlashMode::Qio, FlashMode::Qout, FlashMode::Dio, FlashMode::Dout] {
        for frequency in [
            FlashFrequency::Mhz20,
            FlashFrequency::Mhz26,
            FlashFrequency::Mhz40,
            FlashFrequency::Mhz80,
        ] {
            for size in FlashSize::ALL {
                let flash = FlashParameters { mode, frequency, size };
                let mut image = Image::from_elf(&elf, DIO).unwrap().boot.bytes;
                patch(&mut image, flash).unwrap();
                assert_eq!(image, Image::from_elf(&elf, flash).unwrap().boot.bytes);
                assert_eq!(parameters(&image), Some(flash));
            }
        }
    }
    for other in [&b"\xea0000000"[..], b"\xe9", b""] {
        assert!(patch(&mut other.to_vec(), DIO).unwrap_err().cause().contains("not an image"));
        assert_eq!(parameters(other), None);
    }
    assert_eq!(parameters(&[0xe9, 1, 9, 0x20]), None);
}

#[test]
fn what_the_chip_could_not_start_is_refused() {
    let refused = |elf: &[u8]| {
        let error = Image::from_elf(elf, DIO).unwrap_err();
        assert!(error.remedy().contains("pblink build esp8266"));
        error.cause().to_owned()
    };
    assert!(refused(b"no ELF").contains("not a whole ELF file"));
    assert!(refused(&elf(0, &[(NOBITS, 0x3ffe_8000, &[0; 4])])).contains("nothing to load"));
    let two = elf(0, &[(PROGBITS, 0x4021_0000, b"code"), (PROGBITS, 0x4022_0000, b"more")]);
    assert!(refused(&two).contains("more than one piece"));
    let overlapping = [(PROGBITS, 0x4010_0000, &[1; 40][..]), (PROGBITS, 0x4020_0020, b"code")];
    assert!(refused(&elf(0, &overlapping)).contains("overlaps"));
    let far: Vec<_> = (0..17).map(|n| (PROGBITS, 0x3ffe_8000 + 8 * n, &b"data"[..])).collect();
    assert!(refused(&elf(0, &far)).contains("17 segments"));
    let mut whole = elf(0, &[(PROGBITS, 0x4010_0000, b"code")]);
    assert!(refused(&whole[..whole.len() - 1]).contains("not a whole ELF file"));
    whole[18] = 40; // ARM
    assert!(refused(&whole).contains("another chip"));
}

/// The same bytes in tens of thousands of sections would be gigabytes of memory.
#[test]
fn sections_are_summed_up_before_any_is_copied() {
    let mut file = elf(0x4010_0000, &vec![(PROGBITS, 0x4010_0000, &b""[..]); 60_000]);
    let bytes = vec![7; 50_000];
    let (table, at) = (file.len() - 40 * 60_002, file.len() as u32);
    for section in 1..=60_000 {
        let header = &mut file[table + 40 * section..][..40];
        header[16..20].copy_from_slice(&at.to_le_bytes());
        header[20..24].copy_from_slice(&50_000_u32.to_le_bytes());
    }
    file.extend(bytes);
    let error = Image::from_elf(&file, DIO).unwrap_err();
    assert!(error.cause().contains("sections have 3000000000 bytes in all"), "{error}");
    // What a chip can hold is not too much.
    let full = [(PROGBITS, 0x4010_0000, &[1; 0x8000][..]), (PROGBITS, 0x4021_0000, &[2; 0xd_0000])];
    assert!(Image::from_elf(&elf(0x4010_0000, &full), DIO).is_ok());
}

/// Returns a program that registers the sectors of a flash of `size`.
fn registering(size: FlashSize, irom: usize) -> Vec<u8> {
    let at = SystemSectors::of(size);
    let entries = [[4, at.rf_cal, 0x1000], [5, at.phy_data, 0x1000], [6, at.parameters, 0x3000]];
    let data: Vec<u8> = entries.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    elf(0x4010_0000, &[(PROGBITS, 0x3ffe_8000, &data), (PROGBITS, 0x4021_0000, &vec![7; irom])])
}

#[test]
fn all_that_a_chip_needs_follows_from_what_the_program_registers() {
    let all = |size, irom| {
        let elf = registering(size, irom);
        regions(&elf, FlashMode::Dio, FlashFrequency::Mhz40, &[5; 128], &[0xff; 4096])
    };
    for (size, end) in
        [(FlashSize::Mb1, 0x10_0000), (FlashSize::Mb2, 0x20_0000), (FlashSize::Mb4, 0x40_0000)]
    {
        let regions = all(size, 1000).unwrap();
        assert_eq!(parameters(&regions[0].bytes), Some(FlashParameters { size, ..DIO }));
        let places: Vec<_> = regions.iter().map(|r| (&*r.name, r.address)).collect();
        let expected = [
            ("esp8266-0x00000.bin", 0),
            ("esp8266-0x10000.bin", 0x1_0000),
            ("blank.bin", end - 0x5000),
            ("esp_init_data_default_v08.bin", end - 0x4000),
            ("blank.bin", end - 0x2000),
        ];
        assert_eq!(places, expected);
    }
    // 512 KB: the SDK would refuse to start.
    assert!(all(FlashSize::Kb512, 1000).unwrap_err().cause().contains("no flash size allows"));
    let overlap = all(FlashSize::Mb1, 0xe_c000).unwrap_err();
    assert!(overlap.cause().contains("esp8266-0x10000.bin and blank.bin overlap"), "{overlap}");
}

// ---- the peer ----

/// Skips the test without what is missing: on a desk, not in CI.
fn skip(missing: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
    eprintln!("SKIPPED, this test needs more programs:\n{missing}");
}

/// Returns both files of esptool, for an ELF file.
fn reference(esptool: &Path, elf: &Path, flash: [&str; 3]) -> Vec<Region> {
    let folder = tempfile::tempdir().unwrap();
    let [mode, frequency, size] = flash;
    let run = Command::new(esptool)
        .args(["--chip", "esp8266", "elf2image", "--version", "1"])
        .args(["-fm", mode, "-ff", frequency, "-fs", size, "-o"])
        .arg(folder.path().join("image-"))
        .arg(elf)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let mut regions: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let address = u32::from_str_radix(name.strip_prefix("image-0x").unwrap(), 16).unwrap();
            Region { name: String::new(), address, bytes: std::fs::read(path).unwrap() }
        })
        .collect();
    regions.sort_by_key(|region| region.address);
    regions
}

#[track_caller]
fn same(esptool: &Path, elf: &Path, flash: FlashParameters, arguments: [&str; 3]) {
    let image = Image::from_elf(&std::fs::read(elf).unwrap(), flash).unwrap();
    let ours = image.into_regions();
    let theirs = reference(esptool, elf, arguments);
    assert_eq!(ours.len(), theirs.len(), "{}", elf.display());
    for (our, their) in ours.iter().zip(&theirs) {
        let place = |r: &Region| (r.address, r.bytes.len());
        assert_eq!(place(our), place(their), "{}", elf.display());
        let first = our.bytes.iter().zip(&their.bytes).position(|(a, b)| a != b);
        assert_eq!(first, None, "{}: the first byte that differs", elf.display());
    }
}

#[test]
fn odd_images_are_those_of_esptool() {
    let Some(esptool) = esptool() else { return };
    let bytes: Vec<u8> =
        (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let part = |len: usize| &bytes[len % 97..][..len];
    let dio = ["dio", "40m", "1MB"];
    let cases: &[(&[Section<'_>], FlashParameters, [&str; 3])] = &[
        // Nothing in flash; lengths that are not whole words.
        (&[(PROGBITS, 0x4010_0000, part(1))], DIO, dio),
        (&[(PROGBITS, 0x4010_0000, part(8))], DIO, dio),
        // 8 + 8 + 16 - 1 bytes: the check sum fills the last of 16; one word more begins a new 16.
        (&[(PROGBITS, 0x4010_0000, part(12))], DIO, dio),
        (&[(PROGBITS, 0x4010_0000, part(16))], DIO, dio),
        // Only code in flash, and that not where it usually is.
        (&[(PROGBITS, 0x4020_1000, part(4097))], DIO, dio),
        (&[(PROGBITS, 0x4021_0000, part(65_537))], DIO, dio),
        // Neighbours, by their padded lengths too, and not quite neighbours.
        (
            &[
                (PROGBITS, 0x3ffe_8000, part(5)),
                (PROGBITS, 0x3ffe_8008, part(4)),
                (NOBITS, 0x3ffe_800c, part(4)),
                (INIT_ARRAY, 0x3ffe_800c, part(3)),
                (PROGBITS, 0x3ffe_8014, part(2)),
                (PROGBITS, 0x4010_0000, part(300)),
                (PROGBITS, 0x4010_012c, part(300)),
                (PROGBITS, 0x4021_0000, part(1001)),
                (PROGBITS, 0x4021_03ec, part(33)),
            ],
            DIO,
            dio,
        ),
        // Not in the order of addresses; touching but in different memories; outside of all.
        (
            &[
                (PROGBITS, 0x4010_7ffc, part(4)),
                (PROGBITS, 0x4010_8000, part(4)),
                (PROGBITS, 0x3ffe_7ff0, part(16)),
                (PROGBITS, 0x3ffe_8000, part(16)),
                (PROGBITS, 0x4000_0000, part(7)),
                (PROGBITS, 0x4000_0008, part(7)),
                (PROGBITS, 0x5000_0000, part(3)),
            ],
            DIO,
            dio,
        ),
        (
            &[(PROGBITS, 0x4010_0000, part(100)), (PROGBITS, 0x4021_0000, part(100))],
            FlashParameters {
                mode: FlashMode::Qio,
                frequency: FlashFrequency::Mhz80,
                size: FlashSize::Mb4,
            },
            ["qio", "80m", "4MB"],
        ),
        (
            &[(PROGBITS, 0x4010_0000, part(100))],
            FlashParameters {
                mode: FlashMode::Dout,
                frequency: FlashFrequency::Mhz26,
                size: FlashSize::Kb512,
            },
            ["dout", "26m", "512KB"],
        ),
        (
            &[(PROGBITS, 0x4010_0000, part(100))],
            FlashParameters {
                mode: FlashMode::Qout,
                frequency: FlashFrequency::Mhz20,
                size: FlashSize::Mb2,
            },
            ["qout", "20m", "2MB"],
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (n, (sections, flash, arguments)) in cases.iter().enumerate() {
        let path = folder.path().join(format!("{n}.elf"));
        std::fs::write(&path, elf(0x4010_0004, sections)).unwrap();
        same(esptool, &path, *flash, *arguments);
    }
}

#[test]
fn the_firmware_s_image_is_that_of_esptool() {
    let Some(esptool) = esptool() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-esp8266");
    // The last one only where the SDK is; in the same place as the one before, so after it.
    for sdk in [false, true] {
        let has_sdk = std::env::var_os("ESP8266_NONOS_SDK").is_some_and(|path| !path.is_empty());
        if sdk && !has_sdk {
            continue;
        }
        let mut build = Command::new("sh");
        build.arg(folder.join("build.sh")).arg("sdk");
        if !sdk {
            build.env_remove("ESP8266_NONOS_SDK");
        }
        let run = build.output().expect("there is a shell");
        let said = String::from_utf8_lossy(&run.stderr);
        if run.status.code() == Some(3) {
            return skip(&said);
        }
        assert!(run.status.success(), "{said}");
        let elf = folder.join("target/sdk/pblink-esp8266.elf");
        same(esptool, &elf, DIO, ["dio", "40m", "1MB"]);
        // What the program registers decides where the SDK's own data go.
        let image = Image::from_elf(&std::fs::read(&elf).unwrap(), DIO).unwrap();
        let sectors = SystemSectors::registered(&image.into_regions()).unwrap();
        assert_eq!(sectors.flash_size(), Some(FlashSize::Mb1), "{sectors:?}");
    }
}
