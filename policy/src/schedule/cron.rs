//! Cron: times of a clock that six fields name, minutes hours day-of-month month day-of-week year.
//!
//! A field is `*`, a value, a range `2-5`, steps `0/15` or `*/15`, or a list of these; months and
//! days of the week have names. Days have more: `L` is the last one, `15W` the weekday nearest to a
//! day, `FRI#2` the second Friday, `6L` or `FRIL` the last one; `?` leaves the days to the other
//! field.
//!
//! Always true: of the two fields of days one is `?`; days of the week count from Sunday, 1.
//! Absent on purpose: seconds, zones.

use jiff::civil::{Date, DateTime, Time, Weekday};

use super::Refusal;

/// Years that can be named.
const YEARS: (u16, u16) = (1970, 2199);
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    years: Set,
}

/// Days of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Set),
    /// The last day.
    Last,
    /// The weekday nearest to a day, or to the last one, in the same month.
    Nearest(Option<u16>),
    OfWeek(Set),
    /// The last day of the week in the month.
    LastOfWeek(u16),
    /// Such a day of the week, the first to fifth of the month.
    NthOfWeek(u16, u16),
}

/// Values of a field, as bits; the lowest is `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set {
    low: u16,
    high: u16,
    bits: [u64; 4],
}

impl Set {
    fn none((low, high): (u16, u16)) -> Self {
        Self { low, high, bits: [0; 4] }
    }

    fn put(&mut self, value: u16) {
        let place = usize::from(value - self.low);
        self.bits[place / 64] |= 1 << (place % 64);
    }

    fn has(&self, value: u16) -> bool {
        if !(self.low..=self.high).contains(&value) {
            return false;
        }
        let place = usize::from(value - self.low);
        self.bits[place / 64] >> (place % 64) & 1 == 1
    }

    /// The lowest value that is not less.
    fn at_or_after(&self, value: u16) -> Option<u16> {
        (value.max(self.low)..=self.high).find(|value| self.has(*value))
    }
}

/// What a field is called, what it holds, and what is said where it does not.
struct Field {
    name: &'static str,
    range: (u16, u16),
    words: &'static [&'static str],
    cure: &'static str,
}

const MINUTES: Field =
    Field { name: "minutes", range: (0, 59), words: &[], cure: "use 0-59 and * , - /" };
const HOURS: Field =
    Field { name: "hours", range: (0, 23), words: &[], cure: "use 0-23 and * , - /" };
const OF_MONTH: Field = Field {
    name: "day-of-month",
    range: (1, 31),
    words: &[],
    cure: "use 1-31 and * , - /, or one of L, LW, 15W, ?",
};
const MONTH: Field =
    Field { name: "month", range: (1, 12), words: &MONTHS, cure: "use 1-12, JAN-DEC and * , - /" };
const OF_WEEK: Field = Field {
    name: "day-of-week",
    range: (1, 7),
    words: &WEEKDAYS,
    cure: "use 1-7, SUN-SAT and * , - /, or one of L, FRIL, FRI#2, ?",
};
const YEAR: Field =
    Field { name: "year", range: YEARS, words: &[], cure: "use 1970-2199 and * , - /" };

impl Field {
    fn wrong(&self, text: &str) -> Refusal {
        Refusal::Field { field: self.name, text: text.to_owned(), cure: self.cure }
    }

    /// A value, by its number or its name.
    fn value(&self, text: &str) -> Option<u16> {
        let named = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let named = named.and_then(|place| u16::try_from(place).ok());
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        let value = named.map(|place| place + self.range.0).or(number)?;
        (self.range.0..=self.range.1).contains(&value).then_some(value)
    }

    /// A list of values, ranges and steps.
    fn set(&self, text: &str) -> Result<Set, Refusal> {
        let mut set = Set::none(self.range);
        for part in text.split(',') {
            self.part(part, &mut set).ok_or_else(|| self.wrong(text))?;
        }
        Ok(set)
    }

    fn part(&self, part: &str, set: &mut Set) -> Option<()> {
        let (values, step) = match part.split_once('/') {
            Some((values, step)) => (values, Some(step.parse::<u16>().ok().filter(|n| *n > 0)?)),
            None => (part, None),
        };
        let (from, to) = match values.split_once('-') {
            _ if values == "*" => self.range,
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // Steps from a value go on to the end.
            None => {
                let from = self.value(values)?;
                (from, if step.is_some() { self.range.1 } else { from })
            }
        };
        if from > to {
            return None;
        }
        (from..=to).step_by(usize::from(step.unwrap_or(1))).for_each(|value| set.put(value));
        Some(())
    }
}

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, of_month, month, of_week, year] = fields[..] else {
            return Err(Refusal::Fields { fields: fields.len() });
        };
        let days = match (of_month, of_week) {
            ("?", "?") => return Err(Refusal::Days),
            (of_month, "?") => days_of_month(of_month)?,
            ("?", of_week) => days_of_week(of_week)?,
            _ => return Err(Refusal::Days),
        };
        Ok(Self {
            minutes: MINUTES.set(minutes)?,
            hours: HOURS.set(hours)?,
            days,
            months: MONTH.set(month)?,
            years: YEAR.set(year)?,
        })
    }

    /// Whether every hour of a day has a run.
    pub(super) fn is_hourly(&self) -> bool {
        (0..24).all(|hour| self.hours.has(hour))
    }

    /// The first time that is not before another, in whole minutes.
    pub(super) fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        // A minute that has begun is over.
        let begun = from.second() > 0 || from.subsec_nanosecond() > 0;
        let minute = number(from.minute()) + u16::from(begun);
        let day = from.date();
        if self.has_day(day)
            && let Some(time) = self.time_at_or_after(number(from.hour()), minute)
        {
            return Some(day.to_datetime(time));
        }
        let day = self.day_at_or_after(day.tomorrow().ok()?)?;
        Some(day.to_datetime(self.time_at_or_after(0, 0)?))
    }

    fn time_at_or_after(&self, hour: u16, minute: u16) -> Option<Time> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.at_or_after(minute)
        {
            return time(hour, minute);
        }
        time(self.hours.at_or_after(hour + 1)?, self.minutes.at_or_after(0)?)
    }

    fn day_at_or_after(&self, mut day: Date) -> Option<Date> {
        loop {
            let year = self.years.at_or_after(u16::try_from(day.year()).ok()?)?;
            if i16::try_from(year).ok()? != day.year() {
                day = Date::new(i16::try_from(year).ok()?, 1, 1).ok()?;
            }
            match self.months.at_or_after(number(day.month())) {
                None => day = Date::new(day.year().checked_add(1)?, 1, 1).ok()?,
                Some(month) if month != number(day.month()) => {
                    day = Date::new(day.year(), i8::try_from(month).ok()?, 1).ok()?;
                }
                Some(_) if self.days.has(day) => return Some(day),
                Some(_) => day = day.tomorrow().ok()?,
            }
        }
    }

    fn has_day(&self, day: Date) -> bool {
        let year = u16::try_from(day.year()).is_ok_and(|year| self.years.has(year));
        year && self.months.has(number(day.month())) && self.days.has(day)
    }
}

impl Days {
    fn has(&self, day: Date) -> bool {
        let of_week = number(day.weekday().to_sunday_one_offset());
        match self {
            Self::OfMonth(days) => days.has(number(day.day())),
            Self::Last => day.day() == day.days_in_month(),
            Self::Nearest(to) => nearest(day, *to) == Some(day),
            Self::OfWeek(days) => days.has(of_week),
            Self::LastOfWeek(wanted) => of_week == *wanted && day.day() + 7 > day.days_in_month(),
            Self::NthOfWeek(wanted, nth) => {
                of_week == *wanted && (number(day.day()) - 1) / 7 + 1 == *nth
            }
        }
    }
}

/// The weekday nearest to a day of the month in which another one is.
fn nearest(day: Date, to: Option<u16>) -> Option<Date> {
    let last = day.days_in_month();
    let to = to.map_or(Some(last), |to| i8::try_from(to).ok())?;
    let to = Date::new(day.year(), day.month(), to).ok()?;
    match to.weekday() {
        // Over the border of the month it is the other side.
        Weekday::Saturday if to.day() == 1 => Date::new(day.year(), day.month(), 3).ok(),
        Weekday::Saturday => to.yesterday().ok(),
        Weekday::Sunday if to.day() == last => Date::new(day.year(), day.month(), last - 2).ok(),
        Weekday::Sunday => to.tomorrow().ok(),
        _ => Some(to),
    }
}

fn days_of_month(text: &str) -> Result<Days, Refusal> {
    match text {
        "L" => Ok(Days::Last),
        "LW" => Ok(Days::Nearest(None)),
        _ => match text.strip_suffix('W') {
            Some(day) => {
                let day = OF_MONTH.value(day).ok_or_else(|| OF_MONTH.wrong(text))?;
                Ok(Days::Nearest(Some(day)))
            }
            None => OF_MONTH.set(text).map(Days::OfMonth),
        },
    }
}

fn days_of_week(text: &str) -> Result<Days, Refusal> {
    let wrong = || OF_WEEK.wrong(text);
    if text == "L" {
        return Ok(Days::OfWeek(OF_WEEK.set("SAT")?));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth)).ok_or_else(wrong)?;
        return Ok(Days::NthOfWeek(OF_WEEK.value(day).ok_or_else(wrong)?, nth));
    }
    match text.strip_suffix('L') {
        Some(day) => Ok(Days::LastOfWeek(OF_WEEK.value(day).ok_or_else(wrong)?)),
        None => OF_WEEK.set(text).map(Days::OfWeek),
    }
}

fn time(hour: u16, minute: u16) -> Option<Time> {
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
}

/// A part of a date or time; none of them is negative.
fn number(part: i8) -> u16 {
    u16::try_from(part).unwrap_or(0)
}
