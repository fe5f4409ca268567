//! Attempts at the kernel's own doors.
//!
//! Always true: arguments are such that a kernel which listens does no harm.

use std::fs;

use nix::libc::{self, c_long};

use crate::bait::{Bait, readable};
use crate::call::{at, call, in_child, listens, own_host_name, path, text, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("mount", mount),
    ("unmount", unmount),
    ("new-mount-calls", new_mount_calls),
    ("pivot-root", |_| listens("pivot_root", call(libc::SYS_pivot_root, [nowhere(), nowhere()]))),
    ("chroot", |_| in_a_child("chroot", || call(libc::SYS_chroot, [text(c"/")]).is_ok())),
    ("keyring", keyring),
    ("bpf", bpf),
    ("perf", perf),
    ("io-uring", io_uring),
    ("userfaultfd", |_| works("userfaultfd", call(libc::SYS_userfaultfd, [1]))),
    ("kernel-log", |_| works("the log's size", call(libc::SYS_syslog, [10, 0, 0]))),
    ("set-host-name", set_host_name),
    ("clock", clock),
    ("reboot", |_| listens("reboot", call(libc::SYS_reboot, [0, 0, 0, 0]))),
    ("kexec", kexec),
    ("load-module", load_module),
    ("swap", |bait| {
        let file = path(&bait.file);
        listens("swapon", call(libc::SYS_swapon, [file.as_ptr() as c_long, 0]))
            .filter(|what| !what.contains("ENOENT"))
    }),
    ("accounting", |_| listens("acct", call(libc::SYS_acct, [nowhere()]))),
    ("ports", ports),
    ("personality", |_| works("personality", call(libc::SYS_personality, [0x0004_0000]))),
    ("terminal", terminal),
    ("write-sysctl", write_sysctl),
    ("core-pattern", |_| opens_to_write("/proc/sys/kernel/core_pattern")),
    ("sysrq", |_| opens_to_write("/proc/sysrq-trigger")),
    ("kernel-memory", kernel_memory),
    ("control-groups", control_groups),
    ("system-files", |bait| {
        let places = ["/sys", "/sys/kernel", "/sys/firmware"];
        places.iter().find_map(readable).filter(|_| bait.is_kernel_of_host())
    }),
    ("old-calls", old_calls),
];

/// A path where nothing is.
fn nowhere() -> c_long {
    text(c"/proc/self/nowhere")
}

/// For what would change the program that goes on.
fn in_a_child(what: &str, run: impl FnOnce() -> bool) -> Through {
    (in_child(|| i32::from(run())) == Some(1)).then(|| what.to_owned())
}

fn mount(_: &Bait) -> Through {
    let folder = std::env::temp_dir().join(format!("mount-{}", std::process::id()));
    fs::create_dir(&folder).ok()?;
    let place = path(&folder);
    let place = place.as_ptr() as c_long;
    let through = [c"tmpfs", c"proc", c"sysfs", c"cgroup2", c"devtmpfs"].iter().find_map(|kind| {
        let made = call(libc::SYS_mount, [text(c"none"), place, text(kind), 0, 0]);
        let _ = made.and_then(|_| call(libc::SYS_umount2, [place, 0]));
        works(&format!("mounted {}", kind.to_string_lossy()), made)
    });
    let bound = || {
        let bind = c_long::try_from(libc::MS_BIND).ok()?;
        let made = call(libc::SYS_mount, [text(c"/"), place, 0, bind, 0]);
        let _ = made.and_then(|_| call(libc::SYS_umount2, [place, 0]));
        works("bound the root", made)
    };
    let through = through.or_else(bound);
    let _ = fs::remove_dir(folder);
    through
}

/// Marks a mount as idle, and no more: the first such call answers so.
fn unmount(_: &Bait) -> Through {
    let expire = c_long::from(libc::MNT_EXPIRE);
    listens("unmount", call(libc::SYS_umount2, [text(c"/proc"), expire]))
}

fn new_mount_calls(_: &Bait) -> Through {
    let clone = c_long::from(libc::OPEN_TREE_CLONE);
    listens("fsopen", call(libc::SYS_fsopen, [text(c"tmpfs"), 0]))
        .or_else(|| listens("open_tree", call(libc::SYS_open_tree, [-100, text(c"/"), clone])))
        .or_else(|| {
            let args = [-100, nowhere(), -100, nowhere(), 0];
            listens("move_mount", call(libc::SYS_move_mount, args))
        })
        .or_else(|| {
            let mut wanted = [0_u64; 4];
            let args = [-100, nowhere(), 0, at(&mut wanted), 32];
            listens("mount_setattr", call(libc::SYS_mount_setattr, args))
        })
}

fn keyring(_: &Bait) -> Through {
    // KEYCTL_GET_KEYRING_ID of the session and of the user; then a key of one's own.
    [-3, -4, -5]
        .into_iter()
        .find_map(|ring| works("a keyring", call(libc::SYS_keyctl, [0, ring, 1])))
        .or_else(|| {
            let args = [text(c"user"), text(c"freehold-try"), text(c"v"), 1, -2];
            works("added a key", call(libc::SYS_add_key, args))
        })
        .or_else(|| {
            let args = [text(c"user"), text(c"freehold-try"), 0, 0];
            listens("asked for a key", call(libc::SYS_request_key, args))
        })
}

fn bpf(_: &Bait) -> Through {
    // BPF_MAP_CREATE of an array with one element.
    let mut wanted = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    works("a map", call(libc::SYS_bpf, [0, at(&mut wanted), 64]))
}

fn perf(_: &Bait) -> Through {
    // PERF_TYPE_SOFTWARE, 64 bytes, the clock of a processor; of all processes on the first one.
    let mut wanted = [0_u64; 16];
    wanted[0] = 1 | (64 << 32);
    works("counts", call(libc::SYS_perf_event_open, [at(&mut wanted), -1, 0, -1, 0])).or_else(
        || works("counts", call(libc::SYS_perf_event_open, [at(&mut wanted), 0, -1, -1, 0])),
    )
}

fn io_uring(_: &Bait) -> Through {
    let mut wanted = [0_u32; 30];
    works("a ring", call(libc::SYS_io_uring_setup, [1, at(&mut wanted)]))
}

/// Sets the name that it has.
fn set_host_name(_: &Bait) -> Through {
    let name = own_host_name();
    let length = c_long::try_from(name.len()).ok()?;
    let answer = call(libc::SYS_sethostname, [path(&name).as_ptr() as c_long, length]);
    works("sethostname", answer)
}

/// Sets the clock's rate to what it is.
fn clock(_: &Bait) -> Through {
    let mut now = [0_i64; 40];
    let _ = call(libc::SYS_adjtimex, [at(&mut now)]);
    let mut tick = [0_i64; 40];
    // ADJ_TICK, with the tick that was read.
    (tick[0], tick[11]) = (0x4000, now[11]);
    let mut time = [0_i64; 2];
    listens("adjtimex", call(libc::SYS_adjtimex, [at(&mut tick)])).or_else(|| {
        // The time zone alone, as it is usually: none.
        listens("settimeofday", call(libc::SYS_settimeofday, [0, at(&mut time)]))
    })
}

fn kexec(_: &Bait) -> Through {
    // Without segments: forgets a kernel that was loaded, of which there is none.
    works("kexec_load", call(libc::SYS_kexec_load, [0, 0, 0, 0]))
        .or_else(|| listens("kexec_file_load", call(libc::SYS_kexec_file_load, [-1, -1, 0, 0, 0])))
}

fn load_module(_: &Bait) -> Through {
    let mut nothing = [0_u8; 8];
    listens("init_module", call(libc::SYS_init_module, [at(&mut nothing), 8, text(c"")]))
        .or_else(|| listens("finit_module", call(libc::SYS_finit_module, [-1, text(c""), 0])))
        .or_else(|| listens("delete_module", call(libc::SYS_delete_module, [text(c"nowhere"), 0])))
}

fn ports(_: &Bait) -> Through {
    #[cfg(target_arch = "x86_64")]
    return works("ioperm", call(libc::SYS_ioperm, [0x80, 1, 1]))
        .or_else(|| works("iopl", call(libc::SYS_iopl, [3])));
    #[cfg(not(target_arch = "x86_64"))]
    None
}

fn terminal(_: &Bait) -> Through {
    let letter = c"x";
    let inject = c_long::try_from(libc::TIOCSTI).ok()?;
    // The kernel takes 32 bits; a filter that compares more would let the second pass.
    let wide = inject | 1 << 32;
    [inject, wide, 0x541c]
        .into_iter()
        .find_map(|request| listens("ioctl", call(libc::SYS_ioctl, [0, request, text(letter)])))
        .or_else(|| fs::File::open("/dev/tty").ok().map(|_| "opened a terminal".to_owned()))
}

fn opens_to_write(path: &str) -> Through {
    let opened = fs::OpenOptions::new().write(true).open(path);
    opened.ok().map(|_| format!("opened {path}"))
}

fn write_sysctl(_: &Bait) -> Through {
    ["kernel/hostname", "kernel/modprobe", "vm/overcommit_memory", "fs/file-max", "kernel/pid_max"]
        .iter()
        .find_map(|name| opens_to_write(&format!("/proc/sys/{name}")))
}

fn kernel_memory(_: &Bait) -> Through {
    let addresses = || {
        let text = fs::read_to_string("/proc/kallsyms").ok()?;
        let first = text.lines().find(|line| !line.starts_with("0000000000000000"))?;
        Some(format!("an address: {first}"))
    };
    ["/proc/kcore", "/proc/kpagecount", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/timer_list"]
        .iter()
        .find_map(readable)
        .or_else(addresses)
}

fn control_groups(_: &Bait) -> Through {
    let folder = std::env::temp_dir().join(format!("groups-{}", std::process::id()));
    fs::create_dir(&folder).ok()?;
    let place = path(&folder);
    let place = place.as_ptr() as c_long;
    let mounted = [c"cgroup2", c"cgroup"].into_iter().find_map(|kind| {
        let made = call(libc::SYS_mount, [text(kind), place, text(kind), 0, 0]);
        let _ = made.and_then(|_| call(libc::SYS_umount2, [place, 0]));
        works("mounted control groups", made)
    });
    let _ = fs::remove_dir(folder);
    mounted.or_else(|| readable("/sys/fs/cgroup"))
}

/// Past a filter that looks at the number alone.
fn old_calls(_: &Bait) -> Through {
    #[cfg(target_arch = "x86_64")]
    {
        let old = in_child(|| {
            let mut answer: i64 = 20;
            // SAFETY: getpid by the old gate takes nothing and changes but the answer's register.
            unsafe {
                std::arch::asm!("int 0x80", inout("rax") answer, out("r8") _, out("r9") _,
                    out("r10") _, out("r11") _);
            }
            i32::from(answer > 0)
        });
        // The same call by the numbers of the x32 form.
        let narrow = in_child(|| i32::from(call(0x4000_0000 | libc::SYS_getpid, []).is_ok()));
        (old == Some(1))
            .then(|| "a call of 32 bits".to_owned())
            .or_else(|| (narrow == Some(1)).then(|| "a call of the x32 form".to_owned()))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}
