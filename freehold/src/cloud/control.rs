//! Control in this process: opened, and served on its socket and address.

use std::net::SocketAddr;
use std::path::PathBuf;

use api::identity::{Identity, Shown, Validity};
use api::listen::{Address, Clients, Listener, Tls};
use control::Control;
use objects::Vault;
use types::Name;
use workflow::{BoxFuture, Clock, Tasks};

use super::files::{Files, socket};
use super::renewal::{self, Source};
use super::spawn;
use crate::exit::Failure;
use crate::settings::Settings;

/// How long control's certificate holds; it is made anew at every start, and in time.
const CERTIFICATE_MS: u64 = 365 * 24 * 3_600_000;
/// The file with the first operator's token.
const OPERATOR_TOKEN: &str = "operator.token";

/// An opened control plane.
pub(super) struct Opened {
    pub(super) control: Control,
    /// The first operator's token, where it is kept here.
    pub(super) operator_token: String,
}

/// Opens database and objects, and makes the first operator where there is none.
pub(super) async fn open(
    settings: &Settings,
    files: &Files,
    clock: &Clock,
) -> Result<Opened, Failure> {
    let vault = match &settings.master_key {
        Some(text) => Vault::from_hex(text),
        None => Vault::from_file(&settings.master_key_file),
    };
    let vault = vault.map_err(|error| Failure::usage(workflow::chain(&error)))?;
    let kept = files.read("control.name")?;
    let is_new = kept.is_none();
    let name = kept.unwrap_or_else(|| clock.uuid().simple().to_string());
    if is_new {
        files.write("control.name", name.as_bytes(), 0o600)?;
    }
    let wanted = control::Settings {
        database: settings.database.clone(),
        objects: settings.objects.clone(),
        objects_options: objects_options(),
        name,
        garbage_grace_ms: control::reconcilers::garbage::GRACE_MS,
        certificate_ms: settings.certificate_ms,
    };
    let control = Control::open(wanted, vault, clock.clone())
        .await
        .map_err(|error| Failure::refused(workflow::chain(&error)))?;
    let operator: Name = "operator".parse().expect("a plain word is a name");
    let created = control
        .first_operator(&operator)
        .await
        .map_err(|error| Failure::internal("could not make the operator", &error))?;
    if let Some(created) = created {
        files.write(OPERATOR_TOKEN, created.token.secret.as_bytes(), 0o600)?;
    }
    let operator_token = files.read(OPERATOR_TOKEN)?.unwrap_or_default();
    Ok(Opened { control, operator_token })
}

/// Credentials of an S3-compatible store come from the variables its own tools read.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
pub(super) fn objects_options() -> objects::Options {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let credentials = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    objects::Options {
        region: variable("AWS_REGION"),
        credentials: credentials.map(|(access_key_id, secret_access_key)| {
            objects::blobs::Credentials { access_key_id, secret_access_key }
        }),
        ..objects::Options::default()
    }
}

/// Serves control on a Unix socket that only this user can open.
pub(super) async fn serve_local(
    opened: &Opened,
    files: &Files,
    tasks: &Tasks,
) -> Result<PathBuf, Failure> {
    let path = socket(files.folder(), "control.sock")?;
    let listener = Listener::bind(&Address::Unix(path.clone()))
        .await
        .map_err(|error| Failure::usage(workflow::chain(&error)))?;
    spawn(tasks, "control socket", listener, (router(&opened.control), None));
    Ok(path)
}

/// Serves control for agents and gateways on other machines, over TLS; both prove themselves by
/// certificates of the cloud's own authority.
pub(super) async fn serve_internal(
    opened: &Opened,
    address: SocketAddr,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<String, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::usage(workflow::chain(error));
    let authority = opened.control.authority();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), address.ip().to_string()];
    names.extend(host_name());
    let source = FromAuthority { control: opened.control.clone(), names, clock: clock.clone() };
    let identity = source.make()?;
    let shown = Shown::new(&identity).map_err(|error| failed(&error))?;
    let clients = Clients::MayProve(authority.certificate_pem());
    let tls = Tls::new(&shown, clients).map_err(|error| failed(&error))?;
    renewal::spawn(source, &shown, &identity, (clock, tasks))?;
    let listener = Listener::bind(&Address::Tcp(address)).await.map_err(|error| failed(&error))?;
    let port = listener.port().unwrap_or(address.port());
    spawn(tasks, "control listener", listener, (router(&opened.control), Some(tls)));
    Ok(format!("https://{}", SocketAddr::new(address.ip(), port)))
}

/// Certificates of control's own, which holds the authority.
struct FromAuthority {
    control: Control,
    names: Vec<String>,
    clock: Clock,
}

impl FromAuthority {
    fn make(&self) -> Result<Identity, Failure> {
        let validity = Validity { now_ms: self.clock.now_ms(), lifetime_ms: CERTIFICATE_MS };
        let made = self.control.authority().control(&self.names, validity);
        made.map_err(|error| Failure::usage(workflow::chain(&error)))
    }
}

impl Source for FromAuthority {
    fn next(&mut self) -> BoxFuture<'_, Result<Identity, Failure>> {
        Box::pin(async { self.make() })
    }

    fn cure(&self) -> String {
        "start control again".to_owned()
    }
}

fn router(control: &Control) -> axum::Router {
    control::http::router(control)
}

/// The name of this machine, where it has one.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty() && name != "(none)").then(|| name.to_owned())
}
