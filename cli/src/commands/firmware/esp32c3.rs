//! The ESP32-C3's program: nothing is needed for it but a compiler.

use std::path::Path;

use pblink_image::manifest::{ESP32C3, Manifest};

use super::Job;
use super::script::Script;
use crate::exit::{Exit, Failed};
use crate::hardware::checkout;

/// Returns the job that builds it.
pub(super) fn job(source: &Path) -> anyhow::Result<Job> {
    let folder = source.join(checkout::ESP32C3);
    if !folder.join("build.sh").is_file() {
        return Err(Failed::with(
            Exit::Config,
            format!(
                "there are no sources of the ESP32-C3's firmware at {}\n  bring the clone up to date",
                folder.display()
            ),
        ));
    }
    let elf = folder.join("target/riscv32imc-unknown-none-elf/release/pblink-esp32c3");
    let script = Script { folder, arguments: vec!["chip"], variables: Vec::new(), private: false };
    Ok(Job { board: ESP32C3, program: "fixed firmware".to_owned(), script, elf })
}

/// Makes the images of it.
#[cfg(feature = "esp32c3")]
pub(super) fn make(job: &Job, out: &Path, manifest: &mut Manifest) -> anyhow::Result<()> {
    use pblink_image::esp32c3;
    use pblink_image::manifest::{Image, Place};
    use pblink_image::sizes::Sizes;

    let elf = super::read_elf(job)?;
    let sizes = Sizes::of_esp32c3(&job.program, &elf).map_err(|why| super::unusable(job, &why))?;
    manifest.sizes.push(sizes);
    let regions = esp32c3::regions(&elf)
        .map_err(|why| super::unusable(job, &format!("{}; {}", why.cause(), why.remedy())))?;
    for region in regions {
        let place = Place::Flash(region.address);
        let file = (out, &*region.name);
        manifest.images.push(Image::write(ESP32C3, place, &region.bytes, file, false)?);
    }
    Ok(())
}

/// Reports that this program cannot make them.
#[cfg(not(feature = "esp32c3"))]
pub(super) fn make(job: &Job, _out: &Path, _manifest: &mut Manifest) -> anyhow::Result<()> {
    Err(Failed::with(
        Exit::Config,
        format!(
            "{} is built, and this pblink makes no image of it: it was compiled without the feature `esp32c3`\n  \
             take a release, or `cargo install` with that feature; espflash and esptool make images, too",
            job.elf.display()
        ),
    ))
}
