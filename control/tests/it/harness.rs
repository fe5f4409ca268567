//! A control plane of a test's own, and short ways to say what tests say often.
//!
//! Always true: a house owns its database, its folder and its time; time stands still until the
//! test moves it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::extract::Extension;
use bytes::Bytes;
use futures::stream;
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use access::{Credentials, Role};
use api::accounts::{CreateAccount, CreateToken};
use api::endpoints::{DeployRequest, Endpoint};
use api::items::Sharing;
use api::listen::Peer;
use api::publishes::{Publish, PublishRequest, PublishState};
use control::caller::Caller;
use control::operations::{accounts, endpoints, objects as uploads, publishes, tokens};
use control::{Control, Settings, SetupError, http as routes};
use objects::{Blobs, Options, Vault};
use testkit::Package;
use types::{Name, ObjectId, PublishId, Reference};
use workflow::{Clock, ManualHandle};

use crate::agent::Agent;
use crate::blobs::Faulty;

/// When every house begins, in Unix milliseconds.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// How long garbage is kept in a house: longer than a claim of chunks may last.
pub(crate) const GRACE_MS: u64 = control::reconcilers::garbage::GRACE_MS;
/// The master key of every house.
pub(crate) const MASTER_KEY: [u8; 32] = [7; 32];
/// Most rounds until something that is waited for has come.
const ROUNDS_MAX: u32 = 60;

/// A control plane, and what it stands on.
pub(crate) struct House {
    pub(crate) control: Control,
    pub(crate) clock: Clock,
    pub(crate) time: ManualHandle,
    pub(crate) blobs: Arc<Faulty>,
    pub(crate) operator: Member,
    pub(crate) folder: TempDir,
}

/// A caller, and the secret of its token.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) caller: Caller,
    pub(crate) secret: String,
}

impl std::ops::Deref for Member {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
    /// Lambda's name of an error; empty where there is none.
    pub(crate) kind: String,
}

impl Answer {
    /// The code of its problem; empty where it is none.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = new_folder();
        let url = format!("sqlite://{}/freehold.db", folder.path().display());
        Self::open_in(folder, &url).await
    }

    pub(crate) async fn open_in(folder: TempDir, database: &str) -> Self {
        let (clock, time) = Clock::manual(START_MS);
        let blobs = faulty(&folder, &clock).await;
        let control = open(database, &blobs, &clock, MASTER_KEY).await.unwrap();
        let created = control.first_operator(&name("operator")).await.unwrap().unwrap();
        let caller = authenticate(&control, &created.token.secret).await;
        let operator = Member { caller, secret: created.token.secret };
        Self { control, clock, time, blobs, operator, folder }
    }

    /// Closes the house, so that it can be copied.
    pub(crate) async fn closed(self) -> Template {
        self.control.close().await;
        Template { folder: self.folder, now_ms: self.clock.now_ms(), operator: self.operator }
    }

    pub(crate) fn database(&self) -> String {
        format!("sqlite://{}/freehold.db", self.folder.path().display())
    }

    /// The same house after its process died and was started again.
    pub(crate) async fn restarted(self) -> Self {
        self.control.close().await;
        let control = open(&self.database(), &self.blobs, &self.clock, MASTER_KEY).await.unwrap();
        Self { control, ..self }
    }

    pub(crate) fn store(&self) -> &store::Store {
        self.control.store()
    }

    /// A new account; its owner.
    pub(crate) async fn account(&self, text: &str) -> Member {
        let request = CreateAccount { name: name(text) };
        let made = accounts::create(&self.control, &self.operator, request).await.unwrap();
        let caller = authenticate(&self.control, &made.token.secret).await;
        Member { caller, secret: made.token.secret }
    }

    /// A new account of a name that no other has.
    pub(crate) async fn someone(&self) -> Member {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        self.account(&format!("someone-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
    }

    /// A token of an owner's account with this role.
    pub(crate) async fn member(&self, owner: &Member, role: Role) -> Member {
        let role = match role {
            Role::Reader => api::accounts::Role::Reader,
            Role::Developer => api::accounts::Role::Developer,
            Role::Owner => api::accounts::Role::Owner,
            Role::Operator => api::accounts::Role::Operator,
        };
        let wanted =
            CreateToken { label: "test".to_owned(), role, lifetime_ms: None, access_key: false };
        let made = tokens::create(&self.control, owner, wanted).await.unwrap();
        let caller = authenticate(&self.control, &made.secret).await;
        Member { caller, secret: made.secret }
    }

    /// Uploads a body as an object.
    pub(crate) async fn upload(&self, caller: &Caller, body: &[u8]) -> ObjectId {
        let body = stream::iter([Ok(Bytes::copy_from_slice(body))]);
        let media_type = "application/x-tar".to_owned();
        uploads::receive_stream(&self.control, caller, media_type, body).await.unwrap().id
    }

    /// Begins to publish a package.
    pub(crate) async fn begin_publish(
        &self,
        caller: &Caller,
        package: &Package,
        sharing: Sharing,
    ) -> PublishId {
        let object = self.upload(caller, &packed(package)).await;
        let request = PublishRequest { object, sharing: Some(sharing) };
        publishes::create(&self.control, caller, request).await.unwrap().id
    }

    /// Publishes a package, and gives the version it became.
    pub(crate) async fn publish(
        &self,
        agent: &Agent,
        caller: &Caller,
        (package, sharing): (&Package, Sharing),
    ) -> Reference {
        let id = self.begin_publish(caller, package, sharing).await;
        let publish = self.ended_publish(agent, caller, id).await;
        publish.version.unwrap_or_else(|| panic!("not published: {:?}", publish.error))
    }

    /// A publishing, once it has ended.
    pub(crate) async fn ended_publish(
        &self,
        agent: &Agent,
        caller: &Caller,
        id: PublishId,
    ) -> Publish {
        self.until(agent, "a publishing to end", || async {
            let publish = publishes::fetch(&self.control, caller, id).await.unwrap();
            (publish.state != PublishState::Running).then_some(publish)
        })
        .await
    }

    /// A published model that everybody may use.
    pub(crate) async fn model(&self, agent: &Agent, caller: &Caller, text: &str) -> Reference {
        let package = Package::linear(text, ("x", "y"), 2.0, 1.0);
        self.publish(agent, caller, (&package, Sharing::Everybody)).await
    }

    /// Deploys, without waiting for readiness.
    pub(crate) async fn deploy(&self, caller: &Caller, text: &str, source: &Reference) -> Endpoint {
        let request =
            DeployRequest { name: name(text), source: source.clone().into(), instance_type: None };
        endpoints::create(&self.control, caller, request).await.unwrap()
    }

    pub(crate) async fn endpoint(&self, caller: &Caller, text: &str) -> Option<Endpoint> {
        endpoints::fetch(&self.control, caller, &name(text)).await.ok()
    }

    /// Lets control, the agent and time go on by half a second.
    pub(crate) async fn pass(&self, agent: &Agent) {
        agent.report_host(&self.control).await;
        self.control.settle().await.unwrap();
        agent.act(&self.control).await;
        self.control.settle().await.unwrap();
        self.time.advance_ms(500);
    }

    /// Lets time go on until something has come.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        agent: &Agent,
        what: &str,
        look: impl Fn() -> F,
    ) -> T {
        for _ in 0..ROUNDS_MAX {
            self.pass(agent).await;
            if let Some(found) = look().await {
                return found;
            }
        }
        panic!("waited too long for {what}");
    }

    /// Sends a request as the listener of the Unix socket would hand it on.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_as(Peer::Local, request).await
    }

    /// Sends a request of this peer as a listener would hand it on.
    pub(crate) async fn send_as(&self, peer: Peer, request: Request<Body>) -> Answer {
        let router = routes::router(&self.control).layer(Extension(peer));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let kind = response.headers().get("x-amzn-errortype");
        let kind = kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Answer { status, body, replayed, kind }
    }

    pub(crate) async fn get(&self, member: &Member, path: &str) -> Answer {
        self.send(request("GET", path, Some(member), None)).await
    }

    pub(crate) async fn post(&self, member: &Member, path: &str, body: Value) -> Answer {
        self.send(request("POST", path, Some(member), Some(body))).await
    }
}

/// A house that is closed, of which any number can be made.
pub(crate) struct Template {
    folder: TempDir,
    now_ms: u64,
    operator: Member,
}

impl Template {
    /// Another house with the same in it, at the same time of its own.
    pub(crate) async fn copy(&self) -> House {
        let folder = new_folder();
        copy_folder(self.folder.path(), folder.path());
        let (clock, time) = Clock::manual(self.now_ms);
        let blobs = faulty(&folder, &clock).await;
        let url = format!("sqlite://{}/freehold.db", folder.path().display());
        let control = open(&url, &blobs, &clock, MASTER_KEY).await.unwrap();
        House { control, clock, time, blobs, operator: self.operator.clone(), folder }
    }
}

async fn authenticate(control: &Control, secret: &str) -> Caller {
    control.authenticate(&Credentials::bearer(secret)).await.unwrap()
}

/// A folder in memory where the machine has one, for the many writes that wait for the disk.
fn new_folder() -> TempDir {
    match tempfile::tempdir_in("/dev/shm") {
        Ok(folder) => folder,
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Opens a control plane over these blobs.
pub(crate) async fn open(
    database: &str,
    blobs: &Arc<Faulty>,
    clock: &Clock,
    master_key: [u8; 32],
) -> Result<Control, SetupError> {
    let settings = Settings {
        database: database.to_owned(),
        objects: "file:///not-looked-at".to_owned(),
        objects_options: Options::default(),
        name: "test".to_owned(),
        garbage_grace_ms: GRACE_MS,
        certificate_ms: api::identity::PROCESS_LIFETIME_MS,
    };
    let blobs = Blobs::new(Arc::clone(blobs) as Arc<dyn objects::blobs::Backend>);
    Control::open_over(blobs, settings, Vault::from_key(master_key), clock.clone()).await
}

async fn faulty(folder: &TempDir, clock: &Clock) -> Arc<Faulty> {
    let clock = clock.clone();
    let stamp: objects::blobs::Stamp = Arc::new(move || clock.now_ms());
    let options = Options { stamp: Some(stamp), ..Options::default() };
    let path = folder.path().join("objects");
    Faulty::over(Blobs::open(path.to_str().unwrap(), options).await.unwrap())
}

/// A request with a JSON body.
pub(crate) fn request(
    method: &str,
    path: &str,
    member: Option<&Member>,
    body: Option<Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(member) = member {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", member.secret));
    }
    match body {
        None => request.body(Body::empty()).unwrap(),
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
    }
}

/// With this idempotency key.
pub(crate) fn keyed(mut request: Request<Body>, key: &str) -> Request<Body> {
    request.headers_mut().insert(api::IDEMPOTENCY_HEADER, key.parse().unwrap());
    request
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A package as its client sends it.
pub(crate) fn packed(package: &Package) -> Vec<u8> {
    let mut tar = Vec::new();
    formats::archive::pack(package.folder(), &mut tar).unwrap();
    tar
}

/// Runs one store function in a read transaction of its own.
macro_rules! read {
    ($store:expr, $function:ident($($argument:expr),* $(,)?)) => {
        $store
            .read(stringify!($function), |tx| {
                Box::pin(async { $function(tx, $($argument),*).await })
            })
            .await
    };
}

/// Runs one store function in a write transaction of its own.
macro_rules! write {
    ($store:expr, $function:ident($($argument:expr),* $(,)?)) => {
        $store
            .transact(stringify!($function), |tx| {
                Box::pin(async { $function(tx, $($argument),*).await })
            })
            .await
    };
}

pub(crate) use {read, write};
