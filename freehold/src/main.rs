//! The `freehold` program: settings, commands and wiring.
//!
//! Always true: only this crate reads the environment, flags and files of settings; data goes to
//! stdout and everything else to stderr; the exit code tells the kind of failure.

#![expect(unreachable_pub, reason = "a program exports nothing: `pub` says who may use it within")]

mod args;
mod cloud;
mod commands;
mod credentials;
mod demo;
mod exit;
mod features;
mod output;
mod settings;
mod telemetry;

use clap::Parser as _;

use args::{Arguments, Command};
use exit::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // What runs inside a sandbox comes first: it must not start threads or read settings.
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("sandbox") => return executor::sandbox_main(),
        Some("worker") => {
            let args: Vec<String> = std::env::args().skip(2).collect();
            return inference::worker_main(&args);
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Processors for the threads that answer: one is left to instances, so that a single request is
/// not passed on to a thread that only has to look whether it is wanted. What takes long runs on
/// further threads.
fn answering_processors() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    processors.saturating_sub(1)
}

/// The same in thousandths; none on a machine that has one processor.
fn answering_cpu_milli() -> u32 {
    u32::try_from(answering_processors()).unwrap_or(u32::MAX).saturating_mul(1_000)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    settings::refuse_unknown_variables()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(answering_processors().max(1))
        .thread_name("freehold")
        .build()
        .map_err(|error| Failure::internal("could not start the runtime", &error))?;
    let Arguments { client, output, command } = arguments;
    let out = output::Output::new(output.output);
    runtime.block_on(async {
        match command {
            Command::Up(server) => cloud::up(server).await,
            Command::Control(server) => cloud::control(server).await,
            Command::Gateway(process) => cloud::gateway(process).await,
            Command::Agent(process) => cloud::agent(process).await,
            Command::MasterKey(command) => cloud::master_key(command).await,
            Command::EventsKey(command) => commands::events_key::run(command, &out),
            Command::Backup(backup) => commands::backup::backup(backup).await,
            Command::Restore(restore) => commands::backup::restore(restore).await,
            Command::Demo(demo) => Box::pin(demo::run(demo, &out)).await,
            Command::Init(init) => commands::init::run(&init, &out),
            Command::Simulate(simulate) => commands::simulate::run(&simulate, &out),
            Command::Explain { code } => commands::explain::run(&code, &out),
            Command::Completion { shell } => {
                args::write_completion(shell);
                Ok(())
            }
            command => commands::run(command, &client, &out).await,
        }
    })
}
