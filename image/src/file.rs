//! Files that hold a program, but are not its bytes: formats of other tools, and archives.

use crate::{Error, Result};

/// A format that has to be unpacked or converted before its content can be flashed.
struct Form {
    /// With its article.
    name: &'static str,
    /// Endings of its names, in lower case.
    endings: &'static [&'static str],
    /// Returns true for contents of this format.
    is: fn(&[u8]) -> bool,
    /// Anything may be packed, not only a program.
    archive: bool,
    /// Returns what to do with the file; `stem` is its path without the ending.
    remedy: fn(file: &str, stem: &str, bytes: &[u8]) -> String,
}

const FORMS: [Form; 11] = [
    Form {
        name: "an Intel HEX file",
        endings: &["hex", "ihex", "ihx"],
        is: is_intel_hex,
        archive: false,
        // Not {stem}.bin: that may be the file itself, under another name than is usual.
        remedy: |file, stem, bytes| {
            let at = hex_start(bytes).map_or("ADDR".to_owned(), |at| format!("{at:#010x}"));
            format!(
                "make its bytes of it with `objcopy -I ihex -O binary {file} {stem}.raw.bin`, and name those: --image \
                 {stem}.raw.bin@{at}"
            )
        },
    },
    Form {
        name: "a file of Motorola S-records",
        endings: &["srec", "s19", "s28", "s37", "mot"],
        is: is_s_record,
        archive: false,
        remedy: |file, stem, _| {
            format!(
                "make its bytes of it with `objcopy -I srec -O binary {file} {stem}.raw.bin`, and name those with the \
                 address at which they begin: --image {stem}.raw.bin@ADDR"
            )
        },
    },
    Form {
        name: "a UF2 file",
        endings: &["uf2"],
        is: |bytes| bytes.starts_with(b"UF2\n"),
        archive: false,
        remedy: |_, _, _| {
            "name the .bin or ELF file of the same program; a UF2 file is for a bootloader that shows itself as a drive, \
             onto which it is copied"
                .to_owned()
        },
    },
    Form {
        name: "a DfuSe file, as MicroPython publishes them, and not a program itself",
        endings: &["dfu"],
        is: |bytes| bytes.starts_with(b"DfuSe"),
        archive: false,
        remedy: |file, _, _| {
            format!("name an ELF or .bin file, or write it with `dfu-util -a 0 -D {file}`")
        },
    },
    Form {
        name: "packed with gzip",
        endings: &["gz", "tgz"],
        is: |bytes| bytes.starts_with(&[0x1f, 0x8b, 8]),
        archive: true,
        remedy: |file, stem, _| match has_ending(file, "tgz") || has_ending(stem, "tar") {
            true => unpack("tar xzf", file, WITHIN),
            false => unpack("gunzip --keep", file, stem),
        },
    },
    Form {
        name: "packed with bzip2",
        endings: &["bz2"],
        is: |bytes| bytes.starts_with(b"BZh"),
        archive: true,
        remedy: |file, stem, _| unpack("bunzip2 --keep", file, stem),
    },
    Form {
        name: "packed with xz",
        endings: &["xz"],
        is: |bytes| bytes.starts_with(b"\xfd7zXZ\0"),
        archive: true,
        remedy: |file, stem, _| unpack("unxz --keep", file, stem),
    },
    Form {
        name: "packed with zstd",
        endings: &["zst"],
        is: |bytes| bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        archive: true,
        remedy: |file, stem, _| unpack("unzstd", file, stem),
    },
    Form {
        name: "a ZIP archive",
        endings: &["zip"],
        is: |bytes| bytes.starts_with(b"PK\x03\x04"),
        archive: true,
        remedy: |file, _, _| unpack("unzip", file, WITHIN),
    },
    Form {
        name: "a 7-Zip archive",
        endings: &["7z"],
        is: |bytes| bytes.starts_with(b"7z\xbc\xaf\x27\x1c"),
        archive: true,
        remedy: |file, _, _| unpack("7z x", file, WITHIN),
    },
    Form {
        name: "a tar archive",
        endings: &["tar"],
        is: |bytes| bytes.get(257..262) == Some(b"ustar"),
        archive: true,
        remedy: |file, _, _| unpack("tar xf", file, WITHIN),
    },
];

/// The file to name after an archive of several was unpacked.
const WITHIN: &str = "the program that was in it";

fn unpack(command: &str, file: &str, then: &str) -> String {
    format!("unpack it with `{command} {file}`, and name {then}")
}

/// Returns the path without the ending of its name, and that ending, without its dot.
fn split(file: &str) -> (&str, &str) {
    let name = file.rfind(['/', '\\']).map_or(0, |at| at + 1);
    match file[name..].rfind('.') {
        Some(dot) => (&file[..name + dot], &file[name + dot + 1..]),
        None => (file, ""),
    }
}

fn has_ending(file: &str, ending: &str) -> bool {
    split(file).1.eq_ignore_ascii_case(ending)
}

/// Checks by contents, and where these tell nothing by its name, that a file is bytes for flash or an ELF file.
/// `starts`: the chip is to start from it. Elsewhere an archive may be what a program wants to find there.
///
/// # Errors
/// The format, and how to get the program out of it.
pub fn check(file: &str, bytes: &[u8], starts: bool) -> Result<()> {
    let (stem, ending) = split(file);
    let counts = |form: &&Form| starts || !form.archive;
    if let Some(form) = FORMS.iter().filter(counts).find(|form| (form.is)(bytes)) {
        return Err(Error::new(
            format!("{file} is {}", form.name),
            (form.remedy)(file, stem, bytes),
        ));
    }
    // An ELF file is one, whatever its name.
    let ending = ending.to_ascii_lowercase();
    let named = |form: &&Form| form.endings.contains(&ending.as_str());
    match FORMS.iter().filter(counts).find(named) {
        Some(form) if !bytes.starts_with(b"\x7fELF") => Err(Error::new(
            format!("{file} has the name of what is {}, and other contents", form.name),
            format!(
                "download it again; if it holds the bytes of a program as they are, call it {stem}.bin"
            ),
        )),
        _ => Ok(()),
    }
}

/// Returns the bytes of a record of Intel HEX behind its colon.
fn hex_record(line: &[u8]) -> Option<Vec<u8>> {
    let digits = line.strip_prefix(b":")?.trim_ascii_end();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

/// Intel HEX: a colon, and at least length, address, kind and sum in hexadecimal.
fn is_intel_hex(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // Longer than any record: not a line of text.
    line.len() < 600 && hex_record(line).is_some_and(|record| record.len() >= 5)
}

fn is_s_record(bytes: &[u8]) -> bool {
    let [b'S', b'0'..=b'9', rest @ ..] = bytes else { return false };
    rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_hexdigit)
}

/// Returns the lowest address of an Intel HEX file, where its bytes begin.
fn hex_start(bytes: &[u8]) -> Option<u32> {
    let mut base = 0_u32;
    let mut lowest: Option<u32> = None;
    for record in bytes.split(|&byte| byte == b'\n').filter_map(hex_record) {
        let &[length, high, low, kind, ref data @ ..] = &record[..] else { continue };
        let word = |bytes: &[u8]| bytes.iter().take(2).fold(0, |n, b| n << 8 | u32::from(*b));
        match kind {
            0 if length > 0 => {
                let at = base.wrapping_add(u32::from(high) << 8 | u32::from(low));
                lowest = Some(lowest.map_or(at, |lowest| lowest.min(at)));
            }
            2 => base = word(data) << 4,
            4 => base = word(data) << 16,
            _ => {}
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &[u8] =
        b":020000040800F2\r\n:0440000000000220DA\n:04C000001122334492\n:00000001FF\n";

    #[test]
    fn each_format_is_known_by_its_contents_and_comes_with_its_way_out() {
        for (file, bytes, name, remedy) in [
            ("a.bin", HEX, "an Intel HEX", "-I ihex -O binary a.bin a.raw.bin`, and"),
            ("in/b.hex", HEX, "an Intel HEX", "--image in/b.raw.bin@0x08004000"),
            ("b.hex", b":00000001FF", "an Intel HEX", "b.raw.bin@ADDR"),
            ("b.s19", b"S00600004844521B\n", "S-records", "-I srec -O binary b.s19 b.raw.bin`"),
            ("b.bin", b"S00600004844521B\n", "S-records", "--image b.raw.bin@ADDR"),
            ("b.uf2", b"UF2\n\x57\x51\x5d\x9e", "a UF2 file", "copied"),
            ("b.dfu", b"DfuSe\x01", "a DfuSe file", "dfu-util -a 0 -D b.dfu"),
            (
                "b.bin.gz",
                b"\x1f\x8b\x08\0",
                "packed with gzip",
                "gunzip --keep b.bin.gz`, and name b.bin",
            ),
            (
                "in/v1.2/b.bin.gz",
                b"\x1f\x8b\x08\0",
                "packed with gzip",
                "gunzip --keep in/v1.2/b.bin.gz`, and name in/v1.2/b.bin",
            ),
            ("b.tar.gz", b"\x1f\x8b\x08\0", "packed with gzip", "tar xzf b.tar.gz"),
            ("b.TGZ", b"\x1f\x8b\x08\0", "packed with gzip", "tar xzf b.TGZ"),
            ("b.Tar.Gz", b"\x1f\x8b\x08\0", "packed with gzip", "tar xzf b.Tar.Gz"),
            ("b.zip", b"PK\x03\x04", "a ZIP archive", "unzip b.zip"),
            ("b.bin.xz", b"\xfd7zXZ\0", "packed with xz", "and name b.bin"),
            ("in/b.bin.zst", b"\x28\xb5\x2f\xfd", "packed with zstd", "and name in/b.bin"),
        ] {
            let error = check(file, bytes, true).unwrap_err();
            assert!(error.cause().starts_with(file) && error.cause().contains(name), "{error}");
            assert!(error.remedy().contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_name_counts_where_the_contents_say_nothing() {
        let vectors = [0, 0, 2, 0x20, 1, 2, 0, 8];
        for form in &FORMS {
            for ending in form.endings {
                let error = check(&format!("b.{}", ending.to_uppercase()), &vectors, true);
                let error = error.unwrap_err();
                assert!(error.cause().contains("and other contents"), "{error}");
                assert!(error.remedy().contains("call it b.bin"), "{error}");
                assert_eq!(check(&format!("b.{ending}"), b"\x7fELF\x01", true), Ok(()));
            }
        }
        for file in ["b.bin", "b", "hex", "b.gz/c.bin", "me.hex@home"] {
            assert_eq!(check(file, &vectors, true), Ok(()), "{file}");
        }
        for text in [&b":"[..], b":zz", b": 12", b"S0", b"", b":0400000000000220DA0"] {
            assert_eq!(check("b.bin", text, true), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn what_a_program_finds_elsewhere_may_be_packed() {
        assert_eq!(check("pages.gz", b"\x1f\x8b\x08\0", false), Ok(()));
        assert!(check("pages.uf2", b"UF2\n", false).is_err());
    }
}
