//! The same tests over every level: a test is a function, which is called again with another sandbox
//! chosen for its thread.

use std::cell::RefCell;
use std::path::Path;

use executor::Choice;

thread_local! {
    static CHOSEN: RefCell<Choice> = const { RefCell::new(Choice::Process) };
}

/// The sandbox that the running test is to use.
pub(crate) fn chosen() -> Choice {
    CHOSEN.with_borrow(Clone::clone)
}

/// Runs a test over a runtime; skips it aloud where that cannot be used.
pub(crate) fn over(runtime: &str, test: fn()) {
    let folders = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].iter().map(Path::new);
    let found = folders.map(|folder| folder.join(runtime)).any(|path| path.is_file());
    if !found || !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: this machine lacks: {runtime}, and root to run it");
        return;
    }
    CHOSEN.set(runtime.parse().unwrap());
    test();
}

/// Repeats tests of the surrounding file over OCI runtimes.
#[macro_export]
macro_rules! over {
    ($runtime:ident: $($test:ident)*) => {
        mod $runtime {
            $(#[test]
            fn $test() {
                super::levels::over(stringify!($runtime), super::$test);
            })*
        }
    };
}
