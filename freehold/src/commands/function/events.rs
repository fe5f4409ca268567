//! `freehold function events`: what becomes of events.

use api::client::Client;
use api::functions::events::{EventSettings, EventSettingsQuery, ShownEventSettings};

use crate::args::EventsArguments;
use crate::exit::Failure;
use crate::output::Output;

/// The word that names no destination.
const NOBODY: &str = "none";

/// Shows the settings, or changes them; what is not named stays.
pub(super) async fn run(
    arguments: EventsArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let EventsArguments { name, qualifier, retries, age, on_success, on_failure } = arguments;
    let of = EventSettingsQuery { qualifier };
    let now = client.event_settings(&name, &of).await?;
    if retries.is_none() && age.is_none() && on_success.is_none() && on_failure.is_none() {
        return out.one(&now, rows);
    }
    let before = now.settings;
    let told = |wanted: Option<String>, before| match wanted {
        None => before,
        Some(word) => Some(word).filter(|word| word != NOBODY),
    };
    let wanted = EventSettings {
        retries: retries.or(before.retries),
        age_s: age.or(before.age_s),
        on_success: told(on_success, before.on_success),
        on_failure: told(on_failure, before.on_failure),
    };
    out.one(&client.event_settings_put(&name, &of, &wanted).await?, rows)
}

fn rows(shown: &ShownEventSettings) -> Vec<(String, String)> {
    let EventSettings { retries, age_s, on_success, on_failure } = &shown.settings;
    let is_url = |text: &Option<String>| text.as_ref().is_some_and(|it| it.contains("://"));
    let has_webhook = is_url(on_success) || is_url(on_failure);
    let seconds = |s: u64| format!("{s} s");
    let mut rows = vec![
        ("retries", retries.map_or_else(|| "2".to_owned(), |number| number.to_string())),
        ("given up after", age_s.map_or_else(|| seconds(21_600), seconds)),
        ("on success", on_success.clone().unwrap_or_else(|| "nobody is told".to_owned())),
        ("on failure", on_failure.clone().unwrap_or_else(|| "kept as dead".to_owned())),
    ];
    if has_webhook && let Some(secret) = &shown.webhook_secret {
        rows.push(("webhook secret", secret.clone()));
    }
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
