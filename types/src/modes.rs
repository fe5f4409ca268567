//! Modes: how the variants of an endpoint are used.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::Name;

/// How a variant is used.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It sees no live event; it is asked by its own name only.
    Test,
    /// It is given copies of live events, and its answers are kept and not returned.
    Shadow,
    /// It answers a share of the keys.
    Canary,
    /// It answers a share of the keys for a limited time, watched, and then goes to production.
    Bake,
    /// It answers whatever no other does.
    Production,
}

impl Mode {
    /// Whether it answers live events.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Canary | Self::Bake | Self::Production)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Bake => "bake",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A variant and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Used {
    /// The variant.
    pub variant: Name,
    /// How it is used.
    pub mode: Mode,
    /// The keys that it answers or is shown, in ten-thousandths; 0 in test and in production.
    #[serde(default)]
    pub share_bp: u32,
    /// Where its keys begin among all, in ten-thousandths: they stay its own while others come and go.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub from_bp: u32,
    /// When its bake ends, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_nothing(from_bp: &u32) -> bool {
    *from_bp == 0
}
