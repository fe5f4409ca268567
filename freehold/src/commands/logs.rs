//! `freehold logs`, and following a log for the commands that wait for its end.
//!
//! Always true: a line is shown once and in order; a connection that breaks is taken up again where
//! it was, a limited number of times.

use std::str::FromStr;
use std::time::Duration;

use api::client::Client;
use api::pages::{Log, LogLine, LogQuery};
use types::{FunctionName, Name, PublishId, TrainingId};

use crate::args::LogsArguments;
use crate::exit::Failure;
use crate::output::{Output, time, write_stdout};

/// How long one call waits for a line.
const WAIT_MS: u64 = 10_000;
/// How often in a row a log may be out of reach before following ends, and the pause between.
const MISSES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What has a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Publish(PublishId),
    Training(TrainingId),
    Endpoint(Name),
    Function(FunctionName),
}

impl FromStr for Subject {
    type Err = Failure;

    /// An id tells by its prefix what it is of, `function:NAME` is a function, and anything else
    /// the name of an endpoint.
    fn from_str(text: &str) -> Result<Self, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Publish(id));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Training(id));
        }
        if let Some(name) = text.strip_prefix("function:") {
            let name = name.parse();
            return name.map(Self::Function).map_err(|error| Failure::usage(format!("{error}")));
        }
        text.parse().map(Self::Endpoint).map_err(|_| {
            Failure::usage(format!("{text:?} has no log")).hint(
                "give the id of a publishing (pub-...) or training (train-...), an endpoint, or \
                 function:NAME",
            )
        })
    }
}

/// Reads a log from its beginning to its end.
#[derive(Debug)]
pub struct Follower<'c> {
    client: &'c Client,
    subject: Subject,
    after: Option<u64>,
    misses: u32,
}

impl<'c> Follower<'c> {
    /// At the beginning of a log.
    pub const fn new(client: &'c Client, subject: Subject) -> Self {
        Self { client, subject, after: None, misses: 0 }
    }

    /// The next lines; waits some time for one where there is none.
    pub async fn next(&mut self) -> Result<Log, Failure> {
        self.read(WAIT_MS).await
    }

    /// The next lines, if there are any by now.
    pub async fn there(&mut self) -> Result<Log, Failure> {
        self.read(0).await
    }

    async fn read(&mut self, wait_ms: u64) -> Result<Log, Failure> {
        let query = LogQuery { after: self.after, wait_ms: (wait_ms > 0).then_some(wait_ms) };
        let answer = match &self.subject {
            Subject::Publish(id) => self.client.publish_log(*id, &query).await,
            Subject::Training(id) => self.client.training_log(*id, &query).await,
            Subject::Endpoint(name) => self.client.endpoint_log(name, &query).await,
            Subject::Function(name) => self.client.function_log(name, &query).await,
        };
        match answer {
            Ok(log) => {
                self.misses = 0;
                self.after = log.lines.last().map(|line| line.seq).or(self.after);
                Ok(log)
            }
            Err(error) if wait_ms > 0 && error.passes() && self.misses < MISSES_MAX => {
                self.misses += 1;
                tokio::time::sleep(PAUSE).await;
                Ok(Log { lines: Vec::new(), ended: false })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Carries out the command. JSON is one line each, so that it can be followed too.
pub(super) async fn run(
    arguments: LogsArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    show(arguments.subject.parse()?, arguments.follow, client, out).await
}

/// Writes a log out, to its end or as far as it is there.
pub(super) async fn show(
    subject: Subject,
    follow: bool,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let mut follower = Follower::new(client, subject);
    loop {
        let log = if follow { follower.next().await? } else { follower.there().await? };
        for line in &log.lines {
            write(line, out)?;
        }
        let drained = log.lines.is_empty() && !follow;
        if log.ended || drained {
            return Ok(());
        }
    }
}

fn write(line: &LogLine, out: &Output) -> Result<(), Failure> {
    let mut text = if out.json() {
        serde_json::to_string(line)
            .map_err(|error| Failure::internal("could not write a line as JSON", &error))?
    } else {
        format!("{}  {}", time(line.at_ms), sentence(line))
    };
    text.push('\n');
    write_stdout(text.as_bytes())
}

/// `step  text`, and the level where it is not the usual one.
pub fn sentence(line: &LogLine) -> String {
    let LogLine { source, level, text, .. } = line;
    let level = if level == "info" { String::new() } else { format!("{level}: ") };
    format!("{source:<9}  {level}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_what_it_is_of_and_a_name_is_an_endpoint() {
        let of = |text: &str| text.parse::<Subject>();
        let digits = "0".repeat(32);
        assert!(matches!(of(&format!("pub-{digits}")), Ok(Subject::Publish(_))));
        assert!(matches!(of(&format!("train-{digits}")), Ok(Subject::Training(_))));
        assert!(matches!(of("pub-relations"), Ok(Subject::Endpoint(_))));
        assert!(matches!(of("function:f"), Ok(Subject::Function(_))));
        assert!(of("no such thing").is_err());
    }
}
