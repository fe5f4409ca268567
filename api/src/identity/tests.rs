use super::*;

const NOW_MS: u64 = 1_760_000_000_000;

fn validity() -> Validity {
    Validity { now_ms: NOW_MS, lifetime_ms: PROCESS_LIFETIME_MS }
}

#[test]
fn a_signed_certificate_names_its_process_and_nothing_the_request_asked_for() {
    let authority = Authority::create(NOW_MS).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new(["control.example".to_owned()]).unwrap();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.distinguished_name.push(DnType::CommonName, "control");
    let request = greedy.serialize_request(&key).unwrap().pem().unwrap();
    let name: Name = "rack-1".parse().unwrap();
    let signed = authority.sign(&request, Process::Agent, &name, validity()).unwrap();
    let chain = chain(&signed).unwrap();
    assert_eq!(chain.len(), 2);
    let subject = subject(&chain[0]).unwrap();
    assert_eq!((subject.process, subject.name.as_str()), (Process::Agent, "rack-1"));
    assert_eq!(subject.expires_at_ms, NOW_MS + PROCESS_LIFETIME_MS);
    let facts = facts(&signed).unwrap();
    assert_eq!(facts.names, ["rack-1.agent.freehold.internal"]);
    assert_eq!((facts.made_at_ms, facts.expires_at_ms), (NOW_MS, subject.expires_at_ms));
    let (_, parsed) = X509Certificate::from_der(&chain[0]).unwrap();
    assert!(!parsed.is_ca());
}

#[test]
fn a_request_whose_proof_is_wrong_is_refused() {
    let authority = Authority::create(NOW_MS).unwrap();
    let name: Name = "rack-1".parse().unwrap();
    let sign = |pem: &str| authority.sign(pem, Process::Gateway, &name, validity());
    assert!(sign(&SigningRequest::new().unwrap().request_pem).is_ok());
    assert!(sign("nothing").is_err());
    let (one, other) = (SigningRequest::new().unwrap(), SigningRequest::new().unwrap());
    let lines: Vec<_> = one.request_pem.lines().collect();
    let others: Vec<_> = other.request_pem.lines().collect();
    let mut mixed = lines.clone();
    let last = lines.len() - 2;
    mixed[last] = others[last];
    assert!(sign(&mixed.join("\n")).is_err());
}

#[test]
fn an_authority_survives_being_stored() {
    let made = Authority::create(NOW_MS).unwrap();
    let opened = Authority::open(made.certificate_pem(), &made.key_pem()).unwrap();
    assert_eq!(made.fingerprint().unwrap(), opened.fingerprint().unwrap());
    assert!(!format!("{opened:?}").contains("PRIVATE"));
}

#[test]
fn a_certificate_of_someone_else_names_no_process() {
    let own = self_signed(&["localhost".to_owned(), "::1".to_owned()], NOW_MS).unwrap();
    let chain = chain(&own.certificate_pem).unwrap();
    assert!(matches!(subject(&chain[0]), Err(Error::Foreign)));
    assert_eq!(facts(&own.certificate_pem).unwrap().names, ["localhost", "::1"]);
    assert!(matches!(super::chain("no pem"), Err(Error::NotPem)));
}

#[test]
fn an_enrolment_token_survives_text() {
    let authority = Digest([7; 32]);
    let token = EnrolmentToken { secret: "0123456789abcdef".to_owned(), authority };
    assert_eq!(token.to_string().parse::<EnrolmentToken>().unwrap(), token);
    for bad in ["", "fhe_", "fhe_short_00", "fh_0123456789abcdef_00", "fhe_0123456789abcdef_00"] {
        assert!(bad.parse::<EnrolmentToken>().is_err(), "{bad}");
    }
}
