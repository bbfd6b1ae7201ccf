//! File systems that do not keep their promises.

use std::path::Path;

use crate::log::EngineError;

/// Kinds of file systems that are on another machine, by the number that `statfs` gives.
#[cfg(any(target_os = "linux", test))]
const NETWORK: [(u64, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x00c3_6400, "CEPH"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
];

/// The number of all file systems that are programs.
#[cfg(target_os = "linux")]
const FUSE: u64 = 0x6573_5546;

/// Those of them that are known to be on another machine.
#[cfg(any(target_os = "linux", test))]
const NETWORK_FUSE: [&str; 10] = [
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.davfs",
    "fuse.curlftpfs",
    "fuse.gcsfuse",
    "fuse.smbnetfs",
];

/// Refuses a folder on a network file system.
///
/// # Errors
/// If it is on one.
#[cfg(target_os = "linux")]
pub(super) fn refuse(path: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::MetadataExt;

    // The number is 32 bits wide, and some systems sign it.
    let number = rustix::fs::statfs(path).map_or(0, |disk| disk.f_type as u32 as u64);
    let kind = match number {
        FUSE => {
            let device = std::fs::metadata(path).map(|data| data.dev()).unwrap_or(0);
            let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            fuse(&mounts, &format!("{major}:{minor}")).map(str::to_owned)
        }
        _ => name(number).map(str::to_owned),
    };
    match kind {
        Some(kind) => Err(EngineError::Network { path: path.display().to_string(), kind }),
        None => Ok(()),
    }
}

/// Refuses nothing: other systems have no such numbers.
#[cfg(not(target_os = "linux"))]
pub(super) fn refuse(_: &Path) -> Result<(), EngineError> {
    Ok(())
}

#[cfg(any(target_os = "linux", test))]
fn name(number: u64) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Returns the kind of a device ("0:42") among mounts, if it is a program that speaks to another machine.
#[cfg(any(target_os = "linux", test))]
fn fuse<'a>(mounts: &'a str, device: &str) -> Option<&'a str> {
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    let kind = mount.split_once(" - ")?.1.split(' ').next()?;
    NETWORK_FUSE.contains(&kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number_and_programs_by_name() {
        assert_eq!(name(0x6969), Some("NFS"));
        assert_eq!(name(0xff53_4d42), Some("CIFS"));
        assert_eq!(name(0xef53), None, "ext4");
        assert_eq!(name(0x0102_1994), None, "tmpfs");
        let mounts = "36 25 0:31 / /home/a rw,nosuid - fuse.sshfs a@b:/ rw,user_id=0\n\
                      37 25 0:32 / /mnt/disk rw,relatime - fuseblk /dev/sda1 rw\n\
                      38 25 0:33 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(fuse(mounts, "0:31"), Some("fuse.sshfs"));
        assert_eq!(fuse(mounts, "0:32"), None, "NTFS on a local disk");
        assert_eq!(fuse(mounts, "0:34"), None);
    }

    #[test]
    fn the_folder_of_this_test_is_local() {
        let folder = tempfile::tempdir().unwrap();
        refuse(folder.path()).unwrap();
    }
}
