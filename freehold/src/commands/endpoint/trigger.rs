//! `freehold endpoint trigger`: what is watched of an endpoint, and what was done.

use api::client::Client;
use api::runs::Load;
use api::triggers::{
    Firing, Trigger, TriggerAction, TriggerBurn, TriggerCondition, TriggerDid, TriggerOn,
    TriggerOutcome, TriggerSpec,
};

use super::gate::condition;
use super::{every, word};
use crate::args::{Then, TriggerArguments, TriggerCommand};
use crate::commands::replay::{load_words, pattern_of};
use crate::commands::runs::word_of;
use crate::exit::Failure;
use crate::output::{Output, note, share, time};

/// Carries out the command.
pub(super) async fn run(
    command: TriggerCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        TriggerCommand::Add(wanted) => {
            let (when, on) = (wanted.condition(), wanted.events());
            let TriggerArguments { name, trigger, variant, over, judged, then, .. } = *wanted;
            let judged = judged.told();
            let then = then.into_iter().map(with_pattern).collect::<Result<_, _>>()?;
            let window_ms = over;
            let spec = TriggerSpec { name: trigger, variant, on, when, window_ms, judged, then };
            out.one(&client.trigger_create(&name, &spec).await?, rows)
        }
        TriggerCommand::List { name } => {
            let told = client.triggers_list(&name).await?;
            let heads = ["trigger", "when", "then", "state", "now"];
            out.list(&told.triggers, &heads, |it| {
                vec![
                    it.spec.name.to_string(),
                    when(&it.spec),
                    then(&it.spec),
                    word(&it.state),
                    it.now.as_ref().map(|now| now.words.clone()).unwrap_or_default(),
                ]
            })?;
            match told.webhook_secret {
                Some(secret) if !out.json() && !told.triggers.is_empty() => {
                    note(&format!("webhooks are signed with {secret}"))
                }
                _ => Ok(()),
            }
        }
        TriggerCommand::History { name } => {
            let name = &name;
            let all: Vec<Firing> =
                every(|page| async move { client.firings_list(name, &page).await }).await?;
            let heads = ["firing", "when", "trigger", "of", "saw", "did"];
            out.list(&all, &heads, |it| {
                let did: Vec<String> = it.did.iter().map(did).collect();
                vec![
                    it.number.to_string(),
                    time(it.at_ms),
                    it.trigger.to_string(),
                    of(it),
                    it.saw.words.clone(),
                    did.join("\n"),
                ]
            })
        }
        TriggerCommand::Remove { name, trigger } => {
            client.trigger_delete(&name, &trigger).await?;
            note(&format!("{name} has no trigger {trigger} any more"))
        }
    }
}

/// What is done, with the pattern of its file.
fn with_pattern(Then { mut action, pattern }: Then) -> Result<TriggerAction, Failure> {
    if let (TriggerAction::Change { load, .. }, Some(path)) = (&mut action, &pattern) {
        *load = Some(pattern_of(path)?);
    }
    Ok(action)
}

fn rows(it: &Trigger) -> Vec<(String, String)> {
    let rows = [
        ("trigger", it.spec.name.to_string()),
        ("when", when(&it.spec)),
        ("then", then(&it.spec)),
        ("state", word(&it.state)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn of(it: &Firing) -> String {
    let variant = it.saw.variant.as_ref().map(ToString::to_string).unwrap_or_default();
    match it.run {
        Some(run) => format!("{variant} in {run}"),
        None => variant,
    }
}

/// What is watched, in words.
fn when(spec: &TriggerSpec) -> String {
    let what = match &spec.when {
        TriggerCondition::Is(it) => condition(it, "any"),
        TriggerCondition::Worse {} => "worse answers to the same events".to_owned(),
        TriggerCondition::Burns(TriggerBurn { objective_ppm, budget_ppm, period_ms }) => format!(
            "{} of the budget of {} for {} is spent",
            share(u64::from(*budget_ppm)),
            share(u64::from(*objective_ppm)),
            span(*period_ms)
        ),
    };
    let of = match (&spec.variant, spec.on) {
        (Some(variant), _) => format!(" of {variant}"),
        (None, TriggerOn::Live) => " of production".to_owned(),
        (None, TriggerOn::Replay) => String::new(),
    };
    let over = match spec.window_ms {
        Some(ms) => format!(" over {}", span(ms)),
        None => " in a replay".to_owned(),
    };
    format!("{what}{of}{over}")
}

/// A time, in its largest whole unit.
fn span(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, unit)| ms > 0 && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(word, unit)| format!("{}{word}", ms / unit))
}

fn then(spec: &TriggerSpec) -> String {
    spec.then.iter().map(action).collect::<Vec<_>>().join("\n")
}

fn action(it: &TriggerAction) -> String {
    match it {
        TriggerAction::Webhook { url } => format!("tell {url}"),
        TriggerAction::Email { to } => format!("tell {to}"),
        TriggerAction::Revert {} => "use variants as before".to_owned(),
        TriggerAction::Out {} => "put the variant into test".to_owned(),
        TriggerAction::Retrain {} => "train the model anew".to_owned(),
        TriggerAction::Deploy { variant, mode, share_bp, for_ms } => {
            let part = match share_bp {
                0 => String::new(),
                bp => format!(" with {}", share(u64::from(*bp) * 100)),
            };
            let time = for_ms.map(|ms| format!(" for {}", span(ms))).unwrap_or_default();
            format!("use {variant} in mode {mode}{part}{time}")
        }
        TriggerAction::Replay { stream, variants, .. } => {
            let names: Vec<String> = variants.iter().map(ToString::to_string).collect();
            let to = if names.is_empty() { "all variants".to_owned() } else { names.join(", ") };
            format!("replay {stream} to {to}")
        }
        TriggerAction::Change { load, times_milli, for_ms, events } => {
            let load = load.as_ref().map(|load| match load {
                Load::Rate { .. } | Load::Poisson { .. } => format!("at {}", load_words(load)),
                _ => load_words(load),
            });
            let times = times_milli.map(|it| format!("{}x as fast as before", word_of(it, 1_000)));
            let time = for_ms.map(|ms| format!("for {}", span(ms)));
            let size = events.map(|events| format!("for {events} events"));
            let words: Vec<String> = [load, times, time, size].into_iter().flatten().collect();
            format!("send the replay anew {}", words.join(" "))
        }
    }
}

fn did(it: &TriggerDid) -> String {
    match it.outcome {
        TriggerOutcome::Done => it.words.clone(),
        TriggerOutcome::Waiting => format!("not yet: {}", it.words),
        TriggerOutcome::Failed => format!("not done: {}", it.words),
    }
}
