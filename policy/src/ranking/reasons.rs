//! Reasons: why an item stands where it stands, and why one does not stand there, as data with a
//! text for people.

use std::fmt;

use types::{Grade, ItemKind};

use super::data::Fit;
use crate::linking::{self, Mismatch};

/// One reason for a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The fact.
    pub fact: Fact,
    /// What it earned.
    pub points: u64,
}

/// A fact about an item that earns points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its text answers the words asked for.
    Text {
        /// The index's score, in thousandths.
        score_milli: u64,
    },
    /// How the data at hand fits it.
    Data {
        /// The fit; never [`Fit::Differs`] in an answer.
        fit: Fit,
    },
    /// Its share of right answers.
    Accuracy {
        /// The share, in parts per million.
        ppm: u64,
        /// How far it is to be trusted.
        grade: Grade,
    },
    /// Its median time of one request.
    Latency {
        /// The time, in microseconds.
        us: u64,
    },
    /// The memory it needs.
    Memory {
        /// The memory, in bytes.
        bytes: u64,
    },
    /// How often others have used it.
    Uses {
        /// How often.
        uses: u64,
    },
}

/// A hard part of a wish that an item misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is something else.
    Kind {
        /// What was wished.
        wanted: ItemKind,
        /// What it is.
        is: ItemKind,
    },
    /// It belongs to another category.
    Category {
        /// What was wished.
        wanted: String,
        /// What it is.
        is: String,
    },
    /// It belongs to another subcategory, or to none.
    Subcategory {
        /// What was wished.
        wanted: String,
        /// What it is.
        is: String,
    },
    /// It does not take the data at hand.
    Data {
        /// How the formats differ, the data's being the first.
        mismatches: Vec<Mismatch>,
    },
    /// Its accuracy is too low.
    Accuracy {
        /// Its accuracy, in parts per million.
        ppm: u64,
        /// The least wished, in parts per million.
        min_ppm: u64,
    },
    /// Its accuracy is not known.
    AccuracyUnknown {
        /// The least wished, in parts per million.
        min_ppm: u64,
    },
    /// It is too slow.
    Latency {
        /// Its latency, in microseconds.
        us: u64,
        /// The most wished, in microseconds.
        max_us: u64,
    },
    /// Its latency is not known.
    LatencyUnknown {
        /// The most wished, in microseconds.
        max_us: u64,
    },
    /// It needs too much memory.
    Memory {
        /// What it needs, in bytes.
        bytes: u64,
        /// The most wished, in bytes.
        max_bytes: u64,
    },
    /// It needs too much processor time.
    Cpu {
        /// What it needs, in thousandths of one processor.
        milli: u32,
        /// The most wished, in thousandths of one processor.
        max_milli: u32,
    },
}

impl Fact {
    /// A stable word for it, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Data { fit: Fit::Equal } => "data_equal",
            Self::Data { fit: Fit::Covered { .. } } => "data_covered",
            Self::Data { fit: Fit::Unknown } => "data_unknown",
            Self::Data { fit: Fit::Differs { .. } } => "data_differs",
            Self::Accuracy { .. } => "accuracy",
            Self::Latency { .. } => "latency",
            Self::Memory { .. } => "memory",
            Self::Uses { .. } => "uses",
        }
    }
}

impl Miss {
    /// A stable word for it, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "kind",
            Self::Category { .. } => "category",
            Self::Subcategory { .. } => "subcategory",
            Self::Data { .. } => "data_differs",
            Self::Accuracy { .. } => "accuracy_low",
            Self::AccuracyUnknown { .. } => "accuracy_unknown",
            Self::Latency { .. } => "latency_high",
            Self::LatencyUnknown { .. } => "latency_unknown",
            Self::Memory { .. } => "memory_high",
            Self::Cpu { .. } => "cpu_high",
        }
    }

    pub(super) const fn is_kind(&self) -> bool {
        matches!(self, Self::Kind { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (+{})", self.fact, self.points)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { .. } => f.write_str("its text answers your words"),
            Self::Data { fit: Fit::Equal } => f.write_str("takes exactly your data"),
            Self::Data { fit: Fit::Covered { left_over: 0 } } => {
                f.write_str("takes your data, arranged otherwise")
            }
            Self::Data { fit: Fit::Covered { left_over } } => {
                write!(f, "takes your data, leaving {left_over} parts of it unused")
            }
            Self::Data { fit: Fit::Unknown } => f.write_str("does not say what data it takes"),
            Self::Data { fit: Fit::Differs { .. } } => f.write_str("does not take your data"),
            Self::Accuracy { ppm, grade } => {
                write!(f, "right in {} of cases ({})", Percent(*ppm), grade_word(*grade))
            }
            Self::Latency { us } => write!(f, "answers in {}", Time(*us)),
            Self::Memory { bytes } => write!(f, "needs {} of memory", Bytes(*bytes)),
            Self::Uses { uses: 1 } => f.write_str("used once by others"),
            Self::Uses { uses } => write!(f, "used {uses} times by others"),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { wanted, is } => write!(f, "is of kind {is}, not {wanted}"),
            Self::Category { wanted, is } => write!(f, "is in category {is}, not {wanted}"),
            Self::Subcategory { wanted, is } if is.is_empty() => {
                write!(f, "is in no subcategory, not in {wanted}")
            }
            Self::Subcategory { wanted, is } => write!(f, "is in subcategory {is}, not {wanted}"),
            Self::Data { mismatches } => {
                write!(f, "does not take your data: {}", linking::list(mismatches))
            }
            Self::Accuracy { ppm, min_ppm } => {
                write!(f, "right in {} of cases, not {}", Percent(*ppm), Percent(*min_ppm))
            }
            Self::AccuracyUnknown { .. } => f.write_str("has no accuracy figure"),
            Self::Latency { us, max_us } => {
                write!(f, "answers in {}, not {}", Time(*us), Time(*max_us))
            }
            Self::LatencyUnknown { .. } => f.write_str("has no latency figure"),
            Self::Memory { bytes, max_bytes } => {
                write!(f, "needs {} of memory, not {}", Bytes(*bytes), Bytes(*max_bytes))
            }
            Self::Cpu { milli, max_milli } => {
                write!(f, "needs {milli} thousandths of a processor, not {max_milli}")
            }
        }
    }
}

const fn grade_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Claimed => "claimed",
        Grade::Measured => "measured",
        Grade::Verified => "verified",
    }
}

/// Parts per million as percent, with as many of two decimals as say something.
struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hundredths(f, self.0 / 100)?;
        f.write_str(" %")
    }
}

/// Microseconds in the unit that reads best.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(us) = *self;
        let (hundredths, unit) = match us {
            0..1_000 => return write!(f, "{us} µs"),
            1_000..1_000_000 => (us / 10, "ms"),
            _ => (us / 10_000, "s"),
        };
        write_hundredths(f, hundredths)?;
        write!(f, " {unit}")
    }
}

/// Bytes in the binary unit that reads best.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0 {
            0..0x400 => return write!(f, "{} bytes", self.0),
            0x400..0x10_0000 => (10, "KiB"),
            0x10_0000..0x4000_0000 => (20, "MiB"),
            _ => (30, "GiB"),
        };
        let hundredths = (u128::from(self.0) * 100) >> shift;
        write_hundredths(f, u64::try_from(hundredths).unwrap_or(u64::MAX))?;
        write!(f, " {unit}")
    }
}

/// A number given in hundredths, without the zeros at its end.
fn write_hundredths(f: &mut fmt::Formatter<'_>, hundredths: u64) -> fmt::Result {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match rest {
        0 => write!(f, "{whole}"),
        _ if rest.is_multiple_of(10) => write!(f, "{whole}.{}", rest / 10),
        _ => write!(f, "{whole}.{rest:02}"),
    }
}
