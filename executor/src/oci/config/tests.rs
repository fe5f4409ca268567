use super::*;
use crate::plan::tests::a_plan_of_a_function;

fn made(groups: Option<&Path>) -> Value {
    let plan = a_plan_of_a_function();
    let root = plan.root.clone().unwrap();
    let (at, scratch) = (Path::new("/data/i/x/root"), Path::new("/data/i/x/scratch"));
    config(&plan, &root, &Places { root: at, scratch, groups, tells_errors: true }).unwrap()
}

#[test]
fn the_whole_configuration_of_a_function() {
    let mut config = made(Some(Path::new("/freehold-1-x")));
    // The calls have a golden form of their own: what is checked of their arguments.
    let calls = config["linux"]["seccomp"]["syscalls"].take();
    let checked: Vec<&Value> =
        calls.as_array().unwrap().iter().filter(|rule| rule.get("args").is_some()).collect();
    let ioctl = |rule: &&&Value| rule["names"][0] == "ioctl";
    assert!(checked.iter().filter(ioctl).count() > 30);
    let others: Vec<_> = checked.iter().filter(|rule| !ioctl(rule)).collect();
    // Whether JSON keeps the order in which it was made is another room's choice.
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(config);
        insta::assert_json_snapshot!("what_is_checked_of_arguments", others);
    });
}

#[test]
fn a_user_of_its_own_is_needed() {
    let mut plan = a_plan_of_a_function();
    plan.identity = Identity::Keep;
    let root = plan.root.clone().unwrap();
    let at = Path::new("/x");
    let places = Places { root: at, scratch: at, groups: None, tells_errors: true };
    assert!(config(&plan, &root, &places).is_err());
}

/// Nothing is shown that the plan does not show, and nothing but scratch and job folders to write.
#[test]
fn every_bind_of_the_plan_is_a_mount_with_its_rights() {
    let plan = a_plan_of_a_function();
    let config = made(None);
    let mounts = config["mounts"].as_array().unwrap();
    let root = plan.root.unwrap();
    let binds = root.binds.iter().filter(|bind| bind.kind != BindKind::Device);
    assert_eq!(mounts.len(), 4 + binds.clone().count());
    for bind in binds {
        let target = text(&bind.target);
        let mount = mounts.iter().find(|mount| mount["destination"] == target.as_str()).unwrap();
        let read_only = mount["options"].as_array().unwrap().contains(&json!("ro"));
        assert_eq!(read_only, bind.kind == BindKind::Read, "{target}");
    }
    assert_eq!(config["linux"]["namespaces"].as_array().unwrap().len(), 6);
    assert!(config["linux"].get("cgroupsPath").is_none());
}
