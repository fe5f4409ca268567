//! `freehold stream`: events as they happened, kept, selected, labelled.

pub(super) mod drift;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use api::client::Client;
use api::streams::{
    CreateStream, EventLabel, EventsQuery, ForgetSubject, ImportQuery, ImportedEvents, LabelEvents,
    LabelRule, LabelledEvents, MakeEvents, SelectionQuery, Stream, StreamSpec, StreamStats,
    UpdateStream,
};
use futures::StreamExt as _;
use types::Name;

use super::every;
use crate::args::{
    ExportArguments, ExportWord, ImportArguments, ImportWord, LabelArguments, MakeArguments,
    SelectionArguments, StreamArguments, StreamCommand,
};
use crate::exit::Failure;
use crate::output::{Output, bytes, note, time};

/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Labels that are sent at a time.
const LABELS_MAX: usize = 5_000;

/// Carries out the command.
pub(super) async fn run(
    command: StreamCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        StreamCommand::Create(wanted) => {
            let spec = spec(StreamSpec::default(), &wanted);
            let made = client.stream_create(&CreateStream { name: wanted.name, spec }).await?;
            out.one(&made, rows)?;
            note(&format!("to fill it: freehold stream import {} FILE", made.name))
        }
        StreamCommand::List => {
            let all: Vec<Stream> =
                every(|page| async move { client.streams_list(&page).await }).await?;
            out.list(&all, &["stream", "kept", "made", "description"], |stream| {
                vec![
                    stream.name.to_string(),
                    kept(&stream.spec),
                    time(stream.created_at_ms),
                    stream.spec.description.clone(),
                ]
            })
        }
        StreamCommand::Show { name } => out.one(&client.stream_fetch(&name).await?, rows),
        StreamCommand::Update(wanted) => {
            let now = client.stream_fetch(&wanted.name).await?;
            let change = UpdateStream { spec: spec(now.spec, &wanted), generation: now.generation };
            out.one(&client.stream_update(&wanted.name, &change).await?, rows)
        }
        StreamCommand::Import(wanted) => import(wanted, client, out).await,
        StreamCommand::Head { name, count, selection } => {
            let query = EventsQuery { format: None, limit: Some(count) };
            let mut text = Vec::new();
            give(&name, (query_of(selection), query), client, &mut text).await?;
            if out.json() {
                return crate::output::write_stdout(&text);
            }
            out.list(&lines(&text), &["time", "type", "subject", "region", "id", "data"], head)
        }
        StreamCommand::Export(wanted) => export(wanted, client, out).await,
        StreamCommand::Stats { name, selection } => {
            out.one(&client.stream_stats(&name, &query_of(selection)).await?, sums)
        }
        StreamCommand::Drift(wanted) => drift::run(wanted, client, out).await,
        StreamCommand::Label(wanted) => label(wanted, client, out).await,
        StreamCommand::Make(wanted) => make(wanted, client, out).await,
        StreamCommand::Forget { name, subject } => {
            let busy = out.busy("removing events");
            let forgotten = client.stream_forget(&name, &ForgetSubject { subject }).await;
            busy.finish_and_clear();
            out.one(&forgotten?, |it| vec![("removed".to_owned(), it.events.to_string())])
        }
        StreamCommand::Delete { name } => {
            client.stream_delete(&name).await?;
            note(&format!("{name} is removed, with its events"))
        }
    }
}

/// The selection that the arguments mean.
pub(super) fn query_of(selection: SelectionArguments) -> SelectionQuery {
    let SelectionArguments { since, until, zone, filter, sample, sequences } = selection;
    SelectionQuery { since, until, zone, filter, sample, sequences }
}

fn spec(now: StreamSpec, wanted: &StreamArguments) -> StreamSpec {
    StreamSpec {
        description: wanted.description.clone().unwrap_or(now.description),
        dedupe_window_ms: wanted.dedupe_window.unwrap_or(now.dedupe_window_ms),
        retain_ms: wanted.retain.or(now.retain_ms),
        retain_bytes: wanted.retain_size.map(|kib| kib << 10).or(now.retain_bytes),
    }
}

async fn import(wanted: ImportArguments, client: &Client, out: &Output) -> Result<(), Failure> {
    let path = &wanted.file;
    let format = wanted.format.map_or_else(|| guessed(path), |format| Ok(word(format)))?;
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let query = ImportQuery {
        format: format.to_owned(),
        map: wanted.map,
        source: wanted.source,
        kind: wanted.kind,
        year: wanted.year,
        zone: wanted.zone,
    };
    let bar = out.bytes(total, &format!("sending {}", path.display()));
    let sent = bar.clone();
    let pieces =
        tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE_BYTES);
    let pieces = pieces.inspect(move |piece| {
        if let Ok(piece) = piece {
            sent.inc(piece.len() as u64);
        }
    });
    let imported = client.stream_import(&wanted.name, &query, pieces).await;
    bar.finish_and_clear();
    let imported = imported?;
    out.one(&imported, took)?;
    for fault in imported.faults.iter().take(10) {
        note(&format!("record {}: {}", fault.record, fault.problem))?;
    }
    Ok(())
}

/// What a file holds, by its name.
fn guessed(path: &Path) -> Result<&'static str, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    Ok(match ending {
        "jsonl" | "ndjson" => "jsonl",
        "csv" => "csv",
        "parquet" => "parquet",
        _ if name.starts_with("access") || name.ends_with("access.log") => "weblog",
        _ if name.starts_with("auth") || name.starts_with("secure") => "sshd",
        _ => {
            return Err(Failure::usage(format!("{}: what it holds is not known", path.display()))
                .hint("say it: --format jsonl, csv, parquet, weblog or sshd"));
        }
    })
}

const fn word(format: ImportWord) -> &'static str {
    match format {
        ImportWord::Jsonl => "jsonl",
        ImportWord::Csv => "csv",
        ImportWord::Parquet => "parquet",
        ImportWord::Weblog => "weblog",
        ImportWord::Sshd => "sshd",
    }
}

async fn give(
    name: &Name,
    (selection, query): (SelectionQuery, EventsQuery),
    client: &Client,
    to: &mut dyn Write,
) -> Result<u64, Failure> {
    let mut pieces = client.stream_events(name, &selection, &query).await?;
    let mut total = 0;
    while let Some(piece) = pieces.next().await? {
        total += piece.len() as u64;
        to.write_all(&piece)
            .map_err(|error| Failure::refused(format!("could not write the events: {error}")))?;
    }
    Ok(total)
}

async fn export(wanted: ExportArguments, client: &Client, out: &Output) -> Result<(), Failure> {
    let format = match wanted.format {
        ExportWord::Jsonl => "jsonl",
        ExportWord::Csv => "csv",
        ExportWord::Parquet => "parquet",
    };
    let query = EventsQuery { format: Some(format.to_owned()), limit: wanted.limit };
    let asked = (query_of(wanted.selection), query);
    if wanted.to == Path::new("-") {
        give(&wanted.name, asked, client, &mut std::io::stdout().lock()).await?;
        return Ok(());
    }
    let failed =
        |error: std::io::Error| Failure::refused(format!("{}: {error}", wanted.to.display()));
    // It appears under its name once it is whole.
    let part = wanted.to.with_extension(format!("{format}.part"));
    let mut file = File::create(&part).map_err(failed)?;
    let busy = out.busy(&format!("writing {}", wanted.to.display()));
    let given = give(&wanted.name, asked, client, &mut file).await;
    busy.finish_and_clear();
    let total = given?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&part, &wanted.to).map_err(failed)?;
    note(&format!("{}: {}", wanted.to.display(), bytes(total)))
}

async fn make(wanted: MakeArguments, client: &Client, out: &Output) -> Result<(), Failure> {
    let how = MakeEvents {
        from: wanted.from,
        selection: query_of(wanted.selection),
        events: wanted.count,
        seed: wanted.seed,
        start: wanted.start,
        jitter_ppm: wanted.jitter.and_then(|ppm| u32::try_from(ppm).ok()).unwrap_or(0),
        apart: wanted.apart,
    };
    let busy = out.busy(&format!("making {} events", how.events));
    let made = client.stream_make(&wanted.name, &how).await;
    busy.finish_and_clear();
    out.one(&made?, |made| {
        let rows = [("stored", made.stored), ("known", made.known), ("seed", made.seed)];
        rows.map(|(key, value)| (key.to_owned(), value.to_string())).into()
    })
}

async fn label(wanted: LabelArguments, client: &Client, out: &Output) -> Result<(), Failure> {
    let LabelArguments { name, file, label, selection } = wanted;
    let rows = |told: &LabelledEvents| vec![("labels".to_owned(), told.labels.to_string())];
    if let Some(label) = label {
        let rule = Some(LabelRule { selection: query_of(selection), label });
        let busy = out.busy("telling labels");
        let told = client.stream_label(&name, &LabelEvents { labels: Vec::new(), rule }).await;
        busy.finish_and_clear();
        return out.one(&told?, rows);
    }
    let told = label_by(&name, &file.unwrap_or_default(), client, out).await?;
    out.one(&told, rows)
}

/// Tells the labels of a table.
async fn label_by(
    name: &Name,
    path: &Path,
    client: &Client,
    out: &Output,
) -> Result<LabelledEvents, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{}: {error}", path.display()))
            .hint("a table with a header: id,label or source,id,label")
    };
    let mut reader = csv::Reader::from_path(path).map_err(|error| failed(&error))?;
    let heads = reader.headers().map_err(|error| failed(&error))?.clone();
    let column = |name: &str| heads.iter().position(|head| head.trim() == name);
    let id = column("id").ok_or_else(|| failed(&"there is no column id"))?;
    let label = column("label").ok_or_else(|| failed(&"there is no column label"))?;
    let source = column("source");
    let (mut told, mut labels) = (0, Vec::new());
    let busy = out.busy("telling labels");
    for row in reader.records() {
        let row = row.map_err(|error| failed(&error))?;
        let cell = |at: usize| row.get(at).unwrap_or_default().to_owned();
        let source = source.map(cell).unwrap_or_default();
        labels.push(EventLabel { source, id: cell(id), label: cell(label) });
        if labels.len() == LABELS_MAX {
            let batch = LabelEvents { labels: std::mem::take(&mut labels), rule: None };
            told += client.stream_label(name, &batch).await?.labels;
        }
    }
    if !labels.is_empty() {
        told += client.stream_label(name, &LabelEvents { labels, rule: None }).await?.labels;
    }
    busy.finish_and_clear();
    Ok(LabelledEvents { labels: told })
}

fn lines(text: &[u8]) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(text);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn head(event: &serde_json::Value) -> Vec<String> {
    let word = |name: &str| match &event[name] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let data: String = word("data").chars().take(80).collect();
    let names = ["time", "type", "subject", "region", "id"];
    names.iter().map(|name| word(name)).chain([data]).collect()
}

fn kept(spec: &StreamSpec) -> String {
    let age = spec.retain_ms.map(|ms| format!("{} h", ms / 3_600_000));
    let size = spec.retain_bytes.map(bytes);
    let both: Vec<String> = age.into_iter().chain(size).collect();
    if both.is_empty() { "for ever".to_owned() } else { both.join(", ") }
}

fn filled(rows: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn rows(stream: &Stream) -> Vec<(String, String)> {
    let encrypted = stream.encrypted.map(|it| if it { "yes" } else { "no" });
    filled([
        ("stream", stream.name.to_string()),
        ("description", stream.spec.description.clone()),
        ("kept", kept(&stream.spec)),
        ("known again for", format!("{} s", stream.spec.dedupe_window_ms / 1_000)),
        ("held by", stream.gateway.clone().unwrap_or_default()),
        ("encrypted", encrypted.unwrap_or_default().to_owned()),
        ("made", time(stream.created_at_ms)),
    ])
}

fn took(imported: &ImportedEvents) -> Vec<(String, String)> {
    let number = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    filled([
        ("records", imported.records.to_string()),
        ("stored", imported.stored.to_string()),
        ("known already", number(imported.known)),
        ("passed over", number(imported.passed_over)),
        ("refused", number(imported.refused)),
    ])
}

fn sums(stats: &StreamStats) -> Vec<(String, String)> {
    let moment = |ns: Option<u64>| ns.map(|ns| time(ns / 1_000_000)).unwrap_or_default();
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let mut all: Vec<_> = counts.iter().filter(|(name, _)| !name.is_empty()).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let line = |(name, count): &(&String, &u64)| format!("{name}: {count}");
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let rate =
        stats.rate_mean_uhz.map(|uhz| format!("{}.{:03}/s", uhz / 1_000_000, uhz / 1_000 % 1_000));
    filled([
        ("events", stats.events.to_string()),
        ("first", moment(stats.first_ns)),
        ("last", moment(stats.last_ns)),
        ("rate", rate.unwrap_or_default()),
        ("busiest second", stats.rate_peak_per_s.to_string()),
        ("types", counts(&stats.types)),
        ("regions", counts(&stats.regions)),
        ("groups", counts(&stats.groups)),
        ("out of order", stats.stream_disordered.to_string()),
        ("on the disk", bytes(stats.stream_bytes)),
    ])
}
