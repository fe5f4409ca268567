use std::sync::Arc;

use api::accounts::Role;
use api::internal::{Backend, Principal, Route, Routes, Stage};
use types::{AccountId, EndpointId, HostId, InstanceId, TokenId};
use uuid::Uuid;
use workflow::{Clock, Tasks};

use super::*;
use crate::settings::Settings;

fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

fn principal(number: u128, name: &str, secret: &str) -> Principal {
    Principal {
        token: TokenId::new(Uuid::from_u128(number)),
        secret_sha256: hex::encode(Sha256::digest(secret)),
        account: account(number),
        account_name: name.parse().unwrap(),
        role: Role::Reader,
        expires_at_ms: (name == "late").then_some(1_000),
        access_key: None,
    }
}

fn route(number: u128, owner: (u128, &str), name: &str) -> Route {
    Route {
        endpoint: EndpointId::new(Uuid::from_u128(number)),
        variant: "main".parse().unwrap(),
        function: None,
        modes: vec![],
        capture: None,
        watched: false,
        account: account(owner.0),
        account_name: owner.1.parse().unwrap(),
        name: name.parse().unwrap(),
        generation: 1,
        everybody: name == "open",
        accounts: if name == "granted" { vec![account(2)] } else { vec![] },
        version: 3,
        stages: vec![Stage {
            source: "x@3".parse().unwrap(),
            timeout_ms: 1_000,
            description: None,
            backends: vec![Backend {
                instance: InstanceId::new(Uuid::from_u128(number)),
                generation: 1,
                host: HostId::new(Uuid::from_u128(1)),
                socket: "/nowhere".to_owned(),
                data_address: None,
            }],
        }],
        input: None,
        output: None,
    }
}

fn routes(generation: u64) -> Routes {
    let acme = (1, "acme");
    Routes {
        generation,
        principals: vec![
            principal(1, "acme", "secret-1"),
            principal(2, "other", "secret-2"),
            principal(4, "late", "secret-4"),
        ],
        endpoints: vec![
            route(1, acme, "own"),
            route(2, acme, "granted"),
            route(3, acme, "open"),
            route(4, (2, "other"), "own"),
        ],
        ..Routes::default()
    }
}

fn backends() -> Backends {
    let (clock, _) = Clock::manual(0);
    Backends::new(Arc::new(Settings::default()), clock, Tasks::new()).unwrap()
}

#[test]
fn a_name_leads_only_to_what_the_caller_may_invoke() {
    let table = Table::build(routes(1), &Table::default(), &backends());
    let rights = Authorizer::new().unwrap();
    let mut answers = String::new();
    for secret in [None, Some("secret-1"), Some("secret-2"), Some("secret-4"), Some("wrong")] {
        let credentials = secret.map(Credentials::bearer);
        let caller = match table.caller(credentials.as_ref(), 1_000) {
            Ok(caller) => caller,
            Err(error) => {
                answers += &format!("{secret:?}: {error}\n");
                continue;
            }
        };
        for model in ["own", "acme.own", "acme.granted", "acme.open", "other.own", "no", "a.b.c"] {
            let found =
                table.endpoint((&rights, &caller, Action::EndpointsInvoke), model, |_| None);
            let found = found.map(|(_, it)| format!("{}/{}", it.account_name, it.name));
            let found = found.unwrap_or_else(|error| error.to_string());
            answers += &format!("{secret:?} {model}: {found}\n");
        }
        let visible: Vec<_> = table.visible(&rights, &caller).into_iter().map(|it| it.0).collect();
        answers += &format!("{secret:?} sees {visible:?}\n");
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn connections_and_statistics_outlive_the_table() {
    let backends = backends();
    let before = Table::build(routes(1), &Table::default(), &backends);
    let mut changed = routes(2);
    changed.endpoints[1].stages[0].backends[0].generation = 2;
    let after = Table::build(changed, &before, &backends);
    let find =
        |table: &Table, name: &str| Arc::clone(table.accounts["acme"][name].production().unwrap());
    let (old, new) = (find(&before, "own"), find(&after, "own"));
    assert!(Arc::ptr_eq(&old.statistics, &new.statistics));
    assert!(Arc::ptr_eq(&old.stages[0].backends[0], &new.stages[0].backends[0]));
    let (old, new) = (find(&before, "granted"), find(&after, "granted"));
    assert!(!Arc::ptr_eq(&old.stages[0].backends[0], &new.stages[0].backends[0]));
}

/// An endpoint with a candidate, which answers half of the keys.
fn with_candidate() -> Table {
    let used = |variant: &str, mode, share_bp| types::Used {
        from_bp: 0,
        variant: variant.parse().unwrap(),
        mode,
        share_bp,
        until_ms: None,
    };
    let mut told = routes(1);
    told.endpoints[2].modes = vec![
        used("main", types::Mode::Production, 0),
        used("next", types::Mode::Canary, 5_000),
        used("dark", types::Mode::Shadow, 10_000),
    ];
    for (number, variant) in [(7, "next"), (8, "dark")] {
        let mut route = route(number, (1, "acme"), "open");
        route.variant = variant.parse().unwrap();
        route.everybody = false;
        told.endpoints.push(route);
    }
    Table::build(told, &Table::default(), &backends())
}

#[test]
fn a_key_is_answered_by_one_variant_and_shown_to_shadows() {
    let (table, rights) = (with_candidate(), Authorizer::new().unwrap());
    let mut answered = std::collections::BTreeMap::new();
    for key in 0..1_000_u32 {
        let key = key.to_le_bytes();
        let asked = (&rights, &Caller::Anonymous, Action::EndpointsInvoke);
        let (face, first) = table.endpoint(asked, "acme.open", |_| Some(&key)).unwrap();
        let (_, again) = table.endpoint(asked, "acme.open", |_| Some(&key)).unwrap();
        assert!(Arc::ptr_eq(first, again) && face.by_key());
        let shown: Vec<_> = face.watching(&key).iter().map(|it| it.variant.to_string()).collect();
        assert_eq!(shown, ["dark"]);
        *answered.entry(first.variant.to_string()).or_insert(0) += 1;
    }
    assert_eq!(answered.keys().collect::<Vec<_>>(), ["main", "next"]);
    // Four standard deviations about the half.
    assert!((437..=563).contains(&answered["next"]), "{answered:?}");
    // Without a key it is what is in production.
    let asked = (&rights, &Caller::Anonymous, Action::EndpointsDescribe);
    assert_eq!(table.endpoint(asked, "acme.open", |_| None).unwrap().1.variant.as_str(), "main");
}

#[test]
fn a_variant_by_its_name_is_for_its_owner_alone() {
    let (table, rights) = (with_candidate(), Authorizer::new().unwrap());
    let found = |secret: &str, model: &str| {
        let caller = table.caller(Some(&Credentials::bearer(secret)), 0).unwrap();
        let asked = (&rights, &caller, Action::EndpointsInvoke);
        table.endpoint(asked, model, |_| None).map(|(_, it)| it.variant.to_string())
    };
    assert_eq!(found("secret-1", "open@next"), Ok("next".to_owned()));
    assert_eq!(found("secret-1", "acme.open@dark"), Ok("dark".to_owned()));
    assert!(found("secret-1", "open@none").is_err());
    assert!(found("secret-2", "acme.open@next").is_err());
    assert_eq!(found("secret-2", "acme.open"), Ok("main".to_owned()));
}
