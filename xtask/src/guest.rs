//! The executor's tests on a kernel of its own: a virtual machine whose control groups are of version
//! 2, as this one's may not be.
//!
//! Always true: nothing of this machine is changed; the guest has no disk and no network, and ends by
//! itself or at [`GUEST_S_MAX`]; without the means for it nothing runs, and that is said.
//! Absent on purpose: speed. The processor is emulated, so times in the guest mean nothing.

mod image;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::Places;
use crate::test::{self, Counts};
use crate::{Failure, process};

/// Debian's package that depends on its newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Longest life of a guest, in seconds. It takes about a third of this on an idle machine.
const GUEST_S_MAX: u32 = 2_400;
/// Memory of the guest: the tests, their files and the instances, all in memory.
const GUEST_MIB: u32 = 2_048;
/// What the guest says last.
const DONE: &str = "guest: every target has run";

/// A test target, and the words for it.
struct Target {
    name: &'static str,
    kind: &'static str,
    words: &'static str,
}

/// What runs in the guest: all that touches the kernel.
const TARGETS: [Target; 4] = [
    Target { name: "executor", kind: "lib", words: "cgroup::" },
    // What watching catches in time on a machine is too late on an emulated one.
    Target { name: "instances", kind: "test", words: "--skip without_control_groups" },
    Target { name: "functions", kind: "test", words: "" },
    // The page lies in the checkout, which is not there.
    Target { name: "isolation", kind: "test", words: "--skip the_page" },
];

/// Builds the guest, boots it, and counts what passed in it. Words choose tests by their names.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    for program in ["qemu-system-x86_64", "busybox", "cpio", "gzip", "ldd"] {
        if places.program(program).is_none() {
            let packages = "qemu-system-x86 busybox-static cpio";
            process::tell(&format!(
                "SKIPPED: this machine lacks {program} (apt-get install {packages})"
            ));
            return Ok(());
        }
    }
    let kernel = kernel(places)?;
    let built = build(places)?;
    let image = image::make(places, &script(&built, words), &files(places, &built))?;
    let timeout = GUEST_S_MAX.to_string();
    let mut guest = Command::new("timeout");
    guest.args([timeout.as_str(), "qemu-system-x86_64", "-accel", "tcg,thread=multi"]);
    guest.args(["-m", &GUEST_MIB.to_string(), "-smp", "2", "-nodefaults", "-no-user-config"]);
    guest.args(["-display", "none", "-serial", "stdio", "-no-reboot"]);
    guest.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    guest.args(["-append", "console=ttyS0 panic=-1 reboot=t quiet"]);
    let (text, succeeded) = process::run_and_read(&mut guest)?;
    let counts = text.lines().filter_map(test::count).fold(Counts::default(), Counts::and);
    test::close(counts);
    if !succeeded || !text.contains(DONE) {
        return Err(Failure::new("the guest did not come to its end; its last lines are above"));
    }
    let failed = text.lines().any(|line| line.starts_with("guest: failed"));
    if failed || counts.failed > 0 || counts.passed == 0 {
        return Err(Failure::new("not every test passed in the guest"));
    }
    Ok(())
}

/// A kernel of Debian's, fetched once.
fn kernel(places: &Places) -> Result<PathBuf, Failure> {
    let folder = places.cache.join("guest-kernel");
    let found = || {
        let boot = fs::read_dir(folder.join("boot")).ok()?.flatten();
        let mut paths = boot.map(|entry| entry.path());
        paths.find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
        })
    };
    if let Some(kernel) = found() {
        return Ok(kernel);
    }
    fs::create_dir_all(&folder).map_err(|error| Failure::at(folder.display(), error))?;
    let known = process::output(Command::new("apt-cache").args(["depends", KERNEL]));
    let known = known.ok_or_else(|| Failure::new(format!("apt-cache knows no {KERNEL}")))?;
    let name = known.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let name = name.ok_or_else(|| Failure::new(format!("{KERNEL} depends on no kernel")))?;
    let name = format!("linux-image-{}", name.trim());
    process::run(
        Command::new("apt-get").args(["--quiet", "download", &name]).current_dir(&folder),
    )?;
    let entries = fs::read_dir(&folder).map_err(|error| Failure::at(folder.display(), error))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let package = paths.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or_else(|| Failure::new("apt-get has fetched no package"))?;
    process::run(Command::new("dpkg-deb").arg("-x").args([&package, &folder]))?;
    found().ok_or_else(|| Failure::at(package.display(), "there is no kernel in it"))
}

/// The built test programs of the targets, in their order.
fn build(places: &Places) -> Result<Vec<(&'static Target, PathBuf)>, Failure> {
    let words = ["test", "-p", "executor", "--no-run", "--locked", "--message-format", "json"];
    process::run(&mut process::cargo(places, &words[..5]))?;
    let told = process::output(&mut process::cargo(places, &words));
    let told = told.ok_or_else(|| Failure::new("cargo does not say what it built"))?;
    let messages: Vec<serde_json::Value> =
        told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |target: &'static Target| {
        let found = messages.iter().find_map(|message| {
            let of = &message["target"];
            let same = of["name"] == target.name && of["kind"][0] == target.kind;
            let path = message["executable"].as_str().filter(|_| same)?;
            message["profile"]["test"].as_bool().filter(|test| *test).map(|_| path.into())
        });
        let found = found.ok_or_else(|| Failure::new(format!("{} was not built", target.name)))?;
        Ok((target, found))
    };
    TARGETS.iter().map(program).collect()
}

/// The programs of the guest: the tests, the programs that they start, and runtimes.
fn files(places: &Places, built: &[(&'static Target, PathBuf)]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = built.iter().map(|(_, path)| path.clone()).collect();
    files.extend(["executor-test-helper", "executor-test-attempts"].map(|name| places.built(name)));
    files.extend(["crun", "runc"].into_iter().filter_map(|name| places.program(name)));
    files
}

/// What the guest runs as its first process.
fn script(built: &[(&'static Target, PathBuf)], words: &[String]) -> String {
    const START: &str = include_str!("guest/init.sh");
    let mut script = START.to_owned();
    for (target, path) in built {
        let mut line = format!("run {} {} {}", target.name, quoted(path), target.words);
        for word in words {
            line += &format!(" {}", quoted(Path::new(word)));
        }
        script += &line;
        script.push('\n');
    }
    script += &format!("echo '{DONE}'\nreboot -f\n");
    script
}

/// A word for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_runs_every_target_with_its_words_and_then_says_so() {
        let built: Vec<_> =
            TARGETS.iter().map(|target| (target, PathBuf::from("/t/it's"))).collect();
        let script = script(&built, &["crun".to_owned()]);
        assert!(script.contains("run isolation '/t/it'\\''s' --skip the_page 'crun'\n"));
        assert_eq!(script.matches("\nrun ").count(), TARGETS.len());
        assert!(script.ends_with("reboot -f\n") && script.contains(DONE));
    }
}
