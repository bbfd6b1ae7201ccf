//! The fake bootloader satisfies a driver that others wrote: dfu-core, which has been used with real chips.

use std::cell::RefCell;
use std::time::Instant;

use dfu_core::functional_descriptor::FunctionalDescriptor;
use dfu_core::memory_layout::MemoryLayout;
use dfu_core::synchronous::DfuSync;
use dfu_core::{DfuIo as PeerIo, DfuProtocol};
use pblink_fakes::stm32::{Bootloader, Chip, START};
use pblink_flash::stm32::{DfuIo, IoError};

use super::image;

#[derive(Debug)]
enum Failed {
    Io(#[expect(dead_code, reason = "shown when the test fails")] IoError),
    Peer(#[expect(dead_code, reason = "shown when the test fails")] dfu_core::Error),
    File(#[expect(dead_code, reason = "shown when the test fails")] std::io::Error),
}

impl From<dfu_core::Error> for Failed {
    fn from(error: dfu_core::Error) -> Self {
        Self::Peer(error)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// The fake, as dfu-core wants it. It really waits when it is asked to, so the fake's clock is the real one.
struct Wire {
    fake: RefCell<(Bootloader, Instant)>,
    descriptor: FunctionalDescriptor,
    protocol: DfuProtocol<MemoryLayout>,
}

impl Wire {
    fn transfer<T>(
        &self,
        transfer: impl FnOnce(&mut Bootloader) -> Result<T, IoError>,
    ) -> Result<T, Failed> {
        let mut guard = self.fake.borrow_mut();
        let (fake, last) = &mut *guard;
        let now = Instant::now();
        fake.pause(now - *last);
        *last = now;
        transfer(fake).map_err(Failed::Io)
    }
}

impl PeerIo for Wire {
    type Read = usize;
    type Write = usize;
    type Reset = ();
    type Error = Failed;
    type MemoryLayout = MemoryLayout;

    fn read_control(
        &self,
        kind: u8,
        request: u8,
        value: u16,
        buffer: &mut [u8],
    ) -> Result<usize, Failed> {
        assert_eq!(kind & 0x7f, 0x21, "class, interface");
        self.transfer(|fake| fake.control_in(request, value, buffer))
    }

    fn write_control(
        &self,
        kind: u8,
        request: u8,
        value: u16,
        buffer: &[u8],
    ) -> Result<usize, Failed> {
        assert_eq!(kind & 0x7f, 0x21, "class, interface");
        self.transfer(|fake| fake.control_out(request, value, buffer)).map(|()| buffer.len())
    }

    fn usb_reset(self) -> Result<(), Failed> {
        Ok(())
    }

    fn protocol(&self) -> &DfuProtocol<MemoryLayout> {
        &self.protocol
    }

    fn functional_descriptor(&self) -> &FunctionalDescriptor {
        &self.descriptor
    }
}

#[test]
fn another_driver_writes_the_same_bytes_through_it() {
    let chip = Chip::new().with(START, &image(64 << 10, 1));
    let fake = Bootloader::of(&chip);
    let protocol =
        DfuProtocol::new(&fake.alternates()[0].name, (0x01, 0x1a)).expect("its name is good");
    let descriptor = FunctionalDescriptor {
        can_download: true,
        can_upload: true,
        manifestation_tolerant: false,
        will_detach: true,
        detach_timeout: 255,
        transfer_size: fake.transfer_size() as u16,
        dfu_version: (0x01, 0x1a),
    };
    let bytes = image(20 << 10, 2);
    let wire = Wire { fake: RefCell::new((fake, Instant::now())), descriptor, protocol };
    DfuSync::new(wire).download_from_slice(&bytes).map(|_| ()).expect("no fault");
    assert_eq!(chip.bytes(START, bytes.len()), bytes);
    assert!(
        chip.erased().starts_with(&[0])
            && chip.erased().contains(&1)
            && !chip.erased().contains(&2)
    );
    assert!(chip.started(), "it left for the program");
}
