//! Functions that bring a whole root: what they see of the host is nothing.

use std::path::PathBuf;
use std::process::Command;

use executor::Image;

use super::*;

/// Asks the Runtime API for work with nothing but the standard library.
const PROGRAM: &str = r#"
import json, os, urllib.request as http

at = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    call = http.urlopen(at + "next")
    event = json.loads(call.read())
    try:
        open("/app/mine", "w")
        written = True
    except OSError:
        written = False
    told = {
        "event": event, "cwd": os.getcwd(), "colour": os.environ["COLOUR"],
        "seen": [path for path in event["paths"] if os.path.exists(path)],
        "link": os.readlink("/lib"), "motd": open("/etc/motd").read(), "written": written,
        "scratch": open("/tmp/x", "w").write("x"),
    }
    own = call.headers["Lambda-Runtime-Aws-Request-Id"]
    http.urlopen(at + own + "/response", data=json.dumps(told).encode())
"#;

/// A root with the host's Python and what that needs, and no more.
pub(super) fn python_root(root: &Path, program: &str) {
    let python = fs::canonicalize(PYTHON).unwrap();
    let needed = Command::new("ldd").arg(&python).output().unwrap();
    let needed = String::from_utf8(needed.stdout).unwrap();
    let words = needed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut files: Vec<PathBuf> = words.map(PathBuf::from).collect();
    files.push(python.clone());
    for file in files {
        // Debian's /lib and /lib64 are links into /usr.
        let real = fs::canonicalize(file.parent().unwrap()).unwrap();
        let place = root.join(real.strip_prefix("/").unwrap());
        fs::create_dir_all(&place).unwrap();
        fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
    }
    let library = PathBuf::from("/usr/lib").join(python.file_name().unwrap());
    let copied = Command::new("cp").arg("-rL").args([&library, &root.join("usr/lib")]).status();
    assert!(copied.unwrap().success());
    for (name, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64"), ("bin", "usr/bin")] {
        fs::create_dir_all(root.join(target)).unwrap();
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(python.file_name().unwrap(), root.join("usr/bin/python")).unwrap();
    fs::create_dir_all(root.join("app")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/motd"), "of the image").unwrap();
    fs::write(root.join("app/main.py"), program).unwrap();
    // What an image says there means nothing: these are the sandbox's own.
    fs::create_dir_all(root.join("proc/1")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("tmp")).unwrap();
}

#[tokio::test]
async fn an_image_is_all_that_its_program_sees() {
    if !Path::new(PYTHON).is_file() {
        eprintln!("SKIPPED: there is no {PYTHON}");
        return;
    }
    let Some(host) = Host::new(Way::Made, |_| {}) else { return };
    let root = host.folder.path().join("package");
    python_root(&root, PROGRAM);
    let env = [("PATH", "/usr/bin"), ("COLOUR", "blue")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let image = Image::of(&root, "/app".into()).unwrap();
    assert_eq!(image.entries, ["app", "etc", "usr"]);
    let args = vec!["main.py".to_owned()];
    let function = Function { program: "python".into(), args, env, image: Some(image) };
    let running = host.start(function).await;
    let event = json!({
        "paths": ["/app/main.py", "/var/runtime", "/var/task", "/root", "/work", "/etc/passwd",
                  "/usr/bin/env", "/dev/null", "/proc/self"],
    });
    for id in ["r-1", "r-2"] {
        let told = read(invoke(&running, id, &event).await);
        let expected = json!({
            "event": event, "cwd": "/app", "colour": "blue",
            "seen": ["/app/main.py", "/dev/null", "/proc/self"],
            "link": "usr/lib", "motd": "of the image", "written": false, "scratch": 1,
        });
        assert_eq!(told, expected);
    }
    running.kill();
    assert_eq!(running.wait().await.ending, Ending::Killed);
    assert!(!Path::new("/etc/x").exists(), "the link of the image was followed on the host");
}

over!(crun: an_image_is_all_that_its_program_sees);
over!(runc: an_image_is_all_that_its_program_sees);
over!(runsc: an_image_is_all_that_its_program_sees);
