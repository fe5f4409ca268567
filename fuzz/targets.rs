//! What each fuzz target does with bytes. Shared with the test that replays the corpora, so both
//! hold the same laws.
//!
//! Each returns whether the bytes were taken, and panics where a law is broken.

use bytes::{Bytes, BytesMut};

use types::frame::{Frame, decode, encode};
use types::{Datatype, TensorSpec};

/// Takes bytes, and says whether they were taken.
pub(crate) type Target = fn(&[u8]) -> bool;

/// Every target, by the name of its folder in `corpus`.
#[allow(dead_code, reason = "a fuzz target uses one of them")]
pub(crate) const ALL: [(&str, Target); 14] = [
    ("archive", archive),
    ("layer", layer),
    ("cloudevents", cloudevents),
    ("event_pattern", event_pattern),
    ("http_answer", http_answer),
    ("manifest", manifest),
    ("onnx", onnx),
    ("oip_json", oip_json),
    ("oip_binary", oip_binary),
    ("npy", npy),
    ("csv", csv),
    ("frame", frame),
    ("sshd", sshd),
    ("weblog", weblog),
];

/// A pattern of events: read again it is the same, and of nothing it holds or does not.
#[allow(clippy::default_trait_access, reason = "the document's type is not known here")]
pub(crate) fn event_pattern(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(pattern) = text.parse::<formats::event_pattern::Pattern>() else { return false };
    let again = text.parse::<formats::event_pattern::Pattern>();
    let again = again.expect("it was read");
    assert_eq!(pattern, again);
    assert_eq!(pattern.matches(&Default::default()), again.matches(&Default::default()));
    true
}

/// A package: what is read again is the same.
pub(crate) fn archive(data: &[u8]) -> bool {
    let limits = formats::archive::Limits {
        entries_max: 64,
        entry_bytes_max: 1 << 16,
        total_bytes_max: 1 << 18,
        ..Default::default()
    };
    let Ok(entries) = formats::archive::check(data, &limits) else { return false };
    for entry in &entries {
        let read = formats::archive::read_file(data, &entry.path, 1 << 16);
        let content = read.expect("it was checked").expect("it is there");
        assert_eq!(content.len() as u64, entry.bytes);
    }
    true
}

/// A layer of an image: every path that is handed on stays below its folder.
pub(crate) fn layer(data: &[u8]) -> bool {
    use formats::image::Change;
    let limits =
        formats::image::Limits { entries_max: 64, total_bytes_max: 1 << 18, ..Default::default() };
    let Ok(changes) = formats::image::check_layer(data, &limits) else { return false };
    for change in &changes {
        let (Change::Folder(path)
        | Change::File(path, _)
        | Change::Link(path, _)
        | Change::HardLink(path, _)
        | Change::Remove(path)
        | Change::Empty(path)) = change;
        assert!(path.split('/').all(|part| !matches!(part, "." | "..")) && !path.starts_with('/'));
    }
    true
}

/// An event as one document: it is handed on as it came; the same bytes as data are in one; taken
/// apart, it and those of a batch have what every event has.
pub(crate) fn cloudevents(data: &[u8]) -> bool {
    let body = Bytes::copy_from_slice(data);
    let needed = ["ce-specversion", "ce-id", "ce-source", "ce-type"];
    let headers = needed.map(|name| (name, &b"1.0"[..])).into_iter();
    let binary = formats::cloudevents::read(headers.chain([("content-type", &b"a/b"[..])]), &body);
    assert!(binary.is_ok_and(|event| event.is_some()), "any bytes can be data");
    let structured = [("content-type", &b"application/cloudevents+json"[..])];
    let batch = [("content-type", &b"application/cloudevents-batch+json"[..])];
    let batch = formats::cloudevents::messages(batch.into_iter(), &body);
    let message = formats::cloudevents::messages(structured.into_iter(), &body);
    for message in [batch, message.clone()].into_iter().flatten().flatten().flatten() {
        assert!(![message.id, message.source, message.kind].contains(&String::new()));
    }
    let Ok(event) = formats::cloudevents::read(structured.into_iter(), &body) else { return false };
    assert_eq!(event.as_ref(), Some(&body));
    message.is_ok()
}

/// What a function answers to a request over HTTP: where its prelude is cut changes nothing.
pub(crate) fn http_answer(data: &[u8]) -> bool {
    use formats::http_api::{PRELUDE_MEDIA_TYPE, PreludeReader, read};
    let whole = Bytes::copy_from_slice(data);
    let begun = read(Some(PRELUDE_MEDIA_TYPE), &whole);
    let mut reader = PreludeReader::default();
    let cut = whole.iter().enumerate().find_map(|(at, _)| {
        let begun = reader.push(&whole.slice(at..=at)).transpose()?;
        Some(begun.map(|(prelude, _)| (prelude, at + 1)))
    });
    match (&begun, cut) {
        (Ok(begun), Some(Ok((prelude, at)))) => {
            assert_eq!((begun.status, &begun.headers), (prelude.status, &prelude.headers));
            assert_eq!(begun.body, whole.slice(at..));
        }
        (Ok(_), _) => panic!("taken whole, it is taken in pieces"),
        (Err(_), cut) => assert!(!matches!(cut, Some(Ok(_)))),
    }
    begun.is_ok() || read(None, &whole).is_ok_and(|it| it.status != 200 && it.body != whole)
}

/// A manifest: what is written is read back.
pub(crate) fn manifest(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(manifest) = formats::manifest::parse(text) else { return false };
    let again = formats::manifest::parse(&formats::manifest::write(&manifest));
    assert_eq!(again.expect("what is written is a manifest"), manifest);
    true
}

/// A model: its findings are bounded, and its shapes fit the wire.
pub(crate) fn onnx(data: &[u8]) -> bool {
    let Ok(model) = formats::onnx::read(data.to_vec()) else { return false };
    let findings = formats::onnx::findings(&model, "model.onnx", &[]);
    assert!(findings.len() <= formats::onnx::FINDINGS_MAX);
    findings.is_empty()
}

/// A request in JSON: what is written is read back.
pub(crate) fn oip_json(data: &[u8]) -> bool {
    request(Bytes::copy_from_slice(data), None)
}

/// A request with binary data; the first two bytes are the length of its JSON.
pub(crate) fn oip_binary(data: &[u8]) -> bool {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return false };
    let length = usize::from(u16::from_le_bytes(*length));
    request(Bytes::copy_from_slice(body), Some(length))
}

fn request(body: Bytes, header_length: Option<usize>) -> bool {
    use formats::oip::{check_tensor, parse_request, write_request};
    let Ok(request) = parse_request(body, header_length) else { return false };
    for input in &request.inputs {
        check_tensor(input).expect("what is taken fits itself");
    }
    let (body, length) = write_request(&request, |_| true).expect("all can go in binary");
    let again = parse_request(body, length).expect("what is written is a request");
    assert_eq!(again.inputs, request.inputs);
    assert_eq!(again.outputs, request.outputs);
    // JSON may not be able to say it all; what it says is read.
    if let Ok((body, length)) = write_request(&request, |_| false) {
        let again = parse_request(body, length).expect("what is written is a request");
        assert_eq!(again.inputs.len(), request.inputs.len());
    }
    true
}

/// An array: what is written is read back.
pub(crate) fn npy(data: &[u8]) -> bool {
    let Ok(tensor) = formats::npy::read(&Bytes::copy_from_slice(data), "x") else { return false };
    if let Ok(file) = formats::npy::write(&tensor) {
        assert_eq!(formats::npy::read(&file, "x").expect("what is written is an array"), tensor);
    }
    true
}

/// A table: rows that are tensors can be written as a table again.
pub(crate) fn csv(data: &[u8]) -> bool {
    let is_table = formats::table::preview(data, 8).is_ok();
    let input = |name: &str, datatype, shape: &[i64]| TensorSpec {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    let models = [
        vec![input("x", Datatype::Fp32, &[-1, -1])],
        vec![input("x", Datatype::Bytes, &[-1])],
        vec![input("a", Datatype::Int64, &[-1, 1]), input("b", Datatype::Bool, &[-1])],
    ];
    for inputs in models {
        if let Ok(tensors) = formats::table::to_tensors(data, &inputs) {
            formats::table::from_tensors(&tensors, true).expect("tensors of a table are a table");
        }
    }
    is_table
}

/// A frame: what is written is read back.
pub(crate) fn frame(data: &[u8]) -> bool {
    let mut buffer = BytesMut::from(data);
    let mut is_taken = false;
    while let Ok(Some((number, frame))) = decode(&mut buffer) {
        is_taken = true;
        let mut wire = BytesMut::new();
        encode(number, &frame, &mut wire).expect("what is read can be written");
        let again: Option<(u64, Frame)> = decode(&mut wire).expect("what is written is a frame");
        assert_eq!(again, Some((number, frame)));
    }
    is_taken
}

/// A line of a system's log: what it is said to repeat is bounded.
pub(crate) fn sshd(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let told = formats::sshd::parse(text, 2017, &jiff::tz::TimeZone::UTC);
    told.is_some_and(|told| told.times <= 1_000_000)
}

/// A line of a web log: nothing of it is longer than the line.
pub(crate) fn weblog(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(told) = formats::weblog::parse(text) else { return false };
    assert!(told.path.len() <= text.len() && (100..1_000).contains(&told.status));
    true
}
