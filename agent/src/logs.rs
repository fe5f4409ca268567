//! Hands an instance's lines over to control, and reads a job's progress from them.
//!
//! Always true: lines are numbered from 1 over the instance's life, so a repeated call adds
//! nothing.

use api::internal::InstanceLogs;
use api::pages::LogLine;
use executor::{LogReader, Stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use types::InstanceId;

use crate::Agent;
use crate::retry::Pauses;

/// Lines handed over in one call.
const LINES_MAX: usize = 500;
/// A little time in which lines gather, so that not each is a call.
const GATHER_MS: u64 = 50;

/// Hands lines over until the instance's streams end. Progress that a job tells goes to `progress`,
/// in parts per million.
pub(crate) async fn forward(
    agent: Agent,
    id: InstanceId,
    mut lines: LogReader,
    progress: watch::Sender<Option<u32>>,
) {
    let mut seq = 0;
    while let Some(first) = lines.next().await {
        agent.shared.clock.sleep_ms(GATHER_MS).await;
        let mut batch = vec![first];
        while batch.len() < LINES_MAX
            && let Some(line) = lines.ready()
        {
            batch.push(line);
        }
        let told = batch.iter().rev().find_map(|line| progress_of(&line.line));
        if let Some(ppm) = told {
            progress.send_replace(Some(ppm));
        }
        let lines = batch
            .into_iter()
            .map(|line| {
                seq += 1;
                LogLine {
                    seq,
                    at_ms: line.at_ms,
                    source: match line.stream {
                        Stream::Platform => "platform".to_owned(),
                        Stream::Out => "stdout".to_owned(),
                        Stream::Err => "stderr".to_owned(),
                    },
                    level: "info".to_owned(),
                    text: line.line,
                }
            })
            .collect();
        deliver(&agent, id, InstanceLogs { lines }).await;
    }
}

async fn deliver(agent: &Agent, id: InstanceId, logs: InstanceLogs) {
    // Also while the agent stops: an instance's last lines come then.
    let never = CancellationToken::new();
    let mut pauses = Pauses::new();
    loop {
        match agent.shared.control.logs(id, &logs).await {
            Ok(()) => return,
            Err(error) if error.is_transient() => {
                pauses.wait(&agent.shared.clock, &never).await;
            }
            Err(error) => {
                tracing::debug!(%id, %error, "control does not want these lines");
                return;
            }
        }
    }
}

/// The share in a line such as `progress 0.25 epoch 5/20`, in parts per million.
fn progress_of(line: &str) -> Option<u32> {
    let share: f64 = line.strip_prefix("progress ")?.split_whitespace().next()?.parse().ok()?;
    if !(0.0..=1.0).contains(&share) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let ppm = (share * 1_000_000.0).round() as u32;
    Some(ppm)
}

#[cfg(test)]
mod tests {
    use super::progress_of;

    #[test]
    fn progress_is_read_and_nonsense_is_not() {
        assert_eq!(progress_of("progress 0.25 epoch 5/20 loss 0.2"), Some(250_000));
        assert_eq!(progress_of("progress 1"), Some(1_000_000));
        for bad in ["progress", "progress 2", "progress -1", "progress NaN", "making progress 1"] {
            assert_eq!(progress_of(bad), None, "{bad}");
        }
    }
}
