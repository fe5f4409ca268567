use tempfile::TempDir;

use super::*;
use crate::log::tests::event;

struct World {
    folder: TempDir,
    clock: Clock,
    hand: workflow::ManualHandle,
    tasks: Tasks,
}

impl World {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(1_000_000);
        Self { folder: tempfile::tempdir().unwrap(), clock, hand, tasks: Tasks::new() }
    }

    async fn open(&self) -> Stream {
        let settings = Settings { dedupe_window_ms: 1_000 };
        let stream = Stream::open(self.folder.path(), settings, self.clock.clone(), &self.tasks);
        stream.await.unwrap()
    }
}

/// All that is safe.
fn all(stream: &Stream) -> Vec<Event> {
    let until = *stream.committed().borrow();
    let (mut reader, mut all) = (stream.reader(1), Vec::new());
    while reader.next() < until {
        all.extend(reader.read(until, 1_000).unwrap().into_iter().map(|stored| stored.event));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_append_at_once_is_there_once_and_in_the_order_of_each() {
    let world = World::new();
    let stream = world.open().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u64 {
        let stream = stream.clone();
        callers.spawn(async move {
            for call in 0..50 {
                let first = caller * 1_000 + call * 3;
                let appended =
                    stream.append((first..first + 3).map(event).collect()).await.unwrap();
                assert_eq!((appended.stored, appended.known), (3, 0));
            }
        });
    }
    callers.join_all().await;
    let told = all(&stream);
    assert_eq!(told.len(), 8 * 150);
    for caller in 0..8 {
        let mine = told.iter().filter(|event| event.time_ns / 1_000 == caller);
        let mine: Vec<u64> = mine.map(|event| event.time_ns % 1_000).collect();
        assert_eq!(mine, (0..150).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_event_that_comes_again_is_stored_once_within_the_window_and_after_a_restart_too() {
    let world = World::new();
    let stream = world.open().await;
    let twice = stream.append(vec![event(1), event(2), event(1)]).await.unwrap();
    assert_eq!(twice, Appended { first: Some(1), stored: 2, known: 1 });
    let again = stream.append(vec![event(2), event(3)]).await.unwrap();
    assert_eq!(again, Appended { first: Some(3), stored: 1, known: 1 });
    let known = stream.append(vec![event(3)]).await.unwrap();
    assert_eq!(known, Appended { first: None, stored: 0, known: 1 });
    // Another source's event of the same id is another event.
    let other = Event { source: "/other".to_owned(), ..event(1) };
    assert_eq!(stream.append(vec![other]).await.unwrap().stored, 1);
    drop(stream);
    world.tasks.stop(1_000).await;
    let world = World { tasks: Tasks::new(), ..world };
    let stream = world.open().await;
    assert_eq!(stream.append(vec![event(2)]).await.unwrap().known, 1);
    world.hand.advance_ms(1_000);
    let after = stream.append(vec![event(2)]).await.unwrap();
    assert_eq!(after, Appended { first: Some(5), stored: 1, known: 0 });
}

#[tokio::test]
async fn a_call_with_one_bad_event_is_refused_whole() {
    let world = World::new();
    let stream = world.open().await;
    let unnamed = Event { kind: String::new(), ..event(2) };
    let far = Event { time_ns: u64::MAX, ..event(2) };
    let long = Event { subject: "x".repeat(2_000), ..event(2) };
    let large = Event { data: vec![0; crate::EVENT_BYTES_MAX].into(), ..event(2) };
    let many = Event {
        attributes: (0..65).map(|it| (it.to_string(), String::new())).collect(),
        ..event(2)
    };
    for (bad, word) in
        [(unnamed, "no type"), (far, "2262"), (long, "subject"), (large, "bytes"), (many, "65")]
    {
        let error = stream.append(vec![event(1), bad, event(3)]).await.unwrap_err().to_string();
        assert!(error.starts_with("event 2 of 3: ") && error.contains(word), "{error}");
    }
    let whole = Event { data: vec![0; 1_000_000].into(), ..event(1) };
    let error = stream.append(vec![whole; 5]).await.unwrap_err().to_string();
    assert!(error.starts_with("event 5 of 5: ") && error.contains("fewer"), "{error}");
    assert_eq!(all(&stream), []);
}

/// What nobody asks to seal is sealed when a file of the log is full, and after an hour.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_log_is_sealed_by_and_by() {
    let world = World::new();
    let stream = world.open().await;
    let mut sealed = stream.sealed();
    stream.append(vec![event(1), event(2)]).await.unwrap();
    roll(&stream.asks).await.unwrap();
    sealed.wait_for(|until| *until == 3).await.unwrap();
    stream.append(vec![event(3)]).await.unwrap();
    for minute in 0.. {
        if *sealed.borrow() == 4 {
            assert!(minute > 60, "after {minute} minutes");
            break;
        }
        world.hand.advance_ms(60_000);
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.segments().iter().map(|it| it.rows).sum::<u64>(), 3);
    // It ends with the stream.
    drop((stream, sealed));
    assert_eq!(world.tasks.stop(1_000).await, []);
}

#[tokio::test]
async fn a_stream_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let held = Hold::take(folder.path()).unwrap();
    let place = folder.path().to_path_buf();
    let second = tokio::task::spawn_blocking(move || Hold::take(&place));
    let second = second.await.unwrap();
    assert!(matches!(second, Err(Error::Held { .. })), "{second:?}");
    drop(held);
    let open = |tasks| {
        let folder = folder.path().to_path_buf();
        async move { Stream::open(&folder, Settings::default(), Clock::system(), tasks).await }
    };
    // Who comes next waits until the first is closed.
    let first = open(&tasks).await.unwrap();
    drop(first);
    let second = open(&tasks).await.unwrap();
    drop(second);
    assert!(tasks.stop(10_000).await.is_empty());
}

#[tokio::test]
async fn a_window_can_be_changed_while_it_is_open() {
    let world = World::new();
    let stream = world.open().await;
    assert_eq!(stream.append(vec![event(1)]).await.unwrap().stored, 1);
    world.hand.advance_ms(500);
    assert_eq!(stream.append(vec![event(1)]).await.unwrap().known, 1);
    stream.keep(Settings { dedupe_window_ms: 400 });
    assert_eq!(stream.append(vec![event(1)]).await.unwrap().stored, 1);
}
