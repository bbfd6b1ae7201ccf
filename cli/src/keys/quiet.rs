//! Memory that never gets into a file.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process leave no core file. All who read keys call it, before they do.
///
/// Where a program takes the cores of all processes, the limit alone does not keep this one's from it: on Linux, the process
/// is also marked as one that leaves none. Programs that it starts are not; they inherit the limit, which they may raise.
pub(super) fn leave_no_core() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let maximum = getrlimit(Resource::Core).maximum;
        if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum }) {
            tracing::warn!("this process may leave a core file, with keys in it: {error}");
        }
        #[cfg(target_os = "linux")]
        if let Err(error) =
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        {
            tracing::warn!(
                "the core of this process may reach a program, with keys in it: {error}"
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_keys_leaves_no_core() {
        leave_no_core();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
    }
}
