//! Debug probes, by way of probe-rs: it knows the probes of all makers, and has the chips' flash
//! algorithms.

use std::time::Duration;

use probe_rs::config::{MemoryRegion, Registry};
use probe_rs::flashing::{DownloadOptions, FlashError, FlashProgress, erase};
use probe_rs::probe::cmsisdap::CmsisDapFactory;
use probe_rs::probe::jlink::JLinkFactory;
use probe_rs::probe::list::{Accessibility, ProbeListItem};
use probe_rs::probe::stlink::StLinkFactory;
use probe_rs::probe::{
    DebugProbeError, DebugProbeSelector, Probe, ProbeCreationError, ProbeFactory,
};
use probe_rs::{MemoryInterface, Permissions, Session};

use super::find::not_allowed;
use super::{DebugLink, Found, Layout, LinkError, PROGRAM, Sector, Via};
use crate::{Error, Kind, Result};

/// Time within which a chip must halt.
const HALT: Duration = Duration::from_millis(500);

/// Address at which a chip that is held does nothing: the beginning of its RAM.
const IDLE: u64 = 0x2000_0000;
/// A branch to itself.
const LOOP: [u8; 2] = [0xfe, 0xe7];
/// A state of the core in which it takes Thumb instructions (Armv7-M B1.4.2).
const THUMB: u32 = 1 << 24;

/// The makes that can debug an Arm. probe-rs knows more, among them some that it takes every CH340 serial
/// adapter for: an ESP8266 must not be mistaken for a probe.
const MAKES: [&dyn ProbeFactory; 3] = [&StLinkFactory, &JLinkFactory, &CmsisDapFactory];

/// Lists the probes that are plugged in.
pub(super) fn list() -> Vec<Found> {
    let probes = MAKES.iter().flat_map(|make| make.list_probes()).map(|item| item.info);
    let mut found: Vec<Found> = probes
        .map(|probe| Found {
            via: Via::Probe,
            name: probe.identifier,
            vendor: probe.vendor_id,
            product: probe.product_id,
            serial: probe.serial_number,
        })
        .collect();
    // A probe with several interfaces is listed for each.
    found.dedup();
    found
}

fn listed(selector: &DebugProbeSelector) -> Vec<ProbeListItem> {
    MAKES.iter().flat_map(|make| make.list_probes_filtered(Some(selector))).collect()
}

/// Opens the probe with the first make whose it is.
fn open_probe(selector: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
    let mut why = DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound);
    for make in MAKES {
        match make.open(selector) {
            Ok(probe) => return Ok(Probe::from_specific_probe(probe)),
            Err(DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound)) => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// An STM32 that a probe has attached to.
pub(super) struct Swd {
    name: String,
    selector: DebugProbeSelector,
    session: Session,
    layout: Layout,
    /// It is known what the chip does when the probe lets go of it.
    settled: bool,
}

impl Swd {
    /// Attaches to the chip, and halts it where it starts: a program that runs on would feel its
    /// watchdog while flash is written.
    pub(super) fn open(found: &Found, chip: &str) -> Result<Self> {
        let registry = Registry::from_builtin_families();
        let target = registry.get_target_by_name(chip).map_err(|error| {
            let cause = format!("the chip {chip} is not known: {error}");
            Error::new(
                Kind::WrongChip,
                cause,
                "name it as ST does, for example --chip STM32F405RGTx",
            )
        })?;
        let layout = layout(&target).ok_or_else(|| {
            let cause = format!("the chip {chip} has no flash at {PROGRAM:#010x}");
            Error::new(Kind::WrongChip, cause, "name an STM32, for example --chip STM32F405RGTx")
        })?;
        let selector = DebugProbeSelector {
            vendor_id: found.vendor,
            product_id: found.product,
            interface: None,
            serial_number: found.serial.clone(),
        };
        let attach = |under_reset: bool| -> Result<Session, probe_rs::Error> {
            let probe = open_probe(&selector)?;
            match under_reset {
                // Programs that use PA13 and PA14, as MicroPython's LEDs do, shut a probe out.
                true => probe.attach_under_reset(target.clone(), Permissions::default()),
                false => probe.attach(target.clone(), Permissions::default()),
            }
        };
        let mut session = attach(false)
            .or_else(|_| attach(true))
            .map_err(|error| cannot_attach(&selector, found, chip, error))?;
        let halted = session.core(0).and_then(|mut core| core.reset_and_halt(HALT).map(|_| ()));
        halted.map_err(|error| cannot_attach(&selector, found, chip, error))?;
        Ok(Self { name: found.to_string(), selector, session, layout, settled: false })
    }

    fn failed(&self, error: impl std::error::Error + 'static) -> LinkError {
        if listed(&self.selector).is_empty() {
            return LinkError::Gone;
        }
        LinkError::Failed(whole(&error))
    }

    /// Distinguishes a refusal of the flash algorithm from a failure on the way to it.
    fn flash_failed(&self, error: FlashError) -> LinkError {
        match refused(&error) {
            true => LinkError::Refused(whole(&error)),
            false => self.failed(error),
        }
    }
}

/// Returns true if the flash algorithm has run and refused.
fn refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(FlashError::RoutineCallFailed { .. }) = error.downcast_ref() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns the error that says why no session came to be.
fn cannot_attach(
    selector: &DebugProbeSelector,
    found: &Found,
    chip: &str,
    error: probe_rs::Error,
) -> Error {
    let listed = listed(selector);
    if listed.is_empty() {
        let cause = format!("the probe {found} vanished");
        let remedy = "check its cable, and repeat the command";
        return Error::new(Kind::Vanished, cause, remedy).from_source(error);
    }
    if listed.iter().any(|probe| probe.accessibility == Accessibility::PermissionDenied) {
        return not_allowed(&found.to_string()).from_source(error);
    }
    let cause = format!("{found} does not reach a {chip}: {}", whole(&error));
    let remedy = "check ground, SWDIO, SWCLK, NRST and the board's supply, close other debuggers, and \
                  repeat the command";
    Error::new(Kind::NoAnswer, cause, remedy).from_source(error)
}

/// Returns an error with all that it came from, in one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string().trim_end_matches('.').to_owned();
    let mut next = error.source();
    while let Some(error) = next {
        let part = error.to_string();
        let part = part.trim_end_matches('.');
        if !text.contains(part) {
            text = format!("{text}: {part}");
        }
        next = error.source();
    }
    text.replace('\n', " ")
}

/// Returns the sectors of the flash that a chip starts from.
fn layout(target: &probe_rs::Target) -> Option<Layout> {
    let region = target
        .memory_map
        .iter()
        .filter_map(MemoryRegion::as_nvm_region)
        .find(|region| region.range.start == u64::from(PROGRAM))?;
    let algorithm = target
        .flash_algorithms
        .iter()
        .map(|algorithm| &algorithm.flash_properties)
        .find(|properties| properties.address_range.contains(&region.range.start))?;
    // Each description holds up to the next one.
    let base = algorithm.address_range.start;
    let mut groups = Vec::new();
    for (i, group) in algorithm.sectors.iter().enumerate() {
        let start = base + group.address;
        let next = algorithm.sectors.get(i + 1).map_or(u64::MAX, |next| base + next.address);
        let end = next.min(region.range.end).min(algorithm.address_range.end);
        if group.size == 0 || end <= start {
            continue;
        }
        let count = u32::try_from((end - start) / group.size).ok()?;
        groups.push((u32::try_from(start).ok()?, count, u32::try_from(group.size).ok()?));
    }
    Layout::of_groups(groups)
}

impl DebugLink for Swd {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read_word(&mut self, address: u32) -> Result<u32, LinkError> {
        let word = self.session.core(0).and_then(|mut core| core.read_word_32(address.into()));
        word.map_err(|error| self.failed(error))
    }

    fn write_word(&mut self, address: u32, value: u32) -> Result<(), LinkError> {
        let written =
            self.session.core(0).and_then(|mut core| core.write_word_32(address.into(), value));
        written.map_err(|error| self.failed(error))
    }

    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<(), LinkError> {
        let read = self.session.core(0).and_then(|mut core| core.read(address.into(), out));
        read.map_err(|error| self.failed(error))
    }

    fn erase(&mut self, sector: &Sector) -> Result<(), LinkError> {
        let mut progress = FlashProgress::empty();
        let from = u64::from(sector.address);
        erase(&mut self.session, &mut progress, from, sector.end(), false)
            .map_err(|error| self.flash_failed(error))
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), LinkError> {
        let mut loader = self.session.target().flash_loader();
        let mut options = DownloadOptions::new();
        // It was erased, and will be compared, by whoever calls this.
        options.skip_erase = true;
        let written = loader
            .add_data(address.into(), bytes)
            .and_then(|()| loader.commit(&mut self.session, options));
        written.map_err(|error| self.flash_failed(error))
    }

    fn hold(&mut self) -> Result<(), LinkError> {
        // Whether a halted chip stays halted without its probe is up to the probe. So it runs, in RAM, where
        // it does nothing; after the reset all pins are inputs, and no interrupt is enabled.
        let held = self.session.core(0).and_then(|mut core| {
            core.reset_and_halt(HALT)?;
            core.write_8(IDLE, &LOOP)?;
            let state = core.registers().psr().map(probe_rs::RegisterId::from);
            core.write_core_reg(core.program_counter(), IDLE as u32)?;
            if let Some(state) = state {
                // A chip without a program has no Thumb bit after its reset.
                core.write_core_reg(state, THUMB)?;
            }
            core.run()
        });
        held.map_err(|error| self.failed(error))?;
        self.settled = true;
        Ok(())
    }

    fn run(&mut self) -> Result<(), LinkError> {
        let run = self.session.core(0).and_then(|mut core| core.reset());
        run.map_err(|error| self.failed(error))?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for Swd {
    /// Lets a chip that was only read, or given settings, continue with its program.
    fn drop(&mut self) {
        if !self.settled {
            // The probe may be gone; a failure changes nothing.
            let _ = self.session.core(0).and_then(|mut core| core.reset());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sectors(chip: &str) -> Option<Layout> {
        let registry = Registry::from_builtin_families();
        layout(&registry.get_target_by_name(chip).expect("probe-rs knows it"))
    }

    #[test]
    fn what_the_flash_algorithm_says_is_told_from_what_the_wires_do() {
        let no =
            || FlashError::RoutineCallFailed { name: "erase_sector".to_owned(), error_code: 1 };
        assert!(refused(&no()));
        let sector_address = 0x0800_4000;
        let error = FlashError::EraseFailed { sector_address, source: Box::new(no()) };
        assert!(refused(&error));
        assert!(
            !whole(&error).contains('\n') && whole(&error).contains("erase_sector"),
            "{}",
            whole(&error)
        );
        let wires = probe_rs::Error::Probe(DebugProbeError::TargetNotFound);
        assert!(!refused(&FlashError::PageWrite { page_address: 0, source: Box::new(wires) }));
    }

    #[test]
    fn the_stm32f405_is_as_its_manual_says() {
        assert_eq!(sectors("STM32F405RGTx"), Some(Layout::stm32f405()));
        assert_eq!(sectors("STM32F407VGTx"), Some(Layout::stm32f405()));
    }

    #[test]
    fn a_smaller_chip_has_less_and_another_maker_none() {
        let small = sectors("STM32F401CBUx").expect("flash at the same place");
        assert_eq!(small.end(), 0x0802_0000);
        assert_eq!(small.settings(), None);
        assert_eq!(sectors("nRF52840_xxAA"), None);
    }
}
