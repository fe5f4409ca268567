//! `freehold endpoint gate` and `promote`: what has to hold before a candidate answers customers.

use api::client::Client;
use api::endpoints::{
    AskGate, GateCondition, GateJudgement, GateLine, GateMetric, GateScope, GateSpec, Promote,
    Promotion,
};

use super::word;
use crate::args::{GateCommand, PromoteArguments};
use crate::exit::Failure;
use crate::output::{Output, note};

/// Carries out the command.
pub(super) async fn run(
    command: GateCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        GateCommand::Show { name } => out.one(&client.gate_fetch(&name).await?, rows),
        GateCommand::Set { name, conditions, automatic } => {
            let wanted = GateSpec { conditions, automatic };
            out.one(&client.gate_put(&name, &wanted).await?, rows)
        }
        GateCommand::Ask { name, run } => {
            let told = client.gate_ask(&name, &AskGate { run }).await?;
            out.one(&told, |told: &GateJudgement| lines(&told.lines))?;
            let candidate = format!("{name}@{}", told.variant);
            if told.holds {
                return note(&format!("{candidate} may be promoted by {run}"));
            }
            note(&format!("{candidate} may not be promoted: {}", told.reason))
        }
        GateCommand::Delete { name } => {
            client.gate_delete(&name).await?;
            note(&format!("{name} has no gate any more"))
        }
    }
}

/// Promotes a variant, or tells why it is not.
pub(super) async fn promote(
    wanted: PromoteArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let PromoteArguments { name, variant, run, mode, share, for_ms } = wanted;
    let request = Promote { run, mode, share_bp: share.unwrap_or(0), for_ms };
    let told = client.variant_promote(&name, &variant, &request).await?;
    out.one(&told, |told: &Promotion| lines(&told.lines))?;
    if told.promoted {
        return note(&format!("{name}@{variant} is in mode {mode} from now on"));
    }
    Err(Failure::refused(format!("{name}@{variant} is not promoted: {}", told.reason)))
}

fn lines(all: &[GateLine]) -> Vec<(String, String)> {
    all.iter().map(|line| (word(&line.judgement), line.words.clone())).collect()
}

fn rows(gate: &GateSpec) -> Vec<(String, String)> {
    let conditions: Vec<String> = gate.conditions.iter().map(|it| condition(it, "each")).collect();
    let who = if gate.automatic { "the cloud, by itself" } else { "a person, after review" };
    let rows = [("has to hold", conditions.join("\n")), ("promotes", who.to_owned())];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A condition in words; where it is of several regions or groups it has to be so in `each`, or `any`.
pub(super) fn condition(it: &GateCondition, each: &str) -> String {
    let place = match &it.scope {
        GateScope::All => String::new(),
        GateScope::Region(region) => format!(" in {region}"),
        GateScope::EachRegion => format!(" in {each} region"),
        GateScope::Group(group) => format!(" of the group {group}"),
        GateScope::EachGroup => format!(" of {each} group"),
    };
    let metric = format!("{}{place}", word(&it.metric));
    let part = |ppm: u32| format!("{} of production's", crate::output::share(u64::from(ppm)));
    match it {
        _ if it.metric == GateMetric::Verdict => "the verdict is to promote".to_owned(),
        GateCondition { at_most: Some(value), .. } => format!("{metric} at most {value}"),
        GateCondition { at_least: Some(value), .. } => format!("{metric} at least {value}"),
        GateCondition { at_most_of_incumbent_ppm: Some(ppm), .. } => {
            format!("{metric} at most {}", part(*ppm))
        }
        GateCondition { at_least_of_incumbent_ppm: Some(ppm), .. } => {
            format!("{metric} at least {}", part(*ppm))
        }
        _ => metric,
    }
}
