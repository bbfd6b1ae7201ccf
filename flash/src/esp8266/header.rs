//! The header of an image: the chip's boot program reads from it how the flash is connected.

/// First byte of an image that the ROM starts.
const MAGIC: u8 = 0xe9;

/// How many data wires the flash is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Four wires for address and data.
    Qio = 0,
    /// Four wires for data.
    Qout = 1,
    /// Two wires for address and data: works on every board.
    Dio = 2,
    /// Two wires for data.
    Dout = 3,
}

/// The clock of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Frequency {
    /// 40 MHz: works on every board.
    Mhz40 = 0,
    /// 26.7 MHz.
    Mhz26 = 1,
    /// 20 MHz.
    Mhz20 = 2,
    /// 80 MHz.
    Mhz80 = 15,
}

/// What to write into the header; `None` leaves what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// How the flash is read.
    pub mode: Option<Mode>,
    /// How fast.
    pub frequency: Option<Frequency>,
    /// Bytes of flash on this board. The program looks for its settings at the end of it.
    pub size: Option<u32>,
}

/// Writes the header of an image at address 0; other bytes are left alone. The image's checksum does not
/// cover the header.
pub fn patch(image: &mut [u8], header: &Header) {
    let [MAGIC, _, mode, size, ..] = image else { return };
    if let Some(new) = header.mode {
        *mode = new as u8;
    }
    if let Some(frequency) = header.frequency {
        *size = *size & 0xf0 | frequency as u8;
    }
    if let Some(code) = header.size.and_then(size_code) {
        *size = *size & 0x0f | code << 4;
    }
}

/// The header's number for a size of flash.
fn size_code(size: u32) -> Option<u8> {
    match size >> 10 {
        256 => Some(1),
        512 => Some(0),
        1024 => Some(2),
        2048 => Some(3),
        4096 => Some(4),
        8192 => Some(8),
        16384 => Some(9),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_changes() {
        let mut image = [0xe9, 4, 0, 0x2f, 1, 2, 3, 4];
        patch(&mut image, &Header::default());
        assert_eq!(image, [0xe9, 4, 0, 0x2f, 1, 2, 3, 4]);
        patch(&mut image, &Header { size: Some(4 << 20), ..Header::default() });
        assert_eq!(image, [0xe9, 4, 0, 0x4f, 1, 2, 3, 4]);
        let header =
            Header { mode: Some(Mode::Dio), frequency: Some(Frequency::Mhz40), size: Some(16 << 20) };
        patch(&mut image, &header);
        assert_eq!(image, [0xe9, 4, 2, 0x90, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_no_image_stays_as_it_is() {
        for mut bytes in [vec![0xea, 4, 0, 0], vec![0xff; 4], vec![0xe9, 1, 2], vec![]] {
            let before = bytes.clone();
            patch(&mut bytes, &Header { size: Some(4 << 20), ..Header::default() });
            assert_eq!(bytes, before);
        }
    }
}
