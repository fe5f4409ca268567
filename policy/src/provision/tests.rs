use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::alias::Additional;

const MIB: u64 = 1024;

fn revision(number: u128) -> RevisionId {
    RevisionId::new(Uuid::from_u128(number))
}

fn host(number: u128) -> HostId {
    HostId::new(Uuid::from_u128(number))
}

fn account(number: u8) -> Name {
    format!("account-{number}").parse().unwrap()
}

/// An alias of version 1, with this share for version 2.
fn alias(share_bp: u32) -> Routing {
    let second = Additional { version: Version::Numbered(2), share_bp };
    Routing::new(Version::Numbered(1), &[second], |_| true).unwrap()
}

fn only(version: Version) -> Routing {
    Routing::new(version, &[], |_| true).unwrap()
}

fn setting(qualifier: &str, routing: Routing, instances: u32) -> Setting {
    Setting { qualifier: qualifier.to_owned(), routing, instances }
}

fn want(number: u128, function: u128, instances: u32, mib: u64) -> Want {
    Want {
        revision: revision(number),
        function: FunctionId::new(Uuid::from_u128(function)),
        account: account(0),
        instances,
        memory_kib: mib * MIB,
    }
}

fn open(number: u128, mib: u64) -> Host {
    Host { id: host(number), memory_kib: mib * MIB, dedicated: None }
}

/// What a plan leads to, once it is carried out.
fn carried_out(plan: &Plan, wants: &[Want], before: &[Kept]) -> Vec<Kept> {
    let kept = |(&(revision, host), &wanted): (&(RevisionId, HostId), &u32)| {
        let want = wants.iter().find(|want| want.revision == revision);
        let was = before.iter().find(|kept| kept.revision == revision);
        let function = want.map(|want| want.function).or(was.map(|was| was.function)).unwrap();
        let kib = want.map(|want| want.memory_kib).or(was.map(|was| was.memory_kib)).unwrap();
        Kept { revision, function, host, wanted, ready: wanted, memory_kib: kib }
    };
    plan.keep.iter().map(kept).collect()
}

#[test]
fn instances_are_divided_as_calls_are_and_none_is_lost() {
    for (instances, share_bp, parts) in [
        (10, 0, (10, 0)),
        (10, 2_500, (7, 3)),
        (10, 2_499, (8, 2)),
        (10, 10_000, (0, 10)),
        (10, 1, (9, 1)),
        (10, 9_999, (1, 9)),
        (2, 9_000, (1, 1)),
        (1, 4_999, (1, 0)),
        (1, 5_000, (0, 1)),
    ] {
        let settings = [setting("live", alias(share_bp), instances)];
        let versions = by_version(&settings).unwrap();
        let expected = BTreeMap::from([(1, ("live", parts.0)), (2, ("live", parts.1))]);
        assert_eq!(versions, expected, "{instances} by {share_bp}");
    }
}

#[test]
fn what_changes_in_place_or_is_kept_by_another_is_refused() {
    let latest = [setting("live", only(Version::Latest), 1)];
    assert_eq!(by_version(&latest), Err(Refusal::Latest { qualifier: "live".to_owned() }));
    let one = || setting("1", only(Version::Numbered(1)), 3);
    for other in [alias(0), alias(5_000), alias(10_000)] {
        let settings = [one(), setting("live", other, 2)];
        let (one, other) = ("1".to_owned(), "live".to_owned());
        assert_eq!(by_version(&settings), Err(Refusal::Twice { version: 1, one, other }));
    }
    let apart = [one(), setting("next", only(Version::Numbered(2)), 2)];
    assert_eq!(by_version(&apart), Ok(BTreeMap::from([(1, ("1", 3)), (2, ("next", 2))])));
}

#[test]
fn instances_are_spread_over_hosts() {
    let hosts = [open(1, 1024), open(2, 2048), open(3, 2048)];
    let spread = plan(&[want(7, 1, 5, 128)], &hosts, &[]);
    let expected = [(1, 1), (2, 2), (3, 2)].map(|(at, count)| ((revision(7), host(at)), count));
    assert_eq!(spread, Plan { keep: BTreeMap::from(expected), short: BTreeMap::new() });
}

#[test]
fn a_quarter_of_a_host_is_left_to_others_and_what_has_no_room_is_told() {
    let hosts = [open(1, 1024)];
    let wants = [want(7, 1, 2, 256), want(8, 2, 4, 128)];
    let full = plan(&wants, &hosts, &[]);
    let expected = [(7, 2), (8, 2)].map(|(of, count)| ((revision(of), host(1)), count));
    assert_eq!(full.keep, BTreeMap::from(expected));
    assert_eq!(full.short, BTreeMap::from([(revision(8), 2)]));
}

#[test]
fn a_host_of_an_account_keeps_its_functions_alone() {
    let own = Host { dedicated: Some(account(1)), ..open(1, 1024) };
    let hosts = [own.clone(), open(2, 1024)];
    let of = |number| Want { account: account(number), ..want(7, 1, 2, 128) };
    let at = |count, at| BTreeMap::from([((revision(7), host(at)), count)]);
    assert_eq!(plan(&[of(1)], &hosts, &[]).keep, at(2, 1));
    assert_eq!(plan(&[of(2)], &hosts, &[]).keep, at(2, 2));
    assert_eq!(plan(&[of(2)], &[own], &[]).short, BTreeMap::from([(revision(7), 2)]));
}

#[test]
fn what_is_on_a_lost_host_is_made_up_for_elsewhere() {
    let (both, one) = ([open(1, 1024), open(2, 1024)], [open(2, 1024)]);
    let wants = [want(7, 1, 4, 128)];
    let before = carried_out(&plan(&wants, &both, &[]), &wants, &[]);
    assert_eq!(before.len(), 2);
    let after = plan(&wants, &one, &before);
    assert_eq!(after.keep, BTreeMap::from([((revision(7), host(2)), 4)]));
}

#[test]
fn the_version_before_stays_until_the_next_one_is_there() {
    let hosts = [open(1, 1024)];
    let before = carried_out(&plan(&[want(7, 1, 2, 128)], &hosts, &[]), &[want(7, 1, 2, 128)], &[]);
    let moved = [want(8, 1, 2, 128)];
    let keep = |of: &[(u128, u32)]| -> BTreeMap<_, _> {
        of.iter().map(|(of, count)| ((revision(*of), host(1)), *count)).collect()
    };
    let first = plan(&moved, &hosts, &before);
    assert_eq!(first.keep, keep(&[(7, 2), (8, 2)]));
    let mut there = carried_out(&first, &moved, &before);
    there.iter_mut().find(|kept| kept.revision == revision(8)).unwrap().ready = 1;
    assert_eq!(plan(&moved, &hosts, &there).keep, keep(&[(7, 2), (8, 2)]), "one is missing");
    let there = carried_out(&first, &moved, &before);
    assert_eq!(plan(&moved, &hosts, &there).keep, keep(&[(8, 2)]), "both are there");
    assert_eq!(plan(&[], &hosts, &before).keep, keep(&[]), "nothing is wanted");
    // Where both have no room the next one has it.
    let tight = [open(1, 512)];
    let tight = plan(&[want(8, 1, 2, 128)], &tight, &before);
    assert_eq!((tight.keep, tight.short), (keep(&[(7, 1), (8, 2)]), BTreeMap::new()));
}

#[test]
fn the_next_version_goes_where_the_one_before_answers() {
    let hosts = [open(1, 4096), open(2, 1024), open(3, 1024), open(4, 4096)];
    let kept = [2, 3].map(|at| Kept {
        revision: revision(7),
        function: FunctionId::new(Uuid::from_u128(1)),
        host: host(at),
        wanted: 1,
        ready: 1,
        memory_kib: 128 * MIB,
    });
    let next = plan(&[want(8, 1, 2, 128)], &hosts, &kept);
    let expected = [(7, 2), (7, 3), (8, 2), (8, 3)].map(|(of, at)| ((revision(of), host(at)), 1));
    assert_eq!(next.keep, BTreeMap::from(expected));
}

#[test]
fn it_stands_by_what_hosts_have() {
    let found = Found { wanted: 2, ..Found::default() };
    assert_eq!(standing(&found), Standing::InProgress);
    assert_eq!(standing(&Found { ready: 2, troubled: true, ..found }), Standing::Ready);
    assert_eq!(standing(&Found { ready: 1, short: 1, ..found }), Standing::Short);
    assert_eq!(standing(&Found { ready: 1, troubled: true, ..found }), Standing::Troubled);
}

#[derive(Clone, Debug)]
struct World {
    wants: Vec<Want>,
    hosts: Vec<Host>,
    kept: Vec<Kept>,
}

fn worlds() -> impl Strategy<Value = World> {
    let want = (0..3_u128, 0..6_u32, 1..400_u64, 0..3_u8);
    let wants = prop::collection::vec(want, 0..5);
    let hosts = prop::collection::vec((0..4_000_u64, 0..4_u8), 0..5);
    let kept = prop::collection::btree_map((0..7_u128, 0..6_u128), (1..6_u32, 0..6_u32), 0..10);
    (wants, hosts, kept).prop_map(|(wants, hosts, kept)| {
        let wants =
            wants.into_iter().zip(0..).map(|((function, instances, mib, owner), number)| Want {
                account: account(owner),
                ..self::want(number, function, instances, mib)
            });
        let wants: Vec<Want> = wants.collect();
        let hosts = hosts.into_iter().zip(0..).map(|((mib, owner), number)| Host {
            dedicated: (owner < 2).then(|| account(owner)),
            ..open(number, mib)
        });
        let kept = kept.into_iter().map(|((number, at), (wanted, ready))| {
            let known = wants.iter().find(|want| want.revision == revision(number));
            Kept {
                revision: revision(number),
                function: known.map_or(FunctionId::new(Uuid::from_u128(0)), |want| want.function),
                host: host(at),
                wanted,
                ready,
                memory_kib: known.map_or(100 * MIB, |want| want.memory_kib),
            }
        });
        World { hosts: hosts.collect(), kept: kept.collect(), wants }
    })
}

#[test]
fn a_call_goes_where_the_most_wait_and_nowhere_where_none_does() {
    let ready = |number, instances, calls| Ready { host: host(number), instances, calls };
    assert_eq!(waiting(&[]), None);
    assert_eq!(waiting(&[ready(1, 2, 2), ready(2, 0, 0), ready(3, 1, 4)]), None);
    assert_eq!(waiting(&[ready(1, 2, 1), ready(2, 3, 1), ready(3, 2, 0)]), Some(host(2)));
}

proptest! {
    #[test]
    fn no_instance_is_lost_or_won_where_an_alias_divides_them(
        instances in 0..10_000_u32,
        share_bp in 0..=WHOLE_BP,
    ) {
        let settings = [setting("live", alias(share_bp), instances)];
        let versions = by_version(&settings).unwrap();
        let (one, other) = (versions[&1].1, versions[&2].1);
        prop_assert_eq!(one + other, instances);
        prop_assert!(share_bp > 0 || other == 0);
        prop_assert!(share_bp < WHOLE_BP || one == 0);
        if (1..WHOLE_BP).contains(&share_bp) && instances >= 2 {
            prop_assert!(one > 0 && other > 0);
        }
        let exact = u64::from(instances) * u64::from(share_bp);
        let off = (u64::from(other) * u64::from(WHOLE_BP)).abs_diff(exact);
        prop_assert!(off <= u64::from(WHOLE_BP) / 2 || one.min(other) == 1, "{one} {other}");
    }

    #[test]
    fn limits_are_kept_and_all_that_fits_is_placed(world in worlds()) {
        let World { wants, hosts, kept } = &world;
        let plan = plan(wants, hosts, kept);
        let mut left: BTreeMap<HostId, u64> = hosts
            .iter()
            .map(|host| (host.id, host.memory_kib - host.memory_kib.div_ceil(4)))
            .collect();
        for (&(revision, at), &count) in &plan.keep {
            prop_assert!(count > 0);
            let want = wants.iter().find(|want| want.revision == revision);
            let was = kept.iter().find(|kept| kept.revision == revision);
            let kib = want.map(|want| want.memory_kib).or(was.map(|was| was.memory_kib)).unwrap();
            let room = left.get_mut(&at).unwrap();
            prop_assert!(*room >= kib * u64::from(count));
            *room -= kib * u64::from(count);
        }
        let owns = |want: &Want| {
            hosts.iter().any(|host| host.dedicated.as_ref() == Some(&want.account))
        };
        for want in wants {
            let mine = plan.keep.iter().filter(|((revision, _), _)| *revision == want.revision);
            for ((_, at), _) in mine.clone() {
                let dedicated = &hosts.iter().find(|host| host.id == *at).unwrap().dedicated;
                prop_assert_eq!(dedicated.as_ref(), owns(want).then_some(&want.account));
            }
            let short = plan.short.get(&want.revision).copied();
            prop_assert!(short != Some(0));
            let placed: u32 = mine.map(|(_, count)| count).sum();
            prop_assert_eq!(placed + short.unwrap_or(0), want.instances);
        }
    }

    #[test]
    fn a_plan_that_is_carried_out_changes_nothing_but_that_what_is_wanted_no_more_goes(
        world in worlds(),
    ) {
        let World { wants, hosts, kept } = &world;
        let first = plan(wants, hosts, kept);
        let there = carried_out(&first, wants, kept);
        let second = plan(wants, hosts, &there);
        let wanted = |plan: &Plan| -> BTreeMap<_, _> {
            let is = |revision: &RevisionId| wants.iter().any(|want| want.revision == *revision);
            plan.keep.iter().filter(|((it, _), _)| is(it)).map(|(k, v)| (*k, *v)).collect()
        };
        prop_assert_eq!(wanted(&first), wanted(&second));
        if first.short.is_empty() {
            prop_assert_eq!(&second.keep, &wanted(&second));
        }
    }

    #[test]
    fn a_host_comes_to_what_it_is_to_have_and_rests(
        wanted in 0..50_u32,
        ready in 0..50_u32,
        starting in 0..STARTING_MAX,
    ) {
        let mut here = Here { wanted, ready, starting };
        for _ in 0..100 {
            match step(&here) {
                Step::Rest if here.starting == 0 => break,
                Step::Rest => {}
                Step::Start(more) => {
                    here.starting += more;
                    prop_assert!(here.starting <= STARTING_MAX);
                }
                Step::LetGo(fewer) => here.ready -= fewer,
            }
            here.ready += std::mem::take(&mut here.starting);
        }
        prop_assert_eq!(step(&here), Step::Rest);
        prop_assert_eq!((here.ready, here.starting), (wanted, 0));
    }
}
