//! Attempts at files: the host's, a neighbour's, and one's own that are read-only.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::{self, c_long};

use crate::bait::{Bait, readable};
use crate::call::{at, call, listens, path, text, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("host-files", host_files),
    ("host-secret", |bait| bait.in_file(&bait.file)),
    ("neighbour-files", neighbour_files),
    ("climb-out", climb_out),
    ("roots-of-processes", roots_of_processes),
    ("links-in-scratch", links_in_scratch),
    ("links-in-package", links_in_package),
    ("links-in-model", links_in_model),
    ("failure-link", failure_link),
    ("write-package", write_package),
    ("write-system", write_system),
    ("write-program", write_program),
    ("remount", remount),
    ("device-nodes", device_nodes),
    ("device-files", device_files),
    ("file-handles", file_handles),
    ("inotify", inotify),
    ("fanotify", fanotify),
];

fn host_files(_: &Bait) -> Through {
    ["/etc/shadow", "/root", "/home", "/var/log", "/var/lib", "/boot", "/etc/ssh", "/run", "/srv"]
        .iter()
        .find_map(readable)
}

fn neighbour_files(bait: &Bait) -> Through {
    let all = bait.neighbour.parent()?;
    ["ml/model/secret", "scratch/secret", "root/tmp/secret"]
        .iter()
        .find_map(|name| bait.in_file(bait.neighbour.join(name)))
        .or_else(|| readable(all))
}

/// The path without its first slash.
fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn climb_out(bait: &Bait) -> Through {
    let up = PathBuf::from("../".repeat(40)).join(relative(&bait.file));
    let here = || bait.in_file(&up);
    let through_proc = || bait.in_file(Path::new("/proc/self/cwd").join(&up));
    // A working folder that is taken away from below.
    let moved = || {
        let folder = std::env::temp_dir().join("deep/er");
        fs::create_dir_all(&folder).ok()?;
        std::env::set_current_dir(&folder).ok()?;
        fs::rename(&folder, std::env::temp_dir().join("shallow")).ok()?;
        bait.in_file(&up)
    };
    here().or_else(through_proc).or_else(moved)
}

fn roots_of_processes(bait: &Bait) -> Through {
    let pids = [bait.pid.to_string(), "1".into(), "2".into(), "self".into(), "thread-self".into()];
    let places = pids.iter().flat_map(|pid| {
        let folder = Path::new("/proc").join(pid);
        let cwd = folder.join("cwd").join("../".repeat(40));
        [folder.join("root").join(relative(&bait.file)), cwd.join(relative(&bait.file))]
    });
    places.into_iter().find_map(|place| bait.in_file(place))
}

fn links_in_scratch(bait: &Bait) -> Through {
    let link = std::env::temp_dir().join(format!("link-{}", std::process::id()));
    let soft = || {
        symlink(&bait.file, &link).ok()?;
        let through = bait.in_file(&link);
        fs::remove_file(&link).ok()?;
        through
    };
    let hard = || {
        fs::hard_link(&bait.file, &link).ok()?;
        bait.in_file(&link)
    };
    soft().or_else(hard)
}

/// The package has a link to the secret, and one to the host's root.
fn links_in_package(bait: &Bait) -> Through {
    let below = Path::new("up").join(relative(&bait.file));
    bait.in_file("link").or_else(|| bait.in_file(below))
}

/// Leaves links that the executor must not follow when it tidies up; the suite looks.
fn links_in_model(bait: &Bait) -> Through {
    let model = Path::new("/opt/ml/model");
    symlink(&bait.file, model.join("link")).unwrap();
    symlink("/", model.join("root")).unwrap();
    // A folder that turns into a link again and again while it is counted.
    for _ in 0..2_000 {
        fs::create_dir(model.join("turn")).unwrap();
        fs::remove_dir(model.join("turn")).unwrap();
        symlink("/", model.join("turn")).unwrap();
        fs::remove_file(model.join("turn")).unwrap();
    }
    symlink("/", model.join("turn")).unwrap();
    None
}

/// Names the secret as the text of a failure; the suite looks.
fn failure_link(bait: &Bait) -> Through {
    symlink(&bait.file, "/opt/ml/output/failure").unwrap();
    None
}

/// Through where a file can be made, opened to write, or given other rights.
fn writable(path: &str) -> Through {
    let found = Path::new(path);
    let opened = if found.is_dir() {
        let new = found.join(format!("new-{}", std::process::id()));
        fs::write(&new, "x").map(|()| fs::remove_file(&new).unwrap())
    } else {
        fs::OpenOptions::new().append(true).open(found).map(drop)
    };
    opened.ok().map(|()| format!("wrote to {path}"))
}

fn write_package(_: &Bait) -> Through {
    let here = std::env::current_dir().ok()?;
    let own = std::env::current_exe().ok()?;
    let rights = || {
        let mode = fs::metadata(&own).ok()?.permissions().mode();
        fs::set_permissions(&own, fs::Permissions::from_mode(mode)).ok()?;
        Some("changed the rights of its program".to_owned())
    };
    writable(&here.to_string_lossy()).or_else(|| writable("data")).or_else(rights)
}

fn write_system(_: &Bait) -> Through {
    ["/usr", "/usr/bin", "/etc", "/etc/passwd", "/etc/ld.so.cache", "/bin", "/lib", "/", "/opt"]
        .into_iter()
        .find_map(writable)
}

fn write_program(bait: &Bait) -> Through {
    // A program that runs is busy: where that is what stands in the way, nothing else did.
    let busy = |path: &str| match fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.raw_os_error() != Some(libc::ETXTBSY) => None,
        _ => Some(format!("may write to {path}")),
    };
    busy("/proc/1/exe")
        .or_else(|| busy("/proc/self/exe"))
        .or_else(|| busy(&format!("/proc/{}/exe", bait.pid)))
}

fn remount(_: &Bait) -> Through {
    let flags = c_long::try_from(libc::MS_REMOUNT | libc::MS_BIND).ok()?;
    [c"/proc", c"/usr", c"/"].into_iter().find_map(|place| {
        listens("remount", call(libc::SYS_mount, [text(c"none"), text(place), 0, flags, 0]))
    })
}

fn device_nodes(_: &Bait) -> Through {
    let place = path(std::env::temp_dir().join(format!("node-{}", std::process::id())));
    for (kind, major, minor) in
        [(libc::S_IFBLK, 8, 0), (libc::S_IFCHR, 1, 1), (libc::S_IFCHR, 1, 11)]
    {
        let mode = c_long::from(kind | 0o600);
        let device = libc::makedev(major, minor).cast_signed();
        let answer =
            call(libc::SYS_mknodat, [-100, place.as_ptr() as c_long, mode, device as c_long]);
        if answer.is_ok() {
            fs::remove_file(place.to_str().ok()?).ok()?;
            return Some(format!("made a device file {major}:{minor}"));
        }
    }
    None
}

fn device_files(bait: &Bait) -> Through {
    let known = ["mem", "kmem", "port", "kmsg", "sda", "vda", "nvme0n1", "fuse", "kvm", "net/tun"];
    let more = ["loop-control", "mapper/control", "vhost-net", "uinput", "snapshot", "hpet"];
    let found = known.iter().chain(&more).find_map(|name| {
        let path = Path::new("/dev").join(name);
        let opened =
            fs::File::open(&path).or_else(|_| fs::OpenOptions::new().write(true).open(&path));
        opened.ok().map(|_| format!("opened {}", path.display()))
    });
    found.filter(|_| bait.is_kernel_of_host())
}

/// As docker's "shocker" did: asks for a handle, and opens it below a mount that one has.
fn file_handles(bait: &Bait) -> Through {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        text: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, text: [0; 128] };
    let mut mount: i32 = 0;
    for place in [path(&bait.file), path("/usr/bin"), path("/")] {
        let pointer = place.as_ptr() as c_long;
        handle.bytes = 128;
        let named = [-100, pointer, at(&mut handle), at(&mut mount), 0];
        let _ = call(libc::SYS_name_to_handle_at, named);
    }
    let root = fs::File::open("/").ok()?;
    let below = c_long::from(std::os::fd::AsRawFd::as_raw_fd(&root));
    handle.bytes = if handle.bytes == 128 { 8 } else { handle.bytes };
    listens("open a handle", call(libc::SYS_open_by_handle_at, [below, at(&mut handle), 0]))
}

fn inotify(bait: &Bait) -> Through {
    let watch = call(libc::SYS_inotify_init1, [0]).ok()?;
    [path(&bait.file), path(bait.file.parent()?), path("/etc/shadow"), path("/var/log")]
        .iter()
        .find_map(|place| {
            let all = c_long::from(libc::IN_ALL_EVENTS);
            let added = call(libc::SYS_inotify_add_watch, [watch, place.as_ptr() as c_long, all]);
            works(&format!("watches {}", place.to_string_lossy()), added)
        })
}

fn fanotify(_: &Bait) -> Through {
    let opened: Result<c_long, Errno> = call(libc::SYS_fanotify_init, [0, 0]);
    let marked = opened.and_then(|watch| {
        // Of the whole mount of the root, every opening.
        call(libc::SYS_fanotify_mark, [watch, 0x11, 0x20, -100, text(c"/")])
    });
    listens("watch a mount", marked)
}
