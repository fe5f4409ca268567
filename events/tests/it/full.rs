//! A stream whose disk is full keeps what it has, refuses what it cannot keep, and goes on once there
//! is room.
use std::process::Command;

const WRITER: &str = env!("CARGO_BIN_EXE_events-test-writer");
/// A disk in memory, in a namespace of mounts that ends with the command.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=16m small \"$0\" && exec \"$@\"";

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let disk = tempfile::tempdir().unwrap();
    let on_it = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK]);
        command.arg(disk.path()).args(program).output()
    };
    match on_it(&["true"]) {
        Ok(tried) if tried.status.success() => {}
        tried => {
            eprintln!("skipped: no disk can be mounted here: {tried:?}");
            return;
        }
    }
    let written = on_it(&[WRITER, disk.path().to_str().unwrap()]).unwrap();
    let errors = String::from_utf8_lossy(&written.stderr);
    assert!(written.status.success(), "{errors}");
    let kept: u64 = String::from_utf8_lossy(&written.stdout).trim().parse().unwrap();
    assert!(kept > 0, "{errors}");
}
