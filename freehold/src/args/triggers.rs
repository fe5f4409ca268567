//! Words about triggers: what is watched, and what is done then.
//!
//! An action is a word with what it needs behind `=`, its parts parted by colons:
//! `webhook=URL`, `email=ADDRESS`, `revert`, `out`, `deploy=VARIANT:MODE[:SHARE[:TIME]]`,
//! `replay=STREAM[:VARIANT,VARIANT[:RATE]]`, `change=WHAT:VALUE[,WHAT:VALUE]`.

use std::path::PathBuf;

use api::endpoints::GateCondition;
use api::runs::Load;
use api::triggers::{TriggerAction, TriggerBurn, TriggerCondition, TriggerOn};
use clap::{Args, Subcommand, ValueEnum};

use types::Name;

use super::examples;
use super::gates::parse_condition;
use super::judged::JudgedArguments;
use super::values::{parse_mode, parse_rate, parse_share, parse_share_bp, parse_speed, parse_time};

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
    /// METRIC<=VALUE or METRIC>=VALUE, as of a gate; burn; or, on replays, worse: than production by
    /// answers to the same events, or, of production, than another variant
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
    #[command(flatten)]
    pub judged: JudgedArguments,
    /// What is done: webhook=URL, email=ADDRESS, revert, out, retrain,
    /// deploy=VARIANT:MODE[:SHARE[:TIME]], replay=STREAM[:VARIANTS[:RATE]], or a replay sent anew
    /// with change=rate:200/s, rate:1.5x (as fast as before), poisson:200/s, speed:10x, for:5m,
    /// events:1000 (at a rate) or pattern:FILE, some of them with commas between; may be repeated
    #[arg(long = "then", value_name = "ACTION", required = true, value_parser = parse_action)]
    pub then: Vec<Then>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Then {
    pub action: TriggerAction,
    /// The file of the pattern that it has.
    pub pattern: Option<PathBuf>,
}

impl From<TriggerAction> for Then {
    fn from(action: TriggerAction) -> Self {
        Self { action, pattern: None }
    }
}

/// What has to be so.
#[derive(Clone, Debug)]
pub enum When {
    Is(GateCondition),
    Burns,
    Worse,
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
            When::Worse => TriggerCondition::Worse {},
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
    let told = |error: String| format!("{error}, burn or worse");
    match text {
        "burn" => Ok(When::Burns),
        "worse" => Ok(When::Worse),
        _ => parse_condition(text).map(When::Is).map_err(told),
    }
}

fn parse_action(text: &str) -> Result<Then, String> {
    let (word, rest) = text.split_once('=').unwrap_or((text, ""));
    if word == "change" {
        return parse_change(rest);
    }
    let refuse = || {
        format!(
            "{text:?} is no action: write webhook=URL, email=ADDRESS, revert, out, retrain, \
             deploy=VARIANT:MODE[:SHARE[:TIME]], replay=STREAM[:VARIANTS[:RATE]] or change=rate:RATE"
        )
    };
    let action = match (word, rest) {
        ("webhook", url) if !url.is_empty() => Ok(TriggerAction::Webhook { url: url.to_owned() }),
        ("email", to) if !to.is_empty() => Ok(TriggerAction::Email { to: to.to_owned() }),
        ("revert", "") => Ok(TriggerAction::Revert {}),
        ("out", "") => Ok(TriggerAction::Out {}),
        ("retrain", "") => Ok(TriggerAction::Retrain {}),
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
    };
    action.map(Then::from)
}

/// What is changed of a replay; the name of a file reaches to the end.
fn parse_change(text: &str) -> Result<Then, String> {
    let refuse = || {
        format!(
            "{text:?} changes nothing: write rate:200/s, rate:1.5x, poisson:200/s, speed:10x, for:5m, \
             events:1000 or pattern:FILE, each at most once, with commas between, and a file as the last"
        )
    };
    let (mut load, mut times_milli, mut pattern) = (None, None, None);
    let (mut for_ms, mut events) = (None, None);
    let mut rest = Some(text);
    while let Some(part) = rest {
        let (word, value) = part.split_once(':').ok_or_else(refuse)?;
        let (value, next) = match value.split_once(',') {
            Some((value, next)) if word != "pattern" => (value, Some(next)),
            _ => (value, None),
        };
        let was_said = match word {
            "rate" if value.ends_with('x') => times_milli.replace(parse_speed(value)?).is_some(),
            "rate" => load.replace(Load::Rate { uhz: parse_rate(value)? }).is_some(),
            "poisson" => load.replace(Load::Poisson { uhz: parse_rate(value)? }).is_some(),
            "speed" => load.replace(Load::Speed { milli: parse_speed(value)? }).is_some(),
            "for" => for_ms.replace(parse_time(value)?).is_some(),
            "events" => events.replace(value.parse().map_err(|_| refuse())?).is_some(),
            "pattern" if !value.is_empty() => {
                pattern = Some(PathBuf::from(value));
                load.replace(Load::Pattern { pattern: String::new() }).is_some()
            }
            _ => return Err(refuse()),
        };
        if was_said || load.is_some() && times_milli.is_some() {
            return Err(refuse());
        }
        rest = next;
    }
    Ok(Then { action: TriggerAction::Change { load, times_milli, for_ms, events }, pattern })
}

#[cfg(test)]
mod tests {
    use types::Mode;

    use super::*;

    #[test]
    fn actions_are_read_exactly() {
        let read = |text: &str| {
            let then = parse_action(text).unwrap();
            assert_eq!(then.pattern, None, "{text}");
            then.action
        };
        let name = |text: &str| text.parse::<Name>().unwrap();
        let url = "https://example.org/a?b=c".to_owned();
        assert_eq!(read("webhook=https://example.org/a?b=c"), TriggerAction::Webhook { url });
        assert_eq!(read("revert"), TriggerAction::Revert {});
        assert_eq!(read("retrain"), TriggerAction::Retrain {});
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
            "change",
            "change=",
            "change=rate:fast",
            "change=rate:2x,rate:5/s",
            "change=for:5m,for:6m",
            "change=for:5m,",
            "change=pattern:",
            "change=size:5",
            "change=events:many",
        ] {
            assert!(parse_action(wrong).is_err(), "{wrong}");
        }
        let change = |load: Option<Load>, times_milli: Option<u64>, for_ms: Option<u64>| {
            TriggerAction::Change { load, times_milli, for_ms, events: None }
        };
        let rate = Load::Rate { uhz: 200_000_000 };
        assert_eq!(read("change=rate:200/s"), change(Some(rate.clone()), None, None));
        assert_eq!(read("change=rate:1.5x"), change(None, Some(1_500), None));
        assert_eq!(read("change=for:5m,rate:200/s"), change(Some(rate), None, Some(300_000)));
        let speed = Load::Speed { milli: 10_000 };
        assert_eq!(read("change=speed:10x"), change(Some(speed), None, None));
        let fewer = read("change=events:500");
        let (load, times_milli, for_ms, events) = (None, None, None, Some(500));
        assert_eq!(fewer, TriggerAction::Change { load, times_milli, for_ms, events });
        let read = parse_action("change=for:5m,pattern:a,b:c.txt").unwrap();
        let pattern = Load::Pattern { pattern: String::new() };
        assert_eq!(read.action, change(Some(pattern), None, Some(300_000)));
        assert_eq!(read.pattern, Some(PathBuf::from("a,b:c.txt")));
        assert!(matches!(parse_when("burn"), Ok(When::Burns)));
        assert!(matches!(parse_when("worse"), Ok(When::Worse)));
        assert!(parse_when("verdict<=1").is_err());
    }
}
