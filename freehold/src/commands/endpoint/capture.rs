//! `freehold endpoint capture`: live requests, kept as events of a stream.

use api::client::Client;
use api::endpoints::captures::{CAPTURE_WHOLE_BP, Capture, CaptureSpec, Captured};

use crate::args::{CaptureArguments, CaptureCommand};
use crate::exit::Failure;
use crate::output::{Output, note, share, time};

/// Carries out the command.
pub(super) async fn run(
    command: CaptureCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        CaptureCommand::Show { name } => out.one(&client.capture_fetch(&name).await?, rows),
        CaptureCommand::Set(wanted) => {
            let CaptureArguments { name, stream, share: share_bp, requests, answers, key } = wanted;
            let what = match (requests, answers) {
                (true, _) => Captured::Requests,
                (_, true) => Captured::Answers,
                (false, false) => Captured::Both,
            };
            let replay =
                format!("to send them again: freehold replay {name}@main --stream {stream}");
            let wanted = CaptureSpec { stream, what, share_bp, key };
            out.one(&client.capture_put(&name, &wanted).await?, rows)?;
            note(&replay)
        }
        CaptureCommand::Delete { name } => {
            client.capture_delete(&name).await?;
            note(&format!("no more requests of {name} are kept"))
        }
    }
}

/// A capture for people; what never happened is not told.
fn rows(capture: &Capture) -> Vec<(String, String)> {
    let Capture { spec, kept, no_room, elsewhere, failed, changed_at_ms } = capture;
    let what = match spec.what {
        Captured::Both => "requests and answers",
        Captured::Requests => "requests",
        Captured::Answers => "answers",
    };
    let part = match spec.share_bp {
        CAPTURE_WHOLE_BP => "all".to_owned(),
        share_bp => format!("{} of the keys", share(u64::from(share_bp) * 100)),
    };
    let lost = |count: &u64| if *count == 0 { String::new() } else { count.to_string() };
    let rows = [
        ("stream", spec.stream.to_string()),
        ("keeps", what.to_owned()),
        ("of", part),
        ("key", spec.key.clone().unwrap_or_else(|| api::endpoints::KEY_HEADER.to_owned())),
        ("kept", kept.to_string()),
        ("no room", lost(no_room)),
        ("held elsewhere", lost(elsewhere)),
        ("failed", lost(failed)),
        ("set", time(*changed_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
