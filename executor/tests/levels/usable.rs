//! Whether tests can use an OCI runtime.

use std::path::Path;

/// Where sandboxes look for runtimes too.
const FOLDERS: [&str; 6] =
    ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// Whether tests can use a runtime; says so aloud where they cannot, and fails where
/// `FREEHOLD_TEST_RUNTIMES` says that they can.
pub(crate) fn can_use(runtime: &str) -> bool {
    let found = FOLDERS.iter().any(|folder| Path::new(folder).join(runtime).is_file());
    let can = found && nix::unistd::geteuid().is_root();
    if !can {
        let promised = std::env::var_os("FREEHOLD_TEST_RUNTIMES").unwrap_or_default();
        let promised = promised.to_str().unwrap().split(',').any(|name| name == runtime);
        assert!(!promised, "{runtime} was set up for these tests, and cannot be used");
        eprintln!("SKIPPED: this machine lacks: {runtime}, and root to run it");
    }
    can
}
