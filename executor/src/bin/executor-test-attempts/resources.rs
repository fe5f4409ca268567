//! Attempts at more memory, processors, processes and disk than were given.
//!
//! The suite gives an instance 64 MiB of memory, 8 MiB of scratch and 16 processes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use nix::libc::{self, c_long};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::unistd::{ForkResult, fork};

use crate::bait::Bait;
use crate::call::{call, text, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("fork-bomb", fork_bomb),
    ("thread-bomb", thread_bomb),
    ("memory-bomb", memory_bomb),
    ("memory-many", memory_many),
    ("memory-files", memory_files),
    ("memory-segments", memory_segments),
    ("memory-sockets", memory_sockets),
    ("fill-scratch", fill_scratch),
    ("fill-inodes", fill_inodes),
    ("large-file", large_file),
    ("flood-model", flood_model),
    ("processor-hog", processor_hog),
    ("raise-limits", raise_limits),
    ("raise-priority", raise_priority),
    ("oom-score", oom_score),
];

/// Bytes that no instance of the suite may have: many times its limit.
const TOO_MANY_BYTES: usize = 512 << 20;
/// Bytes taken at once.
const STEP_BYTES: usize = 4 << 20;
/// How long what was taken is held, so that whoever watches can see it.
const HELD: Duration = Duration::from_secs(2);

fn fork_bomb(_: &Bait) -> Through {
    for _ in 0..500 {
        // SAFETY: this program has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => loop {
                std::thread::sleep(Duration::from_mins(10));
            },
            Ok(ForkResult::Parent { .. }) => {}
            Err(_) => return None,
        }
    }
    std::thread::sleep(HELD);
    Some("500 processes".to_owned())
}

fn thread_bomb(_: &Bait) -> Through {
    for _ in 0..500 {
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        thread.spawn(|| std::thread::sleep(Duration::from_mins(10))).ok()?;
    }
    std::thread::sleep(HELD);
    Some("500 threads".to_owned())
}

fn fill(bytes: usize) -> Option<Vec<u8>> {
    let mut block: Vec<u8> = Vec::new();
    block.try_reserve_exact(bytes).ok()?;
    block.resize(bytes, 1);
    Some(block)
}

fn memory_bomb(_: &Bait) -> Through {
    let mut blocks = Vec::new();
    for _ in 0..TOO_MANY_BYTES / STEP_BYTES {
        blocks.push(fill(STEP_BYTES)?);
    }
    std::thread::sleep(HELD);
    Some(format!("{} MiB", (blocks.len() * STEP_BYTES) >> 20))
}

/// Each process says when it has its part.
fn memory_many(_: &Bait) -> Through {
    let (mut said, mut say) = std::io::pipe().ok()?;
    let mut all = [0; 12];
    for _ in 0..all.len() {
        // SAFETY: this program has one thread.
        if let ForkResult::Child = unsafe { fork() }.ok()? {
            let block = fill(TOO_MANY_BYTES / all.len());
            if block.is_some() {
                say.write_all(&[1]).unwrap();
            }
            std::thread::sleep(Duration::from_mins(10));
            drop(block);
        }
    }
    said.read_exact(&mut all).ok()?;
    std::thread::sleep(HELD);
    Some("12 processes with a twelfth each".to_owned())
}

fn memory_files(_: &Bait) -> Through {
    use std::os::fd::{FromRawFd as _, OwnedFd};
    let mut files = Vec::new();
    for _ in 0..TOO_MANY_BYTES / STEP_BYTES {
        let number = call(libc::SYS_memfd_create, [text(c"block"), 0]).ok()?;
        // SAFETY: the number was just made, and nothing else owns it.
        let file = unsafe { OwnedFd::from_raw_fd(i32::try_from(number).ok()?) };
        let mut file = fs::File::from(file);
        file.write_all(&vec![1; STEP_BYTES]).ok()?;
        files.push(file);
    }
    std::thread::sleep(HELD);
    Some(format!("{} MiB in files", (files.len() * STEP_BYTES) >> 20))
}

fn memory_segments(_: &Bait) -> Through {
    let mut segments = 0;
    let through = (0..TOO_MANY_BYTES / STEP_BYTES).try_for_each(|_| {
        let size = c_long::try_from(STEP_BYTES).ok()?;
        let mode = c_long::from(libc::IPC_CREAT | 0o600);
        let segment = call(libc::SYS_shmget, [libc::IPC_PRIVATE.into(), size, mode]).ok()?;
        segments += 1;
        let place = call(libc::SYS_shmat, [segment, 0, 0]).ok()?;
        // SAFETY: the segment is as long as the slice, ours alone, and mapped until the call below.
        unsafe { std::slice::from_raw_parts_mut(place as *mut u8, STEP_BYTES) }.fill(1);
        call(libc::SYS_shmdt, [place]).ok().map(drop)
    });
    if through.is_some() {
        std::thread::sleep(HELD);
    }
    through.map(|()| format!("{} MiB in segments", (segments * STEP_BYTES) >> 20))
}

/// Each socket takes as much as its buffer holds.
fn memory_sockets(_: &Bait) -> Through {
    use std::os::unix::net::UnixStream;
    let block = vec![1; 64 << 10];
    let (mut pairs, mut written) = (Vec::new(), 0);
    while written < TOO_MANY_BYTES {
        let (mut one, mut other) = UnixStream::pair().ok()?;
        for end in [&mut one, &mut other] {
            end.set_nonblocking(true).ok()?;
            while let Ok(count) = end.write(&block) {
                written += count;
            }
        }
        pairs.push((one, other));
    }
    std::thread::sleep(HELD);
    Some(format!("{} MiB in {} pairs of sockets", written >> 20, pairs.len()))
}

fn fill_scratch(_: &Bait) -> Through {
    let mut written = 0;
    for folder in ["/tmp", "/dev/shm", "/dev", "/var/tmp", "/run", "/run/lock"] {
        for number in 0..64 {
            let Ok(mut file) = fs::File::create(format!("{folder}/{number}")) else { break };
            let block = vec![1; 1 << 20];
            written += (0..4).take_while(|_| file.write_all(&block).is_ok()).count();
        }
    }
    (written > 8).then(|| format!("{written} MiB of scratch"))
}

fn fill_inodes(_: &Bait) -> Through {
    let made = (0..50_000).take_while(|number| fs::File::create(format!("/tmp/{number}")).is_ok());
    (made.count() == 50_000).then(|| "50,000 files".to_owned())
}

fn large_file(_: &Bait) -> Through {
    use std::os::fd::AsRawFd as _;
    // A limit of the resource kind would end the program by a signal.
    // SAFETY: a signal is ignored, and no code of ours runs for it.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let path = std::env::temp_dir().join(format!("large-{}", std::process::id()));
    let file = fs::File::create(&path).ok()?;
    let size: c_long = 256 << 20;
    let reserved = call(libc::SYS_fallocate, [file.as_raw_fd().into(), 0, 0, size]);
    let _ = fs::remove_file(path);
    works("reserved 256 MiB", reserved)
}

/// Ended by whoever watches; the suite tells that from an end of its own.
fn flood_model(_: &Bait) -> Through {
    for number in 0..1_000 {
        let mut file = fs::File::create(format!("/opt/ml/model/{number}")).ok()?;
        file.write_all(&vec![1; 1 << 20]).ok()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    Some("1,000 MiB in the model folder".to_owned())
}

/// The suite gives this one a tenth of a processor.
fn processor_hog(_: &Bait) -> Through {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1_500) {
        std::hint::black_box(start);
    }
    let used = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let ms = used.user_time().tv_sec() * 1_000 + used.user_time().tv_usec() / 1_000;
    let passed = i64::try_from(start.elapsed().as_millis()).ok()?;
    (ms * 2 > passed).then(|| format!("{ms} ms of {passed}"))
}

fn raise_limits(_: &Bait) -> Through {
    let kinds = [
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_MSGQUEUE,
        Resource::RLIMIT_RTPRIO,
        Resource::RLIMIT_CORE,
    ];
    kinds.into_iter().find_map(|kind| {
        let (_, hard) = getrlimit(kind).ok()?;
        let more = if hard == libc::RLIM_INFINITY { hard } else { hard + 1 };
        works(&format!("raised {kind:?}"), setrlimit(kind, more, more))
    })
}

fn raise_priority(bait: &Bait) -> Through {
    let first = 1_u32;
    let mut real_time = [first; 1];
    works("a better priority", call(libc::SYS_setpriority, [0, 0, -5]))
        .or_else(|| {
            let at = crate::call::at(&mut real_time);
            works("real-time scheduling", call(libc::SYS_sched_setscheduler, [0, 1, at]))
        })
        .or_else(|| works("real-time disk access", call(libc::SYS_ioprio_set, [1, 0, 1 << 13])))
        .filter(|_| bait.is_kernel_of_host())
}

fn oom_score(bait: &Bait) -> Through {
    let written = fs::write("/proc/self/oom_score_adj", "-999").is_ok();
    (written && bait.is_kernel_of_host()).then(|| "passed over".to_owned())
}
