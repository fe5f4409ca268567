//! The corpora of the fuzz targets of streams and replays, replayed: what fuzzing ever found stays found.
//!
//! A file whose name starts with `good` must be taken, one with `bad` refused; of all others, as
//! the fuzzer names them, it is enough that nothing breaks.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/stream_targets.rs"]
mod targets;

fn replay(target: &str, run: targets::Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut replayed = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let is_taken = run(&fs::read(&path).unwrap());
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(is_taken || !name.starts_with("good"), "{target}/{name} is refused");
        assert!(!is_taken || !name.starts_with("bad"), "{target}/{name} is taken");
        replayed += 1;
    }
    assert!(replayed > 0, "{target} has no corpus");
}

#[test]
fn every_corpus_is_replayed() {
    for (target, run) in targets::ALL {
        replay(target, run);
    }
}
