//! Waiting for a value, never for a duration.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a value is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
pub async fn until<T, F>(seconds: u64, what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(seconds), "waited {seconds} s for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
