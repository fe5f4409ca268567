//! Accounts, tokens, invitations, certificates and settings.

use store::accounts::{
    AccountSecretRow, SecretKind, account_fetch, account_fetch_by_name, account_insert,
    account_secret_insert, account_secret_reseal, account_secrets_list, accounts_by_names,
    accounts_list, accounts_names,
};
use store::certificates::{certificate_counts, certificate_renew, certificate_store};
use store::enrolments::{EnrolmentRow, Process, enrolment_insert, enrolment_take, enrolments_trim};
use store::settings::{setting_find, setting_settle, setting_store};
use store::tokens::{
    TokenRow, token_fetch, token_fetch_by_secret, token_insert, token_revoke, tokens_list,
    tokens_list_live,
};
use store::{Error, Topic};
use types::{AccountId, TokenId};

use crate::harness::{House, account, digest, make_account, name, uuid};

both! {
    /// An account comes back as it was stored; its name is given once.
    a_name_is_given_once;
    /// Pages of accounts hold each once, in order.
    accounts_are_listed_in_pages;
    /// Secrets are resealed only over the ones that were read.
    secrets_are_resealed_once;
    /// A token is found by its secret, and gateways hear when it comes and goes.
    tokens_come_and_go;
    /// An invitation is taken once, by one of many, before its end.
    an_invitation_is_taken_once;
    /// A certificate counts until the one that was renewed from it is renewed itself, or its
    /// process enrols anew.
    a_certificate_counts_until_its_next_is_in_use;
    /// Of those that make the same fact at once, all get one.
    a_setting_is_settled_once;
}

async fn a_name_is_given_once(house: House) {
    let row = store::accounts::AccountRow { operator: true, ..account(1) };
    write!(house.store, account_insert(&row)).unwrap();
    assert_eq!(read!(house.store, account_fetch(row.id)).unwrap(), row);
    assert_eq!(read!(house.store, account_fetch_by_name(&row.name)).unwrap(), row);
    let other = store::accounts::AccountRow { name: row.name.clone(), ..account(2) };
    let refused = write!(house.store, account_insert(&other));
    assert!(matches!(refused, Err(Error::Unique { .. })), "{refused:?}");
    let missing = read!(house.store, account_fetch_by_name(&name("nobody")));
    assert!(matches!(missing, Err(Error::NotFound { what: "account", .. })), "{missing:?}");
}

async fn accounts_are_listed_in_pages(house: House) {
    for number in 1..=300 {
        make_account(&house.store, number).await;
    }
    let (mut seen, mut after): (Vec<AccountId>, _) = (Vec::new(), None);
    loop {
        let page = read!(house.store, accounts_list(after, 70)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|row| row.id));
    }
    let all: Vec<AccountId> = (1..=300).map(|number| AccountId::new(uuid(number))).collect();
    assert_eq!(seen, all);
    // More than one batch, and one that does not exist.
    let mut asked = all.clone();
    asked.push(AccountId::new(uuid(999)));
    let names = read!(house.store, accounts_names(&asked)).unwrap();
    assert_eq!(names.len(), 300);
    assert_eq!(names[&all[299]], name("account-300"));
    assert!(read!(house.store, accounts_names(&[])).unwrap().is_empty());
    let found = read!(house.store, accounts_by_names(&[name("account-7")])).unwrap();
    assert_eq!(found, [all[6]]);
}

async fn secrets_are_resealed_once(house: House) {
    let account_id = make_account(&house.store, 1).await;
    let row = |kind, version, sealed: &str| AccountSecretRow {
        account_id,
        kind,
        version,
        sealed: sealed.to_owned(),
    };
    for kind in SecretKind::ALL {
        write!(house.store, account_secret_insert(&row(*kind, 1, "old"))).unwrap();
    }
    let again = write!(house.store, account_secret_insert(&row(SecretKind::Key, 1, "x")));
    assert!(matches!(again, Err(Error::Unique { .. })), "{again:?}");
    let new = row(SecretKind::Key, 1, "new");
    write!(house.store, account_secret_reseal(&new, "old")).unwrap();
    let late = write!(house.store, account_secret_reseal(&new, "old"));
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    let listed = read!(house.store, account_secrets_list(account_id)).unwrap();
    assert_eq!(listed, [row(SecretKind::Dedup, 1, "old"), new]);
}

async fn tokens_come_and_go(house: House) {
    let account_id = make_account(&house.store, 1).await;
    let token = |number: u64, expires_at_ms| TokenRow {
        id: TokenId::new(uuid(u128::from(number))),
        account_id,
        label: "my label".to_owned(),
        role: "developer".to_owned(),
        secret_sha256: digest(number),
        created_at_ms: 10,
        expires_at_ms,
        revoked_at_ms: None,
        access_key: None,
    };
    let (first, second) = (token(1, None), token(2, Some(50)));
    write!(house.store, token_insert(&first)).unwrap();
    write!(house.store, token_insert(&second)).unwrap();
    assert_eq!(house.store.feed_read(Topic::Routes).await.unwrap(), 2);
    let found = read!(house.store, token_fetch_by_secret(&digest(2))).unwrap();
    assert_eq!(found, second);
    let live = async |now_ms| {
        let live = read!(house.store, tokens_list_live(now_ms)).unwrap();
        assert!(live.iter().all(|live| live.account_name == name("account-1")));
        live.into_iter().map(|live| live.token.id).collect::<Vec<_>>()
    };
    assert_eq!(live(49).await, [first.id, second.id]);
    assert_eq!(live(50).await, [first.id]);
    let revoked = write!(house.store, token_revoke(account_id, first.id, 60)).unwrap();
    assert_eq!(revoked.revoked_at_ms, Some(60));
    let again = write!(house.store, token_revoke(account_id, first.id, 70)).unwrap();
    assert_eq!(again.revoked_at_ms, Some(60));
    assert_eq!(house.store.feed_read(Topic::Routes).await.unwrap(), 3);
    assert!(live(60).await.is_empty());
    assert_eq!(read!(house.store, tokens_list(account_id, Some(first.id), 9)).unwrap(), [second]);
    let stranger = AccountId::new(uuid(9));
    let hidden = read!(house.store, token_fetch(stranger, first.id));
    assert!(matches!(hidden, Err(Error::NotFound { .. })), "{hidden:?}");
    let refused = write!(house.store, token_revoke(stranger, first.id, 70));
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    let unknown = TokenRow { role: "king".to_owned(), ..token(3, None) };
    assert!(write!(house.store, token_insert(&unknown)).is_err());
    let orphan = TokenRow { account_id: stranger, ..token(4, None) };
    let refused = write!(house.store, token_insert(&orphan));
    assert!(matches!(refused, Err(Error::Reference { .. })), "{refused:?}");
}

async fn an_invitation_is_taken_once(house: House) {
    for (number, process) in (1..).zip(Process::ALL) {
        let row = EnrolmentRow {
            token_sha256: digest(number),
            process: *process,
            name: name("somebody"),
            expires_at_ms: 100,
            used_at_ms: None,
        };
        write!(house.store, enrolment_insert(&row)).unwrap();
    }
    let late = write!(house.store, enrolment_take(&digest(1), 100));
    assert!(matches!(late, Err(Error::NotFound { .. })), "{late:?}");
    let take = async |_| write!(house.store, enrolment_take(&digest(2), 99));
    let taken = futures::future::join_all((0..6).map(take)).await;
    let won: Vec<_> = taken.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    assert_eq!((won[0].process, won[0].used_at_ms), (Process::Gateway, Some(99)));
    assert_eq!(write!(house.store, enrolments_trim(101)).unwrap(), 2);
}

async fn a_certificate_counts_until_its_next_is_in_use(house: House) {
    let (rack, other) = (name("rack-1"), name("rack-2"));
    let rack = (Process::Agent, &rack);
    let counting = async || {
        let mut counting = Vec::new();
        for number in 1..6 {
            if read!(house.store, certificate_counts(rack, &digest(number))).unwrap() {
                counting.push(number);
            }
        }
        counting
    };
    let renew = async |shown, next| {
        write!(house.store, certificate_renew(rack, &digest(shown), &digest(next)))
    };
    write!(house.store, certificate_store(rack, &digest(1))).unwrap();
    assert_eq!(counting().await, [1]);
    renew(1, 2).await.unwrap();
    // The answer with the second was lost: the first asks again.
    renew(1, 3).await.unwrap();
    assert_eq!(counting().await, [1, 3]);
    renew(3, 4).await.unwrap();
    assert_eq!(counting().await, [3, 4]);
    let refused = renew(1, 5).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    for stranger in [(Process::Gateway, rack.1), (Process::Agent, &other)] {
        assert!(!read!(house.store, certificate_counts(stranger, &digest(4))).unwrap());
        let refused = write!(house.store, certificate_renew(stranger, &digest(4), &digest(5)));
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    }
    write!(house.store, certificate_store(rack, &digest(5))).unwrap();
    assert_eq!(counting().await, [5]);
}

async fn a_setting_is_settled_once(house: House) {
    let settle = async |value: u32| write!(house.store, setting_settle("key", &value.to_string()));
    let settled = futures::future::join_all((0..6).map(settle)).await;
    let settled: Vec<String> = settled.into_iter().map(Result::unwrap).collect();
    assert!(settled.iter().all(|value| *value == settled[0]), "{settled:?}");
    write!(house.store, setting_store("key", "")).unwrap();
    assert_eq!(read!(house.store, setting_find("key")).unwrap().as_deref(), Some(""));
    assert_eq!(read!(house.store, setting_find("other")).unwrap(), None);
}
