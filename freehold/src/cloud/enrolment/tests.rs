use std::os::unix::fs::PermissionsExt as _;

use api::identity::{Authority, Process, Validity};

use super::*;

const NOW_MS: u64 = 1_760_000_000_000;
const LIFETIME_MS: u64 = 60_000;

fn kept() -> Kept {
    let authority = Authority::create(NOW_MS).unwrap();
    let request = SigningRequest::new().unwrap();
    let name: Name = "rack-1".parse().unwrap();
    let validity = Validity { now_ms: NOW_MS, lifetime_ms: LIFETIME_MS };
    let signed = authority.sign(&request.request_pem, Process::Agent, &name, validity);
    Kept {
        process: "agent".to_owned(),
        name,
        host: None,
        control: "https://control:8443".to_owned(),
        certificate_pem: signed.unwrap(),
        key_pem: request.key_pem,
        authority_pem: authority.certificate_pem().to_owned(),
    }
}

#[test]
fn a_certificate_that_is_over_is_refused_with_a_cure() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path()).unwrap();
    kept().write(&files).unwrap();
    let mode = std::fs::metadata(files.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let enrolled = read(&files, "agent", NOW_MS + LIFETIME_MS - 1_000).unwrap_or_else(|error| {
        panic!("refused: {}", error.message);
    });
    assert_eq!(enrolled.name().as_str(), "rack-1");
    let Err(refused) = read(&files, "agent", NOW_MS + LIFETIME_MS) else {
        panic!("taken");
    };
    assert_eq!(refused.exit, 2);
    assert_eq!(refused.message, "the certificate of agent rack-1 was over at 2025-10-09 08:54:20Z");
    assert_eq!(
        refused.hint.unwrap(),
        "stop it, have an operator run: freehold status --enrol agent=rack-1, \
         then run: freehold agent enrol TOKEN --control https://control:8443"
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path()).unwrap();
    Kept { key_pem: SigningRequest::new().unwrap().key_pem, ..kept() }.write(&files).unwrap();
    let Err(refused) = read(&files, "agent", NOW_MS) else { panic!("taken") };
    assert!(refused.message.contains("cannot be used"), "{}", refused.message);
    assert!(refused.hint.unwrap().contains("enrol agent=rack-1"));
    let Err(other) = read(&files, "gateway", NOW_MS) else { panic!("taken") };
    assert!(other.message.contains("not enrolled as gateway"), "{}", other.message);
}
