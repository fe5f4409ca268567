use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{ValidationMode, Validator};
use proptest::prelude::*;
use proptest::sample::select;
use types::{AccountId, HostId};
use uuid::Uuid;

use super::*;

const ME: AccountId = AccountId::new(Uuid::from_u128(0xa));
const OTHER: AccountId = AccountId::new(Uuid::from_u128(0xb));
const THIRD: AccountId = AccountId::new(Uuid::from_u128(0xc));
const MINE: HostId = HostId::new(Uuid::from_u128(0xd));
const ELSEWHERE: HostId = HostId::new(Uuid::from_u128(0xe));

#[test]
fn the_policies_hold_against_their_schema() {
    let authorizer = Authorizer::new().unwrap();
    let result = Validator::new(authorizer.schema.clone())
        .validate(&authorizer.policies, ValidationMode::Strict);
    let findings: Vec<_> = result
        .validation_errors()
        .map(ToString::to_string)
        .chain(result.validation_warnings().map(ToString::to_string))
        .collect();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn the_schema_and_the_enum_name_the_same_actions_and_kinds() {
    let authorizer = Authorizer::new().unwrap();
    let known: BTreeSet<_> = authorizer
        .schema
        .actions()
        .map(|action| <cedar::EntityId as AsRef<str>>::as_ref(action.id()).to_owned())
        .collect();
    let ours: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str().to_owned()).collect();
    assert_eq!(known, ours);
    for action in Action::ALL {
        let applies = Kind::ALL.into_iter().any(|kind| applies(&authorizer, *action, kind));
        assert!(applies, "{action} applies to nothing");
    }
}

/// This is what lets an answer be kept for all requests with the same relations.
#[test]
fn no_policy_names_an_account_or_a_host() {
    for text in POLICIES {
        for word in ["Account::\"", "Host::\"", "Member::\"", "Item::\"", "Endpoint::\""] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[test]
fn the_whole_table() {
    let authorizer = Authorizer::new().unwrap();
    let mut table = String::new();
    for action in Action::ALL {
        for kind in Kind::ALL {
            if !applies(&authorizer, *action, kind) {
                continue;
            }
            for (relation, resource) in relations(kind) {
                let mut allowed: BTreeMap<_, Vec<_>> = BTreeMap::new();
                for (number, (caller, principal)) in callers().into_iter().enumerate() {
                    let resource = resource.clone();
                    let decision =
                        authorizer.decide(&Request { principal, action: *action, resource });
                    if decision.allowed {
                        allowed.entry(number).or_default().push(caller);
                    }
                }
                let who: Vec<_> = allowed.into_values().flatten().collect();
                let who = if who.is_empty() { "-".to_owned() } else { who.join(" ") };
                table += &format!("{action:20} {:9} {relation:9} {who}\n", kind.as_str());
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_decision_says_which_policies_made_it() {
    let authorizer = Authorizer::new().unwrap();
    let stranger = Some(Principal::member(ME, Role::Operator));
    let ask = |action, resource| {
        let request = Request { principal: stranger, action, resource };
        authorizer.decide(&request).reasons.join(" ")
    };
    let package = Resource::of(Kind::Package, OTHER);
    assert_eq!(ask(Action::ItemsReadPackage, package), "packages-stay-with-their-owner");
    let item = Resource::item(OTHER, Sharing::Everybody);
    assert_eq!(ask(Action::ItemsRead, item), "shared-items-can-be-seen");
    let item = Resource::item(OTHER, Sharing::Nobody);
    assert_eq!(ask(Action::ItemsRead, item), NO_POLICY);
    assert_eq!(ask(Action::ItemsRead, Resource::cloud()), NOT_APPLICABLE);
}

/// Run with `--ignored --nocapture`; seconds are reported, not judged.
#[test]
#[ignore = "a measurement"]
fn how_long_a_decision_takes() {
    let authorizer = Authorizer::new().unwrap();
    let request = Request {
        principal: Some(Principal::member(ME, Role::Developer)),
        action: Action::EndpointsInvoke,
        resource: Resource::endpoint(OTHER, Sharing::Accounts(vec![THIRD, ME])),
    };
    let rounds = 2_000_u32;
    let began = std::time::Instant::now();
    for _ in 0..rounds {
        assert!(authorizer.evaluate(&request).allowed);
    }
    println!("by the policies: {:?}", began.elapsed() / rounds);
    let began = std::time::Instant::now();
    for _ in 0..rounds {
        assert!(authorizer.allows(&request));
    }
    println!("from memory: {:?}", began.elapsed() / rounds);
}

fn callers() -> Vec<(&'static str, Option<Principal>)> {
    let mut callers = vec![("anonymous", None)];
    callers.extend(Role::ALL.map(|role| (role.as_str(), Some(Principal::member(ME, role)))));
    callers.push(("agent", Some(Principal::Agent { host: MINE })));
    callers.push(("gateway", Some(Principal::Gateway)));
    callers
}

fn relations(kind: Kind) -> Vec<(&'static str, Resource)> {
    match kind {
        Kind::Cloud => vec![("", Resource::cloud())],
        Kind::Host => vec![("own", Resource::host(MINE)), ("other", Resource::host(ELSEWHERE))],
        Kind::Item | Kind::Endpoint => {
            let of = |owner, sharing| Resource { kind, owner: Some(owner), sharing, host: None };
            vec![
                ("own", of(ME, Sharing::Nobody)),
                ("unshared", of(OTHER, Sharing::Nobody)),
                ("for third", of(OTHER, Sharing::Accounts(vec![THIRD]))),
                ("for me", of(OTHER, Sharing::Accounts(vec![THIRD, ME]))),
                ("for all", of(OTHER, Sharing::Everybody)),
            ]
        }
        _ => vec![("own", Resource::of(kind, ME)), ("other", Resource::of(kind, OTHER))],
    }
}

/// Whether the schema lets anybody be asked about this action on this kind.
fn applies(authorizer: &Authorizer, action: Action, kind: Kind) -> bool {
    let resource = relations(kind).remove(0).1;
    let request = Request { principal: None, action, resource };
    authorizer.words.query(&request, &authorizer.schema).is_ok()
}

fn sharings() -> impl Strategy<Value = Sharing> {
    let accounts = proptest::collection::vec(select(vec![ME, OTHER, THIRD]), 0..4);
    prop_oneof![
        Just(Sharing::Nobody),
        Just(Sharing::Everybody),
        accounts.prop_map(Sharing::Accounts),
    ]
}

fn principals() -> impl Strategy<Value = Option<Principal>> {
    let member = (select(vec![ME, OTHER, THIRD]), select(Role::ALL.to_vec()))
        .prop_map(|(account, role)| Some(Principal::member(account, role)));
    let agent = select(vec![MINE, ELSEWHERE]).prop_map(|host| Some(Principal::Agent { host }));
    prop_oneof![Just(None), Just(Some(Principal::Gateway)), agent, member]
}

prop_compose! {
    fn requests()(
        principal in principals(),
        action in select(Action::ALL.to_vec()),
        kind in select(Kind::ALL.to_vec()),
        owner in select(vec![ME, OTHER, THIRD]),
        host in select(vec![MINE, ELSEWHERE]),
        sharing in sharings(),
    ) -> Request {
        let resource = Resource { kind, owner: Some(owner), sharing, host: Some(host) };
        Request { principal, action, resource }
    }
}

thread_local! {
    static SHARED: Authorizer = Authorizer::new().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What is remembered for a relation is what the policies say of the request itself.
    #[test]
    fn remembering_changes_no_decision(request in requests()) {
        SHARED.with(|authorizer| {
            let plain = authorizer.evaluate(&request);
            prop_assert_eq!(&authorizer.decide(&request), &plain);
            prop_assert_eq!(&authorizer.decide(&request), &plain);
            prop_assert_eq!(authorizer.allows(&request), plain.allowed);
            Ok(())
        })?;
    }

    /// Nobody is allowed anything with what belongs to another account and is not shared with
    /// them, but to know that the account exists and to end its tokens, as an operator.
    #[test]
    fn a_stranger_may_do_nothing_with_what_is_not_shared(request in requests()) {
        let Resource { kind, owner, sharing, .. } = &request.resource;
        prop_assume!(!matches!(kind, Kind::Cloud | Kind::Host));
        let account = match request.principal {
            Some(Principal::Member { account, .. }) => Some(account),
            _ => None,
        };
        prop_assume!(account != *owner);
        let shareable = matches!(kind, Kind::Item | Kind::Endpoint);
        let shared = shareable && match sharing {
            Sharing::Nobody => false,
            Sharing::Everybody => true,
            Sharing::Accounts(accounts) => account.is_some_and(|mine| accounts.contains(&mine)),
        };
        prop_assume!(!shared);
        let operator =
            matches!(request.principal, Some(Principal::Member { role: Role::Operator, .. }));
        let manages = matches!(request.action, Action::AccountsRead | Action::TokensRevoke);
        let allowed = SHARED.with(|authorizer| authorizer.allows(&request));
        prop_assert!(!allowed || (operator && manages));
    }

    /// A package, its object and the work around it are for their owner alone, however the item
    /// is shared.
    #[test]
    fn sharing_never_opens_a_package(
        request in requests(),
        (action, kind) in select(vec![
            (Action::ItemsReadPackage, Kind::Package),
            (Action::ObjectsRead, Kind::Object),
            (Action::ItemsShare, Kind::Item),
            (Action::ItemsUsage, Kind::Item),
            (Action::EndpointsRead, Kind::Endpoint),
            (Action::PublishesRead, Kind::Publish),
            (Action::TrainingsRead, Kind::Training),
        ]),
    ) {
        let resource = Resource { kind, ..request.resource };
        let request = Request { action, resource, ..request };
        let mine = matches!(
            request.principal,
            Some(Principal::Member { account, .. }) if Some(account) == request.resource.owner
        );
        prop_assert!(mine || !SHARED.with(|authorizer| authorizer.allows(&request)));
    }

    /// A greater role keeps every right of a smaller one.
    #[test]
    fn more_role_never_loses_a_right(request in requests(), account in select(vec![ME, OTHER])) {
        let mut had = false;
        for role in Role::ALL {
            let principal = Some(Principal::member(account, role));
            let has = SHARED.with(|authorizer| {
                authorizer.allows(&Request { principal, ..request.clone() })
            });
            prop_assert!(has || !had, "{} loses {}", role, request.action);
            had = has;
        }
    }

    /// Sharing with more accounts takes nothing from anybody.
    #[test]
    fn sharing_more_takes_nothing(request in requests()) {
        let allowed = |sharing| {
            let resource = Resource { sharing, ..request.resource.clone() };
            SHARED.with(|authorizer| authorizer.allows(&Request { resource, ..request.clone() }))
        };
        let (none, some) = (allowed(Sharing::Nobody), allowed(Sharing::Accounts(vec![ME])));
        let all = allowed(Sharing::Everybody);
        prop_assert!(!none || some);
        prop_assert!(!some || all);
    }
}
