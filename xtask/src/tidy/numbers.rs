//! Numbers: a promise that names a limit of the source, as `room::LIMIT` or `room::file::LIMIT` in
//! its first column, says the number that the limit has there.
//!
//! A limit is a constant, or a field given a default. Its unit is in its name; a row may write it
//! in another: `64 MiB` for bytes, `30 s` for milliseconds. Absent on purpose: floats.

use super::{File, Tree, is_test, without_tests};

/// Units of a row, and what each is of the smallest: bytes, and microseconds.
const UNITS: [(&str, Of, u64); 11] = [
    ("bytes", Of::Bytes, 1),
    ("KiB", Of::Bytes, 1 << 10),
    ("MiB", Of::Bytes, 1 << 20),
    ("GiB", Of::Bytes, 1 << 30),
    ("ms", Of::Time, 1_000),
    ("s", Of::Time, 1_000_000),
    ("min", Of::Time, 60_000_000),
    ("h", Of::Time, 3_600_000_000),
    ("day", Of::Time, 86_400_000_000),
    ("days", Of::Time, 86_400_000_000),
    ("µs", Of::Time, 1),
];

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Bytes,
    Time,
    Things,
}

/// What is wrong with a number that is said of a limit; nothing where it is the limit's.
pub(super) fn differs(tree: &Tree, limit: &str, said: &str) -> Option<String> {
    let Some(said_value) = read(said) else {
        return Some(format!("{said:?} is no number with a unit, such as 64 MiB"));
    };
    let values = definitions(tree, limit);
    if values.is_empty() {
        return Some(format!("no source defines {limit}"));
    }
    let differs = |value: &Option<(Of, u64)>| *value != Some(said_value);
    values.iter().any(differs).then(|| format!("{limit} is not {said} everywhere it is defined"))
}

/// `64 MiB`, `10,000` or `3 times`.
fn read(said: &str) -> Option<(Of, u64)> {
    let mut words = said.split_whitespace();
    let number: u64 = words.next()?.replace(',', "").parse().ok()?;
    let unit = words.next().and_then(|word| UNITS.iter().find(|(unit, ..)| *unit == word));
    Some(unit.map_or((Of::Things, number), |(_, of, factor)| (*of, number * factor)))
}

/// Every value that a limit is given in its room; none for one that cannot be read.
fn definitions(tree: &Tree, limit: &str) -> Vec<Option<(Of, u64)>> {
    let parts: Vec<&str> = limit.split("::").collect();
    let (Some(room), Some(name)) = (parts.first(), parts.last()) else { return Vec::new() };
    let stem = parts.get(1).filter(|_| parts.len() > 2);
    let mut found = Vec::new();
    for file in room_files(tree, room) {
        if stem.is_some_and(|stem| !file.path.ends_with(&format!("/{stem}.rs"))) {
            continue;
        }
        for expression in expressions(&file.text, name) {
            let value = evaluate(&expression, &|other| constant(tree, room, other));
            found.push(value.map(|value| scaled(name, value)));
        }
    }
    found
}

fn room_files<'t>(tree: &'t Tree, room: &str) -> impl Iterator<Item = &'t File> {
    let start = format!("{room}/src/");
    tree.ending(".rs").filter(move |file| file.path.starts_with(&start) && !is_test(&file.path))
}

/// What stands behind `const NAME: type =` or `name:` in a source, without its own tests.
fn expressions(text: &str, name: &str) -> Vec<String> {
    let text = without_tests(text);
    let constant = format!("const {name}: ");
    let field = format!("{name}: ");
    let of_line = |line: &str| {
        let line = line.trim();
        if let Some((_, rest)) = line.split_once(&constant) {
            return Some(rest.split_once("= ")?.1.trim_end_matches(';').to_owned());
        }
        let rest = line.strip_prefix(&field)?.strip_suffix(',')?;
        rest.starts_with(|first: char| first.is_ascii_digit()).then(|| rest.to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

/// A constant that another is made of.
fn constant(tree: &Tree, room: &str, name: &str) -> Option<u64> {
    let own = |other: &str| (other != name).then(|| constant(tree, room, other)).flatten();
    let mut found = room_files(tree, room).flat_map(|file| expressions(&file.text, name));
    found.find_map(|expression| evaluate(&expression, &own))
}

/// The number in the unit that the limit's name says.
fn scaled(name: &str, value: u64) -> (Of, u64) {
    let lower = name.to_ascii_lowercase();
    let has = |unit: &str| lower.split('_').any(|part| part == unit);
    match () {
        () if has("bytes") => (Of::Bytes, value),
        () if has("mib") => (Of::Bytes, value << 20),
        () if has("us") => (Of::Time, value),
        () if has("ms") => (Of::Time, value.saturating_mul(1_000)),
        () if has("s") => (Of::Time, value.saturating_mul(1_000_000)),
        () => (Of::Things, value),
    }
}

/// The value of sums, products and shifts of numbers and constants.
fn evaluate(expression: &str, constant: &dyn Fn(&str) -> Option<u64>) -> Option<u64> {
    if let Some((left, right)) = split(expression, "<<") {
        return evaluate(left, constant)?
            .checked_shl(u32::try_from(evaluate(right, constant)?).ok()?);
    }
    if let Some((left, right)) = split(expression, " + ") {
        return evaluate(left, constant)?.checked_add(evaluate(right, constant)?);
    }
    if let Some((left, right)) = split(expression, " - ") {
        return evaluate(left, constant)?.checked_sub(evaluate(right, constant)?);
    }
    if let Some((left, right)) = split(expression, " * ") {
        return evaluate(left, constant)?.checked_mul(evaluate(right, constant)?);
    }
    let word = expression.trim();
    if let Some(inner) = word.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return evaluate(inner, constant);
    }
    if word.starts_with(|first: char| first.is_ascii_digit()) {
        return word.replace('_', "").parse().ok();
    }
    constant(word.rsplit("::").next()?)
}

/// Cuts at the last sign outside parentheses.
fn split<'e>(expression: &'e str, sign: &str) -> Option<(&'e str, &'e str)> {
    let outside = |at: usize| {
        let before = &expression[..at];
        before.matches('(').count() == before.matches(')').count()
    };
    let at = expression.rmatch_indices(sign).map(|(at, _)| at).find(|at| outside(*at))?;
    Some((&expression[..at], &expression[at + sign.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
const DAY_MS: u64 = 24 * 3_600_000;
pub(crate) const WINDOW_MS: u64 = 2 * DAY_MS;
pub const BODY_BYTES_MAX: usize = (2 << 30) - 1;
pub const LINES_MAX: u64 = 10_000;
        requests_max: 1_024,
        name: given.name,
#[cfg(test)]
mod tests {
const LINES_MAX: u64 = 3;
";

    #[test]
    fn a_number_is_that_of_its_limit() {
        let tree = Tree::of(&[("store/src/a.rs", SOURCE), ("gateway/src/b.rs", SOURCE)]);
        for (limit, said) in [
            ("store::WINDOW_MS", "2 days"),
            ("store::a::WINDOW_MS", "48 h"),
            ("store::BODY_BYTES_MAX", "2,147,483,647 bytes"),
            ("store::LINES_MAX", "10,000 lines"),
            ("gateway::requests_max", "1,024"),
        ] {
            assert_eq!(differs(&tree, limit, said), None, "{limit} {said}");
        }
        for (limit, said) in [
            ("store::WINDOW_MS", "2"),
            ("store::WINDOW_MS", "3 days"),
            ("store::b::WINDOW_MS", "2 days"),
            ("store::ABSENT", "1"),
            ("store::LINES_MAX", "many"),
        ] {
            assert!(differs(&tree, limit, said).is_some(), "{limit} {said}");
        }
    }
}
