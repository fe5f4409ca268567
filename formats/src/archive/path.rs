//! Paths inside a package: which are allowed, and which meet.
//!
//! Always true: a path that passes names one place below the package's folder, on every file
//! system, and looks like what it is.

use std::collections::BTreeMap;

use super::{Limits, Problem};

/// Whether `path` may name a file or folder of a package: relative, plain components, visible
/// characters, within the limits.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check_path(path: &str, limits: &Limits) -> Result<(), Problem> {
    if path.len() > limits.path_bytes_max {
        let bytes_max = limits.path_bytes_max;
        return Err(Problem::PathTooLong { bytes: path.len(), bytes_max });
    }
    if let Some(found) = path.chars().find(|&found| is_invisible(found)) {
        return Err(Problem::Invisible { code: u32::from(found) });
    }
    if path.starts_with('/') || has_drive(path) {
        return Err(Problem::Absolute);
    }
    if path.contains('\\') {
        return Err(Problem::Backslash);
    }
    let mut depth = 0;
    for component in path.split('/') {
        match component {
            ".." => return Err(Problem::Escape),
            "" | "." => return Err(Problem::Component),
            _ => depth += 1,
        }
    }
    if depth > limits.depth_max {
        return Err(Problem::TooDeep { depth_max: limits.depth_max });
    }
    Ok(())
}

fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// Control characters, and format characters that hide, reorder or join what is seen.
/// Source: Unicode categories Cc and Cf, without the Arabic and Kaithi signs that are seen.
fn is_invisible(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{AD}'
                | '\u{61C}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// The paths seen so far, folders that a path implies included.
#[derive(Debug, Default)]
pub(super) struct Seen {
    by_lower_case: BTreeMap<String, Place>,
}

#[derive(Debug)]
struct Place {
    /// The path as written, where that is not its lower case.
    written: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    /// A folder with an entry of its own.
    Folder,
    /// A folder that only a longer path told of.
    Implied,
}

impl Seen {
    /// Takes note of an entry, and of the folders above it.
    pub(super) fn add(
        &mut self,
        path: &str,
        is_folder: bool,
        limits: &Limits,
    ) -> Result<(), Problem> {
        for (at, _) in path.match_indices('/') {
            self.add_one(&path[..at], Kind::Implied)?;
        }
        self.add_one(path, if is_folder { Kind::Folder } else { Kind::File })?;
        if self.by_lower_case.len() > limits.entries_max {
            return Err(Problem::TooMany { entries_max: limits.entries_max });
        }
        Ok(())
    }

    fn add_one(&mut self, path: &str, kind: Kind) -> Result<(), Problem> {
        let lower = path.to_lowercase();
        let Some(place) = self.by_lower_case.get_mut(&lower) else {
            let written = (lower != path).then(|| path.to_owned());
            self.by_lower_case.insert(lower, Place { written, kind });
            return Ok(());
        };
        let written = place.written.as_ref().unwrap_or(&lower);
        if written != path {
            return Err(Problem::Case { other: written.clone() });
        }
        match (place.kind, kind) {
            (Kind::Folder | Kind::Implied, Kind::Implied) => {}
            (Kind::Implied, Kind::Folder) => place.kind = Kind::Folder,
            (Kind::File, Kind::Implied) => {
                return Err(Problem::BelowFile { file: path.to_owned() });
            }
            (_, Kind::File | Kind::Folder) => return Err(Problem::Duplicate),
        }
        Ok(())
    }
}
