//! The documents say commands, flags, variables and settings as they are.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Arguments;
use crate::settings::ServerArguments;

/// What is wrong with a command that is only named, or has a word in place of an id.
const FINE: [ErrorKind; 6] = [
    ErrorKind::ValueValidation,
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
    ErrorKind::DisplayHelp,
    ErrorKind::DisplayVersion,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
];

/// Subcommands that the program keeps for itself, and the word for any.
const PASSED_OVER: [&str; 3] = ["worker", "sandbox", "command"];

#[test]
fn every_command_in_the_documents_is_one() {
    let root = root();
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/errors", "changes"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for command in commands(&text) {
            let words = words(&command);
            if words.get(1).is_some_and(|word| PASSED_OVER.contains(&word.as_str())) {
                continue;
            }
            count += 1;
            if let Err(error) = Arguments::try_parse_from(words)
                && !FINE.contains(&error.kind())
            {
                wrong.push(format!("{}: {command}\n{error}", page.display()));
            }
        }
    }
    assert!(count > 50, "only {count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_setting_is_on_the_page_about_operating() {
    let page = fs::read_to_string(root().join("docs/operate.md")).unwrap();
    let arguments = Arguments::command();
    for name in ["up", "gateway", "agent"] {
        let command = arguments.find_subcommand(name).unwrap();
        for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
            let Some((long, variable)) = argument.get_long().zip(argument.get_env()) else {
                continue;
            };
            let variable = variable.to_str().unwrap();
            let row = format!("| `--{long}` | `{variable}` |");
            assert!(page.contains(&row) || long == "settings", "{row} is missing");
        }
    }
    assert!(page.contains("`--settings` or `FREEHOLD_SETTINGS`"));
    let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    toml::from_str::<ServerArguments>(block).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The commands of a page: lines of blocks for a shell, and what stands between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let text = text.replace("\\\n", " ");
    let mut block = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) => found.push(line.trim().to_owned()),
            (None, Some(_)) => {}
            (None, None) => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    found.retain(|text| text.starts_with("freehold "));
    found
}

/// The words of a command as a shell has them; placeholders in capitals become plain words.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (letter, quote) {
            ('#' | '<' | '|', None) => break,
            (' ', None) => words.push(String::new()),
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (letter, _) => words.last_mut().unwrap().push(letter),
        }
    }
    let plain = |word: String| match word.as_str() {
        "URL" => "https://control:8443".to_owned(),
        _ if word.bytes().all(|byte| byte.is_ascii_uppercase()) => word.to_ascii_lowercase(),
        _ => word,
    };
    words.into_iter().filter(|word| !word.is_empty()).map(plain).collect()
}
