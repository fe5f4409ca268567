use std::collections::BTreeMap;

use serde_json::json;
use types::{FunctionRuntime, InstanceId};

use super::*;
use crate::machine::Host;
use crate::start::{PYTHON, Parking};

fn machine() -> Machine {
    Machine {
        uid: 0,
        gid: 0,
        namespaces: Namespaces {
            user: false,
            mount: true,
            process: true,
            network: true,
            ipc: true,
            name: true,
            cgroup: true,
        },
        refused: BTreeMap::new(),
        users: Users::PerInstance { first: 5_000 },
        fresh_proc: true,
        landlock: 6,
        seccomp: true,
        process_limit: true,
        host: Host {
            folders: vec!["/usr".into(), "/etc/ld.so.cache".into()],
            links: vec![("/lib".into(), "usr/lib".into())],
        },
    }
}

fn start(work: Work) -> Start {
    Start {
        id: InstanceId::new("0192f0c1-d2e3-7a4b-b5c6-d7e8f9a0b1c2".parse().unwrap()),
        generation: 1,
        package: "/data/packages/a".into(),
        work,
        limits: types::Limits {
            timeout_ms: 1_000,
            memory_bytes: 256 << 20,
            cpu_milli: 1_500,
            processes: 16,
            scratch_bytes: 64 << 20,
        },
        task: json!({"entry": "model.onnx"}),
    }
}

fn job() -> Work {
    Work::Job(Job {
        name: "training-1".to_owned(),
        program: "bin/train".into(),
        args: vec!["train".to_owned()],
        config: BTreeMap::from([("hyperparameters.json".to_owned(), b"{}".to_vec())]),
        channels: BTreeMap::from([("events".to_owned(), "/data/cache/e".into())]),
    })
}

fn given() -> Given<'static> {
    Given {
        program: Path::new("/usr/local/bin/freehold"),
        onnxruntime: Some(Path::new("/data/libonnxruntime.so.1.31.1")),
        runtimes: Path::new("/data/r"),
        folder: Path::new("/data/i/x"),
        slot: 7,
        join: vec!["/sys/fs/cgroup/memory/freehold-x/tasks".into()],
        birthplace: Some("/sys/fs/cgroup/unified/freehold-x".into()),
    }
}

#[test]
fn the_whole_plan_of_a_worker() {
    insta::assert_json_snapshot!(make(&start(Work::Serve), &given(), &machine()).unwrap());
}

#[test]
fn the_whole_plan_of_a_job() {
    insta::assert_json_snapshot!(make(&start(job()), &given(), &machine()).unwrap());
}

pub(crate) fn a_plan_of_a_function() -> Plan {
    let env = [("_HANDLER", "app.handler"), ("HOME", "/root"), ("COLOUR", "blue")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let args = vec!["/var/runtime/bootstrap.py".to_owned()];
    let function = Work::Function(Function {
        program: "/usr/bin/python3".into(),
        args,
        env,
        ..Function::default()
    });
    make(&start(function), &given(), &machine()).unwrap()
}

#[test]
fn the_whole_plan_of_a_function() {
    insta::assert_json_snapshot!(a_plan_of_a_function());
}

#[test]
fn the_whole_plan_of_a_parked_sandbox_and_its_claim() {
    let id = start(job()).id;
    let limits = start(job()).limits;
    let parking = Parking { runtime: FunctionRuntime::Python3, limits };
    let parked = park(&parking, Waits::Interpreter, id, &given(), &machine()).unwrap();
    let env = BTreeMap::from([("_HANDLER".to_owned(), "app.handler".to_owned())]);
    let args = vec!["/var/runtime/bootstrap.py".to_owned()];
    let function = Function { program: PYTHON.into(), args, env, ..Function::default() };
    assert!(parking.fits(&function, &limits));
    let start = start(Work::Function(function));
    let claim = claim(&start, &given()).unwrap();
    insta::assert_json_snapshot!((&parked, &claim));
    let parked_again = parked.clone();
    // Both together are what an unparked one is.
    let whole = make(&start, &given(), &machine()).unwrap();
    let mut root = parked.root.unwrap();
    root.folders.clear();
    let package = Bind { source: claim.package, target: TASK_ROOT.into(), kind: BindKind::Read };
    let place = whole.root.as_ref().unwrap().binds.iter().position(|bind| *bind == package);
    root.binds.insert(place.unwrap(), package);
    let command = Some(claim.command);
    assert_eq!(Plan { root: Some(root), command, waits: None, ..parked }, whole);
    let native = park(&parking, Waits::Process, id, &given(), &machine()).unwrap();
    assert_eq!(native, Plan { command: None, waits: Some(Waits::Process), ..parked_again });
}

#[test]
fn an_image_is_the_root_and_nothing_of_the_host_but_devices() {
    let image = Image {
        entries: vec!["etc".to_owned(), "usr".to_owned()],
        links: vec![("bin".to_owned(), "usr/bin".to_owned())],
        folder: "/app".into(),
    };
    let (program, args, env) = ("run".into(), vec!["-v".to_owned()], BTreeMap::new());
    let function = Function { program, args, env, image: Some(image), ..Function::default() };
    let plan = make(&start(Work::Function(function)), &given(), &machine()).unwrap();
    let root = plan.root.unwrap();
    let shown: Vec<_> = root.binds.iter().filter(|bind| bind.kind != BindKind::Device).collect();
    let of = |name: &str| Bind {
        source: Path::new("/data/packages/a").join(name),
        target: Path::new("/").join(name),
        kind: BindKind::Read,
    };
    assert_eq!(shown, [&of("etc"), &of("usr")]);
    assert_eq!((root.files.len(), &root.links[0]), (0, &("/bin".into(), "usr/bin".into())));
    let command = plan.command.unwrap();
    assert_eq!((command.program, command.folder), ("run".into(), "/app".into()));
}

#[test]
fn a_machine_that_cannot_mount_later_parks_nothing() {
    let mut machine = machine();
    machine.refused.insert("late mounts", "not offered by this kernel".to_owned());
    let limits = start(job()).limits;
    let parking = Parking { runtime: FunctionRuntime::Provided, limits };
    let refused = park(&parking, Waits::Process, start(job()).id, &given(), &machine);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("late mounts (not offered by this kernel)"), "{refused}");
}

#[test]
fn what_an_interpreter_reads_at_its_start_keeps_a_function_from_a_parked_one() {
    let limits = start(job()).limits;
    let parking = Parking { runtime: FunctionRuntime::Python3, limits };
    let native = Parking { runtime: FunctionRuntime::Provided, limits };
    let function = |args: &[&str], name: &str| Function {
        program: PYTHON.into(),
        args: args.iter().map(|&word| word.to_owned()).collect(),
        env: BTreeMap::from([(name.to_owned(), String::new())]),
        ..Function::default()
    };
    for (args, name, fits) in [
        (&["/var/runtime/bootstrap.py"][..], "COLOUR", true),
        (&["-m", "awslambdaric", "app.handler"], "COLOUR", true),
        (&["-u", "/var/runtime/bootstrap.py"], "COLOUR", false),
        (&[], "COLOUR", false),
        (&["/var/runtime/bootstrap.py"], "PYTHONPATH", false),
        (&["/var/runtime/bootstrap.py"], "LD_PRELOAD", false),
    ] {
        assert_eq!(parking.fits(&function(args, name), &limits), fits, "{args:?} {name}");
        assert!(native.fits(&function(args, name), &limits));
    }
    let function = function(&["/var/runtime/bootstrap.py"], "COLOUR");
    let other = types::Limits { memory_bytes: limits.memory_bytes + 1, ..limits };
    assert!(!parking.fits(&function, &other));
    assert!(parking.fits(&function, &types::Limits { timeout_ms: 7, ..limits }));
}

#[test]
fn without_mounts_a_worker_is_sealed_by_landlock_and_a_job_is_refused() {
    let mut machine = machine();
    machine.namespaces.mount = false;
    machine.refused.insert("mount namespace", "not permitted".to_owned());
    let plan = make(&start(Work::Serve), &given(), &machine).unwrap();
    assert_eq!(plan.root, None);
    assert!(plan.access.read.contains(&"/data/packages/a".into()));
    assert!(!plan.access.read.contains(&"/".into()));
    let refused = make(&start(job()), &given(), &machine).unwrap_err().to_string();
    assert!(refused.contains("mount namespace (not permitted)"), "{refused}");
    machine.landlock = 0;
    assert!(matches!(make(&start(Work::Serve), &given(), &machine), Err(Error::Refused { .. })));
}

#[test]
fn without_a_filter_nothing_runs() {
    let machine = Machine { seccomp: false, ..machine() };
    assert!(matches!(make(&start(Work::Serve), &given(), &machine), Err(Error::Refused { .. })));
}

#[test]
fn channel_names_stay_in_their_folder() {
    for name in ["..", "a/b", "", ".x", "a b"] {
        let Work::Job(mut job) = job() else { unreachable!() };
        job.channels = BTreeMap::from([(name.to_owned(), "/data/c".into())]);
        let made = make(&start(Work::Job(job)), &given(), &machine());
        assert!(matches!(made, Err(Error::Invalid { .. })), "{name:?}");
    }
}
