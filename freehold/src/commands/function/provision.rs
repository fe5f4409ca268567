//! `freehold function provision`: instances that are kept warm.

use api::client::Client;
use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings, ProvisionedStatus};

use crate::args::ProvisionArguments;
use crate::exit::Failure;
use crate::output::{Output, note};

/// Carries out the command.
pub(super) async fn run(
    arguments: ProvisionArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let ProvisionArguments { name, qualifier, instances, none } = arguments;
    let Some(qualifier) = qualifier else {
        let all = client.provisioned_list(&name).await?;
        let heads = ["qualifier", "wanted", "warm", "status", "reason"];
        return out.list(&all, &heads, cells);
    };
    let of = (&name, qualifier.as_str());
    if none {
        client.provisioned_delete(of).await?;
        return note(&format!("no instances of {name}:{qualifier} are kept warm any more"));
    }
    let kept = match instances {
        Some(instances) => client.provisioned_put(of, ProvisionedSettings { instances }).await?,
        None => client.provisioned(of).await?,
    };
    out.one(&kept, |kept| {
        let heads = ["qualifier", "wanted", "warm", "status", "reason"].map(str::to_owned);
        let rows = heads.into_iter().zip(cells(kept));
        rows.filter(|(_, value)| !value.is_empty()).collect()
    })
}

fn cells(kept: &ProvisionedConcurrency) -> Vec<String> {
    vec![
        kept.qualifier.clone(),
        kept.settings.instances.to_string(),
        kept.available.to_string(),
        word(kept.status).to_owned(),
        kept.reason.clone().unwrap_or_default(),
    ]
}

/// A row of what a function is.
pub(super) fn row(kept: &ProvisionedConcurrency) -> (String, String) {
    let ProvisionedConcurrency { qualifier, settings, available, .. } = kept;
    let (wanted, status) = (settings.instances, word(kept.status));
    let head = "provisioned concurrency".to_owned();
    (head, format!("{qualifier}: {available} of {wanted} warm, {status}"))
}

fn word(status: ProvisionedStatus) -> &'static str {
    match status {
        ProvisionedStatus::InProgress => "in progress",
        ProvisionedStatus::Ready => "ready",
        ProvisionedStatus::Failed => "failed",
    }
}
