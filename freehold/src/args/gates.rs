//! Conditions of gates, as they are written on the command line.
//!
//! `response_p99<=50ms`, `errors<=0.1%`, `accuracy>=90%`; `1.1x` and `0.9x` are parts of what is in
//! production; `verdict` stands alone. `[region=no]`, `[group=new]` behind a condition, or `*` for each,
//! says of which events it is.

use api::endpoints::{GateCondition, GateMetric, GateScope};

/// How a metric is written.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Time,
    Part,
}

const METRICS: [(&str, GateMetric, Unit); 12] = [
    ("requests", GateMetric::Requests, Unit::Count),
    ("response_p50", GateMetric::ResponseP50Us, Unit::Time),
    ("response_p99", GateMetric::ResponseP99Us, Unit::Time),
    ("service_p50", GateMetric::ServiceP50Us, Unit::Time),
    ("errors", GateMetric::ErrorsPpm, Unit::Part),
    ("accuracy", GateMetric::AccuracyPpm, Unit::Part),
    ("precision", GateMetric::PrecisionPpm, Unit::Part),
    ("recall", GateMetric::RecallPpm, Unit::Part),
    ("auc", GateMetric::AucPpm, Unit::Part),
    ("calibration", GateMetric::CalibrationPpm, Unit::Part),
    ("recovery", GateMetric::RecoveryUs, Unit::Time),
    ("agreement", GateMetric::AgreementPpm, Unit::Part),
];

/// A condition.
pub(super) fn parse_condition(text: &str) -> Result<GateCondition, String> {
    if let Some((condition, place)) = text.strip_suffix(']').and_then(|text| text.rsplit_once('['))
    {
        let scope = scope(place)?;
        return Ok(GateCondition { scope, ..parse_condition(condition.trim())? });
    }
    if text == "verdict" {
        return Ok(GateCondition::of(GateMetric::Verdict));
    }
    let most = text.split_once("<=").map(|(name, value)| (name, value, true));
    let least = text.split_once(">=").map(|(name, value)| (name, value, false));
    let refuse = || {
        let names: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
        format!(
            "{text:?} is no condition: write METRIC<=VALUE or METRIC>=VALUE, where METRIC is one of {}, or verdict",
            names.join(", ")
        )
    };
    let (name, value, at_most) = most.or(least).ok_or_else(refuse)?;
    let known = METRICS.iter().find(|(known, ..)| *known == name.trim());
    let (_, metric, unit) = known.ok_or_else(refuse)?;
    let condition = GateCondition::of(*metric);
    let value = value.trim();
    if let Some(times) = value.strip_suffix('x') {
        let ppm = decimal(times, 1_000_000).and_then(|ppm| u32::try_from(ppm).ok());
        let ppm = Some(ppm.ok_or_else(refuse)?);
        return Ok(if at_most {
            GateCondition { at_most_of_incumbent_ppm: ppm, ..condition }
        } else {
            GateCondition { at_least_of_incumbent_ppm: ppm, ..condition }
        });
    }
    let limit = match unit {
        Unit::Count => decimal(value, 1),
        Unit::Time => time_us(value),
        Unit::Part => part_ppm(value),
    };
    let limit = Some(limit.ok_or_else(refuse)?);
    Ok(if at_most {
        GateCondition { at_most: limit, ..condition }
    } else {
        GateCondition { at_least: limit, ..condition }
    })
}

/// Of which events: `region=no`, `region=*`.
fn scope(text: &str) -> Result<GateScope, String> {
    match text.split_once('=') {
        Some(("region", "*")) => Ok(GateScope::EachRegion),
        Some(("group", "*")) => Ok(GateScope::EachGroup),
        Some(("region", name)) if !name.is_empty() => Ok(GateScope::Region(name.to_owned())),
        Some(("group", name)) if !name.is_empty() => Ok(GateScope::Group(name.to_owned())),
        _ => Err(format!(
            "[{text}] names no events: write [region=NAME], [group=NAME] or * for each"
        )),
    }
}

fn time_us(text: &str) -> Option<i64> {
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    units.iter().find_map(|(unit, us)| decimal(text.strip_suffix(unit)?, *us))
}

fn part_ppm(text: &str) -> Option<i64> {
    match text.strip_suffix('%') {
        Some(percent) => decimal(percent, 10_000),
        None => decimal(text, 1_000_000),
    }
}

/// A decimal times a power of ten, exactly; none where it is finer.
fn decimal(text: &str, times: i64) -> Option<i64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let scale = 10_i64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let sum = whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(part)?;
    let scaled = sum.checked_mul(times)?;
    (scaled % scale == 0).then_some(scaled / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_exactly() {
        let read = |text: &str| parse_condition(text).unwrap();
        assert_eq!(read("response_p99<=50ms").at_most, Some(50_000));
        assert_eq!(read("response_p99<=1.5s").at_most, Some(1_500_000));
        assert_eq!(read("errors<=0.1%").at_most, Some(1_000));
        assert_eq!(read("accuracy>=0.9").at_least, Some(900_000));
        assert_eq!(read("response_p50 <= 1.1x").at_most_of_incumbent_ppm, Some(1_100_000));
        assert_eq!(read("recall>=0.95x").at_least_of_incumbent_ppm, Some(950_000));
        assert_eq!(read("recovery<=5s").at_most, Some(5_000_000));
        assert_eq!(read("verdict").metric, GateMetric::Verdict);
        let region = read("response_p99<=50ms[region=no]");
        assert_eq!(region.scope, GateScope::Region("no".to_owned()));
        assert_eq!(region.at_most, Some(50_000));
        assert_eq!(read("errors<=1%[region=*]").scope, GateScope::EachRegion);
        assert_eq!(read("errors<=1% [group=a b]").scope, GateScope::Group("a b".to_owned()));
        assert_eq!(read("recall>=0.9x[group=*]").scope, GateScope::EachGroup);
        assert_eq!(read("requests>=1000").at_least, Some(1_000));
        for bad in ["errors<=1%[no]", "errors<=1%[region=]", "errors<=1%]", "[region=no]"] {
            assert!(parse_condition(bad).is_err(), "{bad}");
        }
        for bad in ["", "p99<=5ms", "errors<=", "errors<=-1%", "accuracy=0.9", "response_p99<=50"] {
            assert!(parse_condition(bad).is_err(), "{bad}");
        }
    }
}
