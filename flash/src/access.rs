//! Checks that this user may use a device, without opening it: opening a serial port resets the board.

use std::path::Path;

/// Returns true if this user may read and write the device file, and where that cannot be found out.
#[cfg(unix)]
pub(crate) fn may_use(device: &Path) -> bool {
    use rustix::fs::{Access, access};
    use rustix::io::Errno;
    access(device, Access::READ_OK | Access::WRITE_OK) != Err(Errno::ACCESS)
}

/// Returns true if this user may read and write the device file, and where that cannot be found out.
#[cfg(not(unix))]
pub(crate) fn may_use(_device: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_for_all_may_be_used_and_what_is_not_there_is_no_matter_of_permission() {
        assert!(may_use(Path::new("/dev/null")));
        assert!(may_use(Path::new("/dev/no-such-device")));
    }
}
