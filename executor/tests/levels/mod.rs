//! The same tests over every level: a test is a function, which is called again with another sandbox
//! chosen for its thread.

pub(crate) mod usable;

use std::cell::RefCell;

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
    if usable::can_use(runtime) {
        CHOSEN.set(runtime.parse().unwrap());
        test();
    }
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
