//! The command line as people and programs see it: help, tables, JSON, exit codes; against a cloud
//! whose answers are fixed, so that every word of the output is golden.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod answers;
mod fake;
mod flows;
mod texts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use self::fake::Fake;
use crate::world::PROGRAM;

/// Somebody at a terminal: a home of their own, and nothing in the environment.
pub(crate) struct Person {
    pub(crate) home: tempfile::TempDir,
    server: Option<String>,
}

impl Person {
    /// Without a cloud.
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: None }
    }

    /// With a cloud that gives fixed answers.
    fn before(fake: &Fake) -> Self {
        Self { server: Some(fake.address.clone()), ..Self::new() }
    }

    /// A file or folder in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file in the home.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program with these words, from the home.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).env_clear().env("HOME", self.home.path());
        command.env("TMPDIR", self.home.path()).current_dir(self.home.path());
        command.stdin(Stdio::null());
        if let Some(server) = &self.server {
            command.env("FREEHOLD_SERVER", server).env("FREEHOLD_TOKEN", "fh_token");
        }
        command
    }

    /// What the program does with these words.
    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What it does, as a text: the words, stdout, stderr marked, the exit code if it is not 0.
    fn tells(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let quoted = words.iter().map(|word| {
            if word.is_empty() || word.contains([' ', '"']) {
                format!("'{word}'")
            } else {
                (*word).to_owned()
            }
        });
        let mut text = format!("$ freehold {}\n", quoted.collect::<Vec<_>>().join(" "));
        text += &String::from_utf8_lossy(&output.stdout);
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            text += &format!("! {line}\n");
        }
        match output.status.code() {
            Some(0) => {}
            code => text += &format!("exit code {code:?}\n"),
        }
        self.forget(&text) + "\n"
    }

    /// The text without what differs from run to run.
    fn forget(&self, text: &str) -> String {
        let home = self.home.path().display().to_string();
        let text = text.replace(&home, "HOME");
        match &self.server {
            Some(server) => text.replace(server, "http://cloud.example"),
            None => text,
        }
    }
}

/// A folder with a data set that can be published.
fn dataset(person: &Person) -> PathBuf {
    let manifest = "kind = \"dataset\"\nname = \"signins\"\nsummary = \"A few sign-ins.\"\n\
                    category = \"security\"\n";
    person.write("signins/freehold.toml", manifest);
    person.write("signins/events.csv", "user,failed\nada,1\ngrace,0\n");
    person.path("signins")
}

/// A path as a word.
fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}
