//! Programs that try to break out of a sandbox, and the suite that runs them.
//!
//! `try NAME KEY=VALUE…` makes one attempt: it ends with 0 where the attempt got through and says
//! what it reached, with 1 where it was held, and with 64 where there is no such attempt.
//! `suite …` runs them all in the sandboxes of one level, with bait laid out on the host; `bare …`
//! runs those that do no harm outside any sandbox.
#![expect(unsafe_code, reason = "attempts make system calls that have no safe form")]
#![expect(clippy::print_stdout, reason = "attempts tell what they reach on standard output")]
#![expect(clippy::unwrap_used, reason = "a test program; a panic fails the test that runs it")]

mod bait;
mod call;
mod files;
mod kernel;
mod network;
mod processes;
mod resources;
mod rights;
mod suite;

use std::process::ExitCode;

use bait::Bait;

/// What an attempt reached; none where it was held.
type Through = Option<String>;

/// An attempt by its name in [`executor::attempts`].
type Try = (&'static str, fn(&Bait) -> Through);

const ALL: [&[Try]; 6] = [
    files::TRIES,
    processes::TRIES,
    resources::TRIES,
    network::TRIES,
    kernel::TRIES,
    rights::TRIES,
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sandbox", ..] => executor::sandbox_main(),
        ["names"] => {
            ALL.iter().copied().flatten().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        ["try", name, bait @ ..] => attempt(name, &Bait::parse(bait)),
        ["suite", user, folder, package, level, names @ ..] => {
            suite::main(user, [folder, package].map(std::path::Path::new), level, names)
        }
        ["bare", folder, package] => suite::bare([folder, package].map(std::path::Path::new)),
        ["neighbour", secret] => neighbour(secret),
        _ => ExitCode::from(64),
    }
}

fn attempt(name: &str, bait: &Bait) -> ExitCode {
    let found = ALL.iter().copied().flatten().find(|(known, _)| *known == name);
    let Some((_, attempt)) = found else { return ExitCode::from(64) };
    match attempt(bait) {
        Some(what) => {
            println!("reached: {what}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// Another account's job, with something to hide. It stays until it is ended.
fn neighbour(secret: &str) -> ExitCode {
    std::fs::write("/opt/ml/model/secret", secret).unwrap();
    std::fs::write("/tmp/secret", secret).unwrap();
    println!("hidden");
    loop {
        std::thread::park();
    }
}
