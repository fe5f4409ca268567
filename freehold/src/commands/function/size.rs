//! `freehold function sizing`, `sizes` and `advise`: how much memory instances have, why, and what
//! other sizes would cost.

use api::client::Client;
use api::functions::sizes::{Advice, AdviceQuery, SizeChange, SizeStep, Sizing, SizingMode};
use types::FunctionName;

use crate::args::SizingArguments;
use crate::exit::Failure;
use crate::output::{Output, bytes, micros, pairs, table, time};

/// Shows how sizes are chosen, or changes it; what is not named stays.
pub(super) async fn sizing(
    arguments: SizingArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let SizingArguments { name, mode, min, max, idempotent } = arguments;
    let now = client.function_sizing(&name).await?;
    if mode.is_none() && min.is_none() && max.is_none() && idempotent.is_none() {
        return out.one(&now, rows);
    }
    let wanted = Sizing {
        mode: mode.map_or(now.mode, Into::into),
        memory_mib_min: min.or(now.memory_mib_min),
        memory_mib_max: max.or(now.memory_mib_max),
        idempotent: idempotent.unwrap_or(now.idempotent),
    };
    out.one(&client.function_sizing_put(&name, &wanted).await?, rows)
}

fn rows(sizing: &Sizing) -> Vec<(String, String)> {
    let mode = match sizing.mode {
        SizingMode::Off => "off: instances have what the function asks for",
        SizingMode::Auto => "auto: by what calls use",
    };
    let mib = |mib: Option<u32>, usual: &str| {
        mib.map_or_else(|| usual.to_owned(), |mib| format!("{mib} MiB"))
    };
    let rows = [
        ("sizing", mode.to_owned()),
        ("at least", mib(sizing.memory_mib_min, "32 MiB")),
        ("at most", mib(sizing.memory_mib_max, "twice what the function asks for")),
        ("idempotent", if sizing.idempotent { "yes" } else { "no" }.to_owned()),
    ];
    rows.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Lists what was done, the last first.
pub(super) async fn sizes(
    name: &FunctionName,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let steps = client.function_sizes(name).await?;
    out.list(&steps, &["step", "when", "version", "host", "what", "from", "to", "why"], |step| {
        let SizeStep { number, at_ms, version, host, change } = step.clone();
        let (what, from_kib, to_kib, why) = told(&change);
        vec![
            number.to_string(),
            time(at_ms),
            version,
            host.to_string(),
            what.to_owned(),
            bytes(from_kib << 10),
            bytes(to_kib << 10),
            why,
        ]
    })
}

/// A step in words: what, from, to, and why.
fn told(change: &SizeChange) -> (&'static str, u64, u64, String) {
    match *change {
        SizeChange::Tried { from_kib, to_kib, used_kib, calls } => {
            let why = format!("98 of 100 of {calls} calls took {} or less", bytes(used_kib << 10));
            ("tried", from_kib, to_kib, why)
        }
        SizeChange::Settled { from_kib, to_kib, calls, call_us, before_us } => {
            let (now, before) = (micros(call_us), micros(before_us));
            ("settled", from_kib, to_kib, format!("{calls} calls took {now}, before {before}"))
        }
        SizeChange::RolledBackKilled { from_kib, to_kib } => {
            ("rolled back", from_kib, to_kib, "the instance was killed for memory".to_owned())
        }
        SizeChange::RolledBackSlower { from_kib, to_kib, slower_milli } => {
            let why = format!("calls took {}.{} % longer", slower_milli / 10, slower_milli % 10);
            ("rolled back", from_kib, to_kib, why)
        }
        SizeChange::Grown { from_kib, to_kib, used_kib } => {
            let why = format!("one instance had used {}", bytes(used_kib << 10));
            ("grown", from_kib, to_kib, why)
        }
        SizeChange::RunAgain { from_kib, to_kib, answered } => {
            let then = if answered { "then it answered" } else { "then it failed too" };
            ("run again", from_kib, to_kib, format!("a call was killed for memory, {then}"))
        }
    }
}

/// Tells what the function would cost at other sizes.
pub(super) async fn advise(
    name: &FunctionName,
    qualifier: Option<String>,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let advice = client.function_advice(name, &AdviceQuery { qualifier }).await?;
    out.text(&advice, text)
}

fn text(advice: &Advice) -> String {
    let measured = &advice.measured;
    let rows = [
        ("version", advice.version.clone()),
        ("calls measured", measured.calls.to_string()),
        ("at", format!("{} MiB", measured.memory_mib)),
        ("a call took", micros(measured.call_us)),
        ("of the processor", micros(measured.cpu_us)),
        ("memory used", bytes(measured.memory_kib << 10)),
    ];
    let mut text = pairs(&rows.map(|(key, value)| (key.to_owned(), value)));
    if advice.inputs.len() > 1 {
        let inputs = advice.inputs.iter().map(|input| {
            let most = input.input_bytes_max.map_or_else(|| "any size".to_owned(), bytes);
            let used = bytes(input.memory_kib << 10);
            vec![most, input.calls.to_string(), used, format!("{} m", input.cpu_milli)]
        });
        text.push('\n');
        text += &table(&["inputs up to", "calls", "memory used", "processor"], inputs);
    }
    if advice.sizes.is_empty() {
        return text + "\ncalls use more memory than a function can have\n";
    }
    // Of the cheapest, in hundredths: prices are in proportion to memory times time.
    let cheapest = advice.sizes.iter().map(|size| size.cost_mib_us).min().unwrap_or(1).max(1);
    let sizes = advice.sizes.iter().map(|size| {
        let percent = u128::from(size.cost_mib_us) * 100 / u128::from(cheapest);
        let mark = if size.advised { "advised" } else { "" };
        vec![
            format!("{} MiB", size.memory_mib),
            micros(size.call_us),
            format!("{percent} %"),
            mark.to_owned(),
        ]
    });
    text.push('\n');
    text + &table(&["memory", "a call", "cost", ""], sizes)
}

#[cfg(test)]
mod tests {
    use api::functions::sizes::{AdvisedSize, InputUse, MeasuredCalls};

    use super::*;

    #[test]
    fn advice_reads_well() {
        let size = |memory_mib, call_us, advised| AdvisedSize {
            memory_mib,
            call_us,
            cost_mib_us: memory_mib * call_us,
            advised,
        };
        let input = |input_bytes_max, calls| InputUse {
            input_bytes_max,
            calls,
            memory_kib: 30 << 10,
            cpu_milli: 250,
        };
        let advice = Advice {
            version: "$LATEST".to_owned(),
            measured: MeasuredCalls {
                memory_mib: 128,
                calls: 40,
                call_us: 90_000,
                cpu_us: 9_000,
                memory_kib: 30 << 10,
                measured_at_ms: 0,
            },
            inputs: vec![input(Some(1_024), 30), input(None, 40)],
            sizes: vec![size(64, 180_000, false), size(128, 90_000, true)],
        };
        insta::assert_snapshot!(text(&advice));
    }
}
