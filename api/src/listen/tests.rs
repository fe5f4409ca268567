use std::time::Instant;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

use super::*;
use crate::client::{self, Client, Settings, Trust};
use crate::identity::{Authority, Identity, Process, Shown, SigningRequest, Validity};

const FAR_MS: u64 = 20 * 365 * 24 * 3_600_000;

/// Certificates are verified against the machine's clock, so they are made by it.
fn now_ms() -> u64 {
    rustls_pki_types::UnixTime::now().as_secs() * 1_000
}

/// A server that says who asks, under `/v1/openapi.json`, which any client may read.
struct Server {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    address: Address,
}

impl Server {
    async fn start(address: &str, limits: Limits, tls: Option<Tls>, router: Router) -> Self {
        let listener = Listener::bind(&address.parse().unwrap()).await.unwrap();
        let listener = listener.with_limits(limits);
        let (stop, address) = (CancellationToken::new(), listener.address().clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, tls, stop.clone()));
        Self { tasks, stop, address }
    }

    async fn stopped(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }

    fn tcp(&self) -> SocketAddr {
        match self.address {
            Address::Tcp(address) => address,
            Address::Unix(_) => panic!("a unix socket"),
        }
    }

    fn client(&self, trust: Trust, identity: Option<Identity>) -> Client {
        self.client_showing(trust, identity.map(|identity| Shown::new(&identity).unwrap()))
    }

    fn client_showing(&self, trust: Trust, identity: Option<Shown>) -> Client {
        let scheme = if trust == Trust::System { "http" } else { "https" };
        let text = match &self.address {
            Address::Tcp(address) => format!("{scheme}://{address}"),
            unix @ Address::Unix(_) => unix.to_string(),
        };
        let address: client::Address = text.parse().unwrap();
        let settings = Settings::new(address);
        Client::new(Settings { trust, identity, attempts: 1, ..settings }).unwrap()
    }
}

fn who() -> Router {
    let answer = |Extension(peer): Extension<Peer>, request: Request<axum::body::Body>| async move {
        let peer = match peer {
            Peer::Local => "local".to_owned(),
            Peer::Remote(from) => format!("remote {}", from.ip()),
            Peer::Certificate(subject) => format!("{} {}", subject.process, subject.name),
        };
        axum::Json(format!("{peer} {:?}", request.version()))
    };
    Router::new().route("/v1/openapi.json", get(answer))
}

fn tls(names: &[&str], clients: Clients<'_>, authority: Option<&Authority>) -> (Identity, Tls) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let identity = match authority {
        None => identity::self_signed(&names, now_ms()).unwrap(),
        Some(authority) => {
            authority.control(&names, Validity { now_ms: now_ms(), lifetime_ms: FAR_MS }).unwrap()
        }
    };
    let tls = Tls::new(&Shown::new(&identity).unwrap(), clients).unwrap();
    (identity, tls)
}

fn agent(authority: &Authority) -> Identity {
    agent_for(authority, "rack-1", FAR_MS)
}

fn agent_for(authority: &Authority, name: &str, lifetime_ms: u64) -> Identity {
    let request = SigningRequest::new().unwrap();
    let validity = Validity { now_ms: now_ms(), lifetime_ms };
    let name = name.parse().unwrap();
    let certificate_pem =
        authority.sign(&request.request_pem, Process::Agent, &name, validity).unwrap();
    Identity { certificate_pem, key_pem: request.key_pem }
}

#[tokio::test]
async fn the_peer_of_a_plain_connection_is_its_address() {
    let server = Server::start("127.0.0.1:0", Limits::default(), None, who()).await;
    let answer = server.client(Trust::System, None).openapi().await.unwrap();
    assert_eq!(answer, "remote 127.0.0.1 HTTP/1.1");
    server.stopped().await;
}

#[tokio::test]
async fn the_peer_on_a_unix_socket_is_local_and_the_socket_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let address = format!("unix:{}", path.display());
    let server = Server::start(&address, Limits::default(), None, who()).await;
    let answer = server.client(Trust::System, None).openapi().await.unwrap();
    assert_eq!(answer, "local HTTP/1.1");
    server.stopped().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_by_its_fingerprint_only() {
    let (own, tls) = tls(&["localhost"], Clients::Anybody, None);
    let server = Server::start("127.0.0.1:0", Limits::default(), Some(tls), who()).await;
    let fingerprint = identity::facts(&own.certificate_pem).unwrap().fingerprint;
    let answer = server.client(Trust::Fingerprint(fingerprint), None).openapi().await.unwrap();
    assert_eq!(answer, "remote 127.0.0.1 HTTP/2.0");
    let by_text = Trust::Authority(own.certificate_pem);
    assert!(server.client(by_text, None).openapi().await.is_ok());
    let wrong = Trust::Fingerprint(types::Digest([1; 32]));
    let refused = server.client(wrong, None).openapi().await.unwrap_err();
    assert!(refused.to_string().contains("not trusted"), "{refused}");
    server.stopped().await;
}

#[tokio::test]
async fn a_process_proves_itself_to_control_and_control_to_it() {
    let authority = Authority::create(now_ms()).unwrap();
    let must = Clients::MustProve(authority.certificate_pem());
    let (_, tls) = tls(&["127.0.0.1"], must, Some(&authority));
    let server = Server::start("127.0.0.1:0", Limits::default(), Some(tls), who()).await;
    let trust = Trust::Authority(authority.certificate_pem().to_owned());
    let proven = server.client(trust.clone(), Some(agent(&authority)));
    assert_eq!(proven.openapi().await.unwrap(), "agent rack-1 HTTP/2.0");
    assert!(server.client(trust.clone(), None).openapi().await.is_err());
    let stranger = agent(&Authority::create(now_ms()).unwrap());
    assert!(server.client(trust, Some(stranger)).openapi().await.is_err());
    server.stopped().await;
}

#[tokio::test]
async fn who_enrols_has_no_certificate_and_knows_the_authority_by_its_digest() {
    let authority = Authority::create(now_ms()).unwrap();
    let may = Clients::MayProve(authority.certificate_pem());
    let (_, tls) = tls(&["127.0.0.1"], may, Some(&authority));
    let server = Server::start("127.0.0.1:0", Limits::default(), Some(tls), who()).await;
    let trust = Trust::Fingerprint(authority.fingerprint().unwrap());
    let answer = server.client(trust.clone(), None).openapi().await.unwrap();
    assert_eq!(answer, "remote 127.0.0.1 HTTP/2.0");
    let answer = server.client(trust, Some(agent(&authority))).openapi().await.unwrap();
    assert_eq!(answer, "agent rack-1 HTTP/2.0");
    server.stopped().await;
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_from_the_next_handshake_on() {
    let own = || identity::self_signed(&["localhost".to_owned()], now_ms()).unwrap();
    let shown = Shown::new(&own()).unwrap();
    let tls = Tls::new(&shown, Clients::Anybody).unwrap();
    let server = Server::start("127.0.0.1:0", Limits::default(), Some(tls), who()).await;
    let next = own();
    shown.replace(&next).unwrap();
    let broken = Identity { key_pem: own().key_pem, ..next.clone() };
    assert!(matches!(shown.replace(&broken), Err(identity::Error::Unusable(_))));
    let trust = Trust::Authority(next.certificate_pem);
    assert!(server.client(trust, None).openapi().await.is_ok());
    server.stopped().await;
}

#[tokio::test]
async fn a_client_shows_its_next_certificate_once_the_one_before_is_over() {
    let authority = Authority::create(now_ms()).unwrap();
    let must = Clients::MustProve(authority.certificate_pem());
    let (_, tls) = tls(&["127.0.0.1"], must, Some(&authority));
    let server = Server::start("127.0.0.1:0", Limits::default(), Some(tls), who()).await;
    let trust = Trust::Authority(authority.certificate_pem().to_owned());
    let shown = Shown::new(&agent_for(&authority, "short", 3_000)).unwrap();
    let client = server.client_showing(trust, Some(shown.clone()));
    assert_eq!(client.openapi().await.unwrap(), "agent short HTTP/2.0");
    shown.replace(&agent(&authority)).unwrap();
    // The connection that is open is what it was; no request is lost when it ends.
    loop {
        let answer = client.openapi().await.unwrap();
        if answer == "agent rack-1 HTTP/2.0" {
            break;
        }
        assert_eq!(answer, "agent short HTTP/2.0");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stopped().await;
}

#[tokio::test]
async fn requests_in_flight_finish_after_the_stop_and_no_new_ones_start() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, there) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = move || async move {
        here.notify_one();
        there.notified().await;
        axum::Json("finished")
    };
    let router = Router::new().route("/v1/openapi.json", get(slow));
    let server = Server::start("127.0.0.1:0", Limits::default(), None, router).await;
    let (client, address) = (server.client(Trust::System, None), server.tcp());
    let mut asked = JoinSet::new();
    asked.spawn(async move { client.openapi().await });
    begun.notified().await;
    server.stop.cancel();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go_on.notify_one();
    assert_eq!(asked.join_next().await.unwrap().unwrap().unwrap(), "finished");
    server.stopped().await;
}

#[tokio::test]
async fn what_outlives_the_grace_is_cut() {
    let begun = Arc::new(Notify::new());
    let here = Arc::clone(&begun);
    let endless = move || async move {
        here.notify_one();
        std::future::pending::<String>().await
    };
    let router = Router::new().route("/v1/openapi.json", get(endless));
    let limits = Limits { grace_ms: 50, ..Limits::default() };
    let server = Server::start("127.0.0.1:0", limits, None, router).await;
    let client = server.client(Trust::System, None);
    let mut asked = JoinSet::new();
    asked.spawn(async move { client.openapi().await });
    begun.notified().await;
    server.stopped().await;
    assert!(asked.join_next().await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn a_silent_or_slow_client_is_turned_away() {
    let limits = Limits { header_read_ms: 100, ..Limits::default() };
    let server = Server::start("127.0.0.1:0", limits, None, who()).await;
    for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = TcpStream::connect(server.tcp()).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{begin:?}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_one_to_end() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let server = Server::start("127.0.0.1:0", limits, None, who()).await;
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = TcpStream::connect(server.tcp()).await.unwrap();
    first.write_all(request).await.unwrap();
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    let mut second = TcpStream::connect(server.tcp()).await.unwrap();
    second.write_all(request).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut head));
    assert!(early.await.is_err());
    drop(first);
    second.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(second);
    server.stopped().await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let address = Address::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let living = Listener::bind(&address).await.unwrap();
    assert!(UnixStream::connect(&path).await.is_ok());
    let refused = Listener::bind(&address).await.unwrap_err();
    assert!(refused.to_string().contains("another program listens there"), "{refused}");
    drop(living);
    std::fs::write(&path, "a file").unwrap();
    assert!(matches!(Listener::bind(&address).await, Err(Error::NotASocket { .. })));
    let long = Address::Unix(folder.path().join("x".repeat(120)));
    assert!(matches!(Listener::bind(&long).await, Err(Error::PathTooLong { .. })));
}

#[test]
fn an_own_certificate_is_kept_until_its_names_change_or_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["freehold.example".to_owned(), "192.0.2.1".to_owned()];
    let made = Tls::own(folder.path(), &names, now_ms()).unwrap();
    assert_eq!(Tls::own(folder.path(), &names[..1], now_ms()).unwrap(), made);
    assert_ne!(Tls::own(folder.path(), &["other".to_owned()], now_ms()).unwrap(), made);
    let kept = Tls::own(folder.path(), &["other".to_owned()], now_ms()).unwrap();
    assert_ne!(Tls::own(folder.path(), &["other".to_owned()], now_ms() + FAR_MS).unwrap(), kept);
}

#[test]
fn addresses_survive_text() {
    for text in ["127.0.0.1:8000", "[::1]:0", "unix:/run/freehold.sock"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    assert_eq!("localhost:1".parse::<Address>().unwrap().to_string(), "127.0.0.1:1");
    for bad in ["", "unix:", "8000", "host:80", "127.0.0.1"] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
}

/// Run with `--ignored --nocapture`, in a release build; seconds are reported, not judged.
#[tokio::test]
#[ignore = "a measurement"]
async fn how_long_an_empty_request_takes() {
    let router = Router::new().route("/", get(|| async { "x" }));
    let server = Server::start("127.0.0.1:0", Limits::default(), None, router).await;
    let mut stream = TcpStream::connect(server.tcp()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    let mut times = Vec::new();
    for _ in 0..5_000 {
        let began = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("p50 {:?}, p99 {:?}", times[2_500], times[4_950]);
    drop(stream);
    server.stopped().await;
}
