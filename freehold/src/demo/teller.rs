//! Telling the demo as it goes: numbered steps with their times, on stderr.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::exit::Failure;
use crate::output::note;

/// A step that is done.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub title: String,
    pub took_ms: u64,
}

/// Tells the steps and keeps their times.
#[derive(Debug)]
pub struct Teller {
    begun: Instant,
    pub steps: Vec<Step>,
}

impl Default for Teller {
    fn default() -> Self {
        Self { begun: Instant::now(), steps: Vec::new() }
    }
}

impl Teller {
    /// Does the next step: says what it is, does it, and says how long that took.
    pub async fn step<T>(
        &mut self,
        title: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let number = self.steps.len() + 1;
        note(&format!("\n{number:>2}  {title}"))?;
        let begun = Instant::now();
        let done = work.await.map_err(|failure| {
            let message = format!("step {number}, {title}: {}", failure.message);
            Failure { message, ..failure }
        })?;
        let took = begun.elapsed();
        say(&format!("done in {}", seconds(took)))?;
        self.steps.push(Step { title: title.to_owned(), took_ms: whole_ms(took) });
        Ok(done)
    }

    /// Since the demo began.
    pub fn total_ms(&self) -> u64 {
        whole_ms(self.begun.elapsed())
    }
}

/// Says something within a step.
pub fn say(text: &str) -> Result<(), Failure> {
    text.lines().try_for_each(|line| note(&format!("    {line}")))
}

fn whole_ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}
