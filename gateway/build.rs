//! Turns `proto/inference.proto` into Rust, without a `protoc` on the machine, and packs the web
//! console's files, where they were built.

#[path = "build/console.rs"]
mod console;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=proto/inference.proto");
    let files = protox::compile(["inference.proto"], ["proto"])?;
    // Tensors stay in the buffer that they arrived in, and leave from the one they came in.
    tonic_prost_build::configure().bytes(".").emit_rerun_if_changed(false).compile_fds(files)?;
    console::pack()
}
