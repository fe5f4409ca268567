//! The executor's tests on a kernel of its own: a virtual machine that is booted once for each way in
//! which control groups are mounted, since this machine has one of them.
//!
//! Always true: nothing of this machine is changed; a guest has no disk and no network, and ends by
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
/// Longest life of a guest, in seconds. Containers of gVisor take most of it: each starts a kernel of
/// its own on an emulated processor.
const GUEST_S_MAX: u32 = 5_400;
/// Memory of the guest: the tests, their files and the instances, all in memory.
const GUEST_MIB: u32 = 2_048;
/// What the guest says last.
const DONE: &str = "guest: every target has run";
/// What the verb takes.
const HELP: &str = "cargo xtask guest [--groups unified|hybrid] [WORDS]

Without --groups the guest is booted with both, one after the other. WORDS choose tests by their
names, or are options of the test programs, such as --nocapture.";

/// How control groups are mounted in a guest, in systemd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Groups {
    /// Version 2 alone, with every controller.
    Unified,
    /// Version 1 with every controller, and version 2 beside it without any.
    Hybrid,
}

impl Groups {
    const ALL: [Self; 2] = [Self::Unified, Self::Hybrid];

    /// The way in one word, as the guest's first process knows it.
    fn word(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Hybrid => "hybrid",
        }
    }
}

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

/// Builds the guest, boots it with each way of control groups, and counts what passed. Words choose
/// tests by their names.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    if words.iter().any(|word| word == "--help") {
        println!("{HELP}");
        return Ok(());
    }
    let (ways, words) = chosen(words)?;
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
    let runtimes = runtimes(places);
    let script = script(&built, &runtimes, &words);
    let programs = files(places, &built, &runtimes);
    let image = image::make(places, &script, &programs, &interface(&kernel)?)?;
    let mut counts = Counts::default();
    for groups in ways {
        counts = counts.and(boot(groups, &kernel, &image)?);
    }
    test::close(counts);
    Ok(())
}

/// The ways of control groups that are asked for, and the words that are left.
fn chosen(words: &[String]) -> Result<(Vec<Groups>, Vec<String>), Failure> {
    let Some(at) = words.iter().position(|word| word == "--groups") else {
        return Ok((Groups::ALL.to_vec(), words.to_vec()));
    };
    let named = words.get(at + 1).map_or("", String::as_str);
    let way = Groups::ALL.into_iter().find(|groups| groups.word() == named);
    let way = way.ok_or_else(|| Failure::new("--groups needs unified or hybrid"))?;
    let left = words[..at].iter().chain(&words[at + 2..]);
    Ok((vec![way], left.cloned().collect()))
}

/// Boots the guest once, and counts what passed in it.
fn boot(groups: Groups, kernel: &Path, image: &Path) -> Result<Counts, Failure> {
    let timeout = GUEST_S_MAX.to_string();
    let mut guest = Command::new("timeout");
    guest.args([timeout.as_str(), "qemu-system-x86_64", "-accel", "tcg,thread=multi"]);
    guest.args(["-m", &GUEST_MIB.to_string(), "-smp", "2", "-nodefaults", "-no-user-config"]);
    guest.args(["-display", "none", "-serial", "stdio", "-no-reboot"]);
    guest.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    // The kernel tells of every process that it ends for memory, in the midst of other lines: only what
    // is graver than that is heard. What it does not know it hands to the first process, as a variable.
    let line = format!("console=ttyS0 panic=-1 reboot=t loglevel=3 groups={}", groups.word());
    guest.args(["-append", &line]);
    let (text, succeeded) = process::run_and_read(&mut guest)?;
    let counts = text.lines().filter_map(test::count).fold(Counts::default(), Counts::and);
    let fail = |what: &str| {
        test::close(counts);
        Err(Failure::at(format!("{} control groups", groups.word()), what))
    };
    if !succeeded || !text.contains(DONE) {
        return fail("the guest did not come to its end; its last lines are above");
    }
    let failed = text.lines().any(|line| line.starts_with("guest: failed"));
    if failed || counts.failed > 0 || counts.passed == 0 {
        return fail("not every test passed in the guest");
    }
    process::tell(&format!("{} control groups: {} passed", groups.word(), counts.passed));
    Ok(counts)
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

/// The module of this kernel for an interface behind which there is nothing: those who look for a way
/// outside shall find one where nothing keeps them from it.
fn interface(kernel: &Path) -> Result<PathBuf, Failure> {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    let version = name.trim_start_matches("vmlinuz-");
    let folder = kernel.parent().and_then(Path::parent).unwrap_or(kernel);
    let module = folder.join("lib/modules").join(version).join("kernel/drivers/net/dummy.ko");
    if module.is_file() {
        return Ok(module);
    }
    Err(Failure::at(module.display(), "the kernel's package has no such module"))
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

/// The OCI runtimes of this machine.
fn runtimes(places: &Places) -> Vec<PathBuf> {
    ["crun", "runc", "runsc"].into_iter().filter_map(|name| places.program(name)).collect()
}

/// The programs of the guest: the tests, the programs that they start, and runtimes.
fn files(
    places: &Places,
    built: &[(&'static Target, PathBuf)],
    runtimes: &[PathBuf],
) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = built.iter().map(|(_, path)| path.clone()).collect();
    files.extend(["executor-test-helper", "executor-test-attempts"].map(|name| places.built(name)));
    files.extend_from_slice(runtimes);
    files
}

/// What the guest runs as its first process. What is in it is promised to the tests, so that none of
/// them is passed over for the lack of it.
fn script(built: &[(&'static Target, PathBuf)], runtimes: &[PathBuf], words: &[String]) -> String {
    const START: &str = include_str!("guest/init.sh");
    let names = runtimes.iter().filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    let mut script = START.to_owned();
    script += &format!("export FREEHOLD_TEST_RUNTIMES={}\n", names.join(","));
    script += "export FREEHOLD_TEST_GROUPS=$groups\n";
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
        let script = script(&built, &["/usr/bin/crun".into()], &["crun".to_owned()]);
        assert!(script.contains("run isolation '/t/it'\\''s' --skip the_page 'crun'\n"));
        assert!(script.contains("FREEHOLD_TEST_RUNTIMES=crun\n"));
        assert_eq!(script.matches("\nrun ").count(), TARGETS.len());
        assert!(script.ends_with("reboot -f\n") && script.contains(DONE));
    }

    #[test]
    fn every_way_of_control_groups_runs_unless_one_is_chosen() {
        let chosen = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            chosen(&words).map_err(|failure| failure.to_string())
        };
        let left = vec!["crun".to_owned(), "--nocapture".to_owned()];
        assert_eq!(chosen(&["crun", "--nocapture"]), Ok((Groups::ALL.to_vec(), left.clone())));
        for way in Groups::ALL {
            let told = chosen(&["crun", "--groups", way.word(), "--nocapture"]);
            assert_eq!(told, Ok((vec![way], left.clone())));
        }
        assert!(chosen(&["--groups"]).is_err() && chosen(&["--groups", "legacy"]).is_err());
    }

    /// The first process mounts what the command line names.
    #[test]
    fn the_first_process_knows_every_way_of_control_groups() {
        let script = script(&[], &[], &[]);
        for way in Groups::ALL {
            assert!(script.contains(&format!("\n    {})\n", way.word())), "{way:?}");
        }
    }
}
