//! Enums that are stored as a word, each declared once.
//!
//! Always true: the words are the ones the schema's checks allow (a test compares them).

/// A stored word that is none of its enum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a word of {of}")]
pub struct UnknownWord {
    /// What was stored.
    pub text: String,
    /// The enum.
    pub of: &'static str,
}

/// Declares an enum, the word of each of its values, and how they are stored and read.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$each:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word, as stored.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|value| value.as_str() == text);
                found.copied().ok_or_else(|| $crate::words::UnknownWord {
                    text: text.chars().take(80).collect(),
                    of: stringify!($name),
                })
            }
        }

        $crate::values::stored_as_text!($name);
    };
}

pub(crate) use words;
