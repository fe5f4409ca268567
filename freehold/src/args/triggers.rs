//! Words about triggers: what is watched, and what is done then.
//!
//! An action is a word with what it needs behind `=`, its parts parted by colons:
//! `webhook=URL`, `email=ADDRESS`, `revert`, `out`, `deploy=VARIANT:MODE[:SHARE[:TIME]]`,
//! `replay=STREAM[:VARIANT,VARIANT[:RATE]]`.

use api::endpoints::GateCondition;
use api::triggers::{TriggerAction, TriggerBurn, TriggerCondition, TriggerOn};
use clap::{Args, Subcommand, ValueEnum};

use types::Name;

use super::examples;
use super::gates::parse_condition;
use super::values::{parse_mode, parse_rate, parse_share, parse_share_bp, parse_time};

#[derive(Debug, Subcommand)]
#[command(after_help = examples::TRIGGER)]
pub enum TriggerCommand {
    /// Have something done when something comes to be so
    Add(Box<TriggerArguments>),
    /// List the triggers of an endpoint, with what they see now
    List {
        /// The endpoint
        name: Name,
    },
    /// List what triggers saw and did, the newest first
    History {
        /// The endpoint
        name: Name,
    },
    /// Remove a trigger; what it did can still be seen
    Remove {
        /// The endpoint
        name: Name,
        /// The trigger
        trigger: Name,
    },
}

#[derive(Debug, Args)]
#[command(after_help = examples::TRIGGER_ADD)]
pub struct TriggerArguments {
    /// The endpoint
    pub name: Name,
    /// What the trigger is called
    pub trigger: Name,
    /// METRIC<=VALUE or METRIC>=VALUE, as of a gate, or burn
    #[arg(value_name = "CONDITION", value_parser = parse_when)]
    pub when: When,
    /// The variant that is watched [default: what is in production, or a replay's first]
    #[arg(long = "of", value_name = "VARIANT")]
    pub variant: Option<Name>,
    /// live: what customers ask; replay: each one, once it has ended
    #[arg(long, value_enum, default_value_t = OnWord::Live)]
    pub on: OnWord,
    /// Over how long of live events, such as 5m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub over: Option<u64>,
    /// With burn: the part of events that is to go well, such as 99.9%
    #[arg(long, value_name = "PART", value_parser = parse_share, required_if_eq("when", "burn"))]
    pub objective: Option<u64>,
    /// With burn: the part of the budget that must not be spent over that time
    #[arg(long, value_name = "PART", value_parser = parse_share, default_value = "2%")]
    pub budget: u64,
    /// With burn: what the objective is for
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30d")]
    pub period: u64,
    /// What is done: webhook=URL, email=ADDRESS, revert, out,
    /// deploy=VARIANT:MODE[:SHARE[:TIME]] or replay=STREAM[:VARIANTS[:RATE]]; may be repeated
    #[arg(long = "then", value_name = "ACTION", required = true, value_parser = parse_action)]
    pub then: Vec<TriggerAction>,
}

/// What has to be so.
#[derive(Clone, Debug)]
pub enum When {
    Is(GateCondition),
    Burns,
}

/// Of which events.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnWord {
    Live,
    Replay,
}

impl TriggerArguments {
    /// The condition.
    pub fn condition(&self) -> TriggerCondition {
        let ppm = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
        match &self.when {
            When::Is(condition) => TriggerCondition::Is(condition.clone()),
            When::Burns => TriggerCondition::Burns(TriggerBurn {
                objective_ppm: ppm(self.objective.unwrap_or(0)),
                period_ms: self.period,
                budget_ppm: ppm(self.budget),
            }),
        }
    }

    /// Of which events.
    pub const fn events(&self) -> TriggerOn {
        match self.on {
            OnWord::Live => TriggerOn::Live,
            OnWord::Replay => TriggerOn::Replay,
        }
    }
}

fn parse_when(text: &str) -> Result<When, String> {
    if text == "burn" {
        return Ok(When::Burns);
    }
    let told = |error: String| format!("{error}, or burn");
    parse_condition(text).map(When::Is).map_err(told)
}

fn parse_action(text: &str) -> Result<TriggerAction, String> {
    let refuse = || {
        format!(
            "{text:?} is no action: write webhook=URL, email=ADDRESS, revert, out, \
             deploy=VARIANT:MODE[:SHARE[:TIME]] or replay=STREAM[:VARIANTS[:RATE]]"
        )
    };
    let (word, rest) = text.split_once('=').unwrap_or((text, ""));
    match (word, rest) {
        ("webhook", url) if !url.is_empty() => Ok(TriggerAction::Webhook { url: url.to_owned() }),
        ("email", to) if !to.is_empty() => Ok(TriggerAction::Email { to: to.to_owned() }),
        ("revert", "") => Ok(TriggerAction::Revert {}),
        ("out", "") => Ok(TriggerAction::Out {}),
        ("deploy", parts) => {
            let parts: Vec<&str> = parts.split(':').collect();
            let (variant, mode, rest) = match parts.as_slice() {
                [variant, mode, rest @ ..] if rest.len() <= 2 => (*variant, *mode, rest),
                _ => return Err(refuse()),
            };
            let share_bp = rest.first().map(|share| parse_share_bp(share)).transpose()?;
            Ok(TriggerAction::Deploy {
                variant: variant.parse().map_err(|_| refuse())?,
                mode: parse_mode(mode)?,
                share_bp: share_bp.unwrap_or(0),
                for_ms: rest.get(1).map(|time| parse_time(time)).transpose()?,
            })
        }
        ("replay", parts) => {
            let parts: Vec<&str> = parts.split(':').collect();
            let (stream, more) = match parts.as_slice() {
                [stream, more @ ..] if more.len() <= 2 => (*stream, more),
                _ => return Err(refuse()),
            };
            let names = more.first().copied().unwrap_or_default().split(',');
            let names = names.filter(|name| !name.is_empty()).map(str::parse);
            Ok(TriggerAction::Replay {
                stream: stream.parse().map_err(|_| refuse())?,
                variants: names.collect::<Result<_, _>>().map_err(|_| refuse())?,
                rate_uhz: more.get(1).map(|rate| parse_rate(rate)).transpose()?,
            })
        }
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use types::Mode;

    use super::*;

    #[test]
    fn actions_are_read_exactly() {
        let read = |text: &str| parse_action(text).unwrap();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let url = "https://example.org/a?b=c".to_owned();
        assert_eq!(read("webhook=https://example.org/a?b=c"), TriggerAction::Webhook { url });
        assert_eq!(read("revert"), TriggerAction::Revert {});
        let bake = TriggerAction::Deploy {
            variant: name("next"),
            mode: Mode::Bake,
            share_bp: 1_000,
            for_ms: Some(1_800_000),
        };
        assert_eq!(read("deploy=next:bake:10%:30m"), bake);
        let replay = |variants: &[&str], rate_uhz: Option<u64>| TriggerAction::Replay {
            stream: name("sales"),
            variants: variants.iter().map(|it| name(it)).collect(),
            rate_uhz,
        };
        assert_eq!(read("replay=sales"), replay(&[], None));
        assert_eq!(
            read("replay=sales:next,main:50/s"),
            replay(&["next", "main"], Some(50_000_000))
        );
        for wrong in [
            "",
            "webhook",
            "email=",
            "revert=1",
            "deploy=next",
            "deploy=next:here",
            "deploy=next:canary:5%:30m:x",
            "replay=",
            "replay=sales:next:fast",
            "reboot",
        ] {
            assert!(parse_action(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(parse_when("burn"), Ok(When::Burns)));
        assert!(parse_when("verdict<=1").is_err());
    }
}
