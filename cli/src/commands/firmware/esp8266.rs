//! The ESP8266's program: for the chip with Espressif's SDK, else for the emulator, and a check.

use std::path::Path;

use anyhow::Context;
use pblink_image::esp8266::{self, FlashFrequency, FlashMode};
use pblink_image::manifest::{ESP8266, Image, Manifest, Place};
use pblink_image::sizes::Sizes;

use super::script::Script;
use super::{Job, read_elf, unusable};
use crate::hardware::{checkout, sdk};

/// Mode and frequency in which the ESP8266's flash is read by default: they work on nearly every module.
const FLASH: (FlashMode, FlashFrequency) = (FlashMode::Dio, FlashFrequency::Mhz40);

/// Returns the jobs that build the ESP8266's programs: the one for the chip, or one for the emulator and a check.
pub(super) fn jobs(source: &Path, sdk: Option<&Path>) -> Vec<Job> {
    let folder = source.join(checkout::ESP8266);
    let job = |arguments: &'static [&'static str], program: &str| Job {
        board: ESP8266,
        program: program.to_owned(),
        elf: folder.join("target").join(arguments[0]).join("pblink-esp8266.elf"),
        script: Script {
            folder: folder.clone(),
            arguments: arguments.to_vec(),
            variables: vec![(sdk::VARIABLE, sdk.map(Path::to_owned))],
            private: false,
        },
    };
    if sdk.is_some() {
        vec![job(&["sdk"], "with the SDK")]
    } else {
        vec![job(&["emulator"], "for the emulator"), job(&["sdk"], "check, without the SDK")]
    }
}

/// Makes the images of them, or one for the emulator.
pub(super) fn make<'a>(
    jobs: impl Iterator<Item = &'a Job>,
    sdk: Option<&Path>,
    out: &Path,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    for (n, job) in jobs.enumerate() {
        let elf = read_elf(job)?;
        let sizes = Sizes::of_esp8266(&job.program, &elf).map_err(|why| unusable(job, &why))?;
        manifest.sizes.push(sizes);
        if let Some(sdk) = sdk {
            let read = |file: &str| {
                let path = sdk.join(file);
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            };
            let (mode, frequency) = FLASH;
            let (init_data, blank) = (read(sdk::INIT_DATA)?, read(sdk::BLANK)?);
            let regions = esp8266::regions(&elf, mode, frequency, &init_data, &blank)
                .map_err(|why| unusable(job, &format!("{}; {}", why.cause(), why.remedy())))?;
            for region in regions {
                let place = Place::Flash(region.address);
                let file = (out, &*region.name);
                manifest.images.push(Image::write(ESP8266, place, &region.bytes, file, false)?);
            }
        } else if n == 0 {
            let file = (out, "esp8266-emulator.elf");
            manifest.images.push(Image::write(ESP8266, Place::Emulator, &elf, file, false)?);
        }
    }
    Ok(())
}
