//! Publishings: started, shown, and followed by their log.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use access::{Action, Kind, Resource};
use api::items::Sharing;
use api::pages::{Log, LogLine, LogQuery, Page, PageQuery};
use api::publishes::{Publish, PublishRequest, PublishState};
use store::logs::{Level, LogRow, NewLine, NumberedLine, log_append, logs_append_from, logs_list};
use store::publishes::{self as rows, PublishRow, publish_fetch, publish_insert, publishes_list};
use store::sagas::saga_insert;
use types::{Name, ObjectId, PublishId, Reference, SagaId};
use workflow::saga;

use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::{LOG_LINES_MAX, log_window, objects, page, slice};
use crate::sagas::publish::{PublishSaga, State};
use crate::{Control, Error};

/// How long one look for the end of a log's writer may be away.
const LOG_SLICE_MS: u64 = 250;

/// The account's publishings, newest first.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Publish>, Error> {
    control.authorize(caller, Action::PublishesList, Resource::account(caller.account))?;
    let slice = slice::<PublishId>(query)?;
    let (account, limit) = (caller.account, slice.limit);
    let read = control.shared.store.read("list publishings", |tx| {
        Box::pin(publishes_list(tx, account, slice.after, limit + 1))
    });
    let owner = caller.account_name.clone();
    Ok(page(read.await?, limit, |row| row.id.to_string(), |row| shape(row, &owner)))
}

/// Starts to publish a package of the account.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: PublishRequest,
) -> Result<Publish, Error> {
    control.authorize(caller, Action::ItemsPublish, Resource::account(caller.account))?;
    objects::own(control, caller, request.object).await?;
    let sharing = request.sharing.unwrap_or(Sharing::Nobody);
    crate::operations::items::stored_sharing(control, &sharing).await?;
    let row = row(control, caller, request.object, &sharing)?;
    let state = State::new(&row, caller.account_name.clone(), sharing);
    start(control, &row, &state).await?;
    Ok(shape(row, &caller.account_name))
}

fn row(
    control: &Control,
    caller: &Caller,
    object: ObjectId,
    sharing: &Sharing,
) -> Result<PublishRow, Error> {
    Ok(PublishRow {
        id: PublishId::new(control.clock().uuid()),
        account_id: caller.account,
        object_id: object,
        state: rows::PublishState::Running,
        step: "receive".to_owned(),
        name: None,
        item_id: None,
        version: None,
        sharing: serde_json::to_value(sharing)
            .map_err(|error| Error::internal("could not write sharing", error))?,
        error: None,
        error_code: None,
        instance_id: None,
        training_id: None,
        created_at_ms: control.now_ms(),
        ended_at_ms: None,
    })
}

/// Stores a publishing and its saga together, and has the saga begin. One that is stored stays.
pub(crate) async fn start(control: &Control, row: &PublishRow, state: &State) -> Result<(), Error> {
    let id = SagaId::new(control.clock().uuid());
    let record = saga::begin::<PublishSaga>(id, row.id.to_string(), state, row.created_at_ms)
        .map_err(|error| Error::internal("could not begin to publish", error))?;
    let started = control
        .shared
        .store
        .transact("begin to publish", |tx| {
            let (row, record) = (row.clone(), record.clone());
            Box::pin(async move {
                if publish_fetch(tx, row.id).await.is_ok() {
                    return Ok::<_, store::Error>(());
                }
                publish_insert(tx, &row).await?;
                saga_insert(tx, &record).await
            })
        })
        .await;
    // Nothing held the package yet: it may have become garbage since it was looked for.
    found(started, || format!("the object {}", row.object_id))?;
    control.drivers().sagas.wake();
    Ok(())
}

/// One publishing of the account.
pub async fn fetch(control: &Control, caller: &Caller, id: PublishId) -> Result<Publish, Error> {
    let row = own(control, caller, id).await?;
    Ok(shape(row, &caller.account_name))
}

/// The log of a publishing.
pub async fn log(
    control: &Control,
    caller: &Caller,
    id: PublishId,
    query: &LogQuery,
) -> Result<Log, Error> {
    let ended = || {
        let row = own(control, caller, id);
        async move { Ok(row.await?.state != rows::PublishState::Running) }.boxed()
    };
    control.follow_log(&id.to_string(), query, ended).await
}

async fn own(control: &Control, caller: &Caller, id: PublishId) -> Result<PublishRow, Error> {
    let read =
        control.shared.store.read("fetch a publishing", |tx| Box::pin(publish_fetch(tx, id)));
    let missing = || format!("the publishing {id}");
    let row = found(read.await, missing)?;
    let resource = Resource::of(Kind::Publish, row.account_id);
    if !control.may(caller, Action::PublishesRead, resource) {
        return Err(Error::NotFound { what: missing() });
    }
    Ok(row)
}

fn shape(row: PublishRow, owner: &Name) -> Publish {
    let version = row.name.clone().zip(row.version).map(|(name, number)| Reference {
        account: Some(owner.clone()),
        name,
        version: Some(number),
    });
    Publish {
        id: row.id,
        object: row.object_id,
        state: match row.state {
            rows::PublishState::Running => PublishState::Running,
            rows::PublishState::Published => PublishState::Published,
            rows::PublishState::Failed => PublishState::Failed,
        },
        step: row.step,
        name: row.name,
        version,
        error: row.error,
        error_code: row.error_code,
        created_at_ms: row.created_at_ms,
        ended_at_ms: row.ended_at_ms,
    }
}

impl Control {
    /// Lines of a log; waits for one where asked to, but not beyond the end of what writes it.
    ///
    /// `ended` says whether that has ended, and refuses a caller who may not know.
    pub(crate) async fn follow_log<'a>(
        &self,
        subject: &str,
        query: &LogQuery,
        ended: impl Fn() -> BoxFuture<'a, Result<bool, Error>> + Send + Sync,
    ) -> Result<Log, Error> {
        let (after, wait_ms) = log_window(query)?;
        let mut left_ms = wait_ms;
        loop {
            // Asked before the lines are read: what ended before wrote all its lines before.
            let over = ended().await?;
            let lines = self.log_lines(subject, after).await?;
            if over && lines.len() < LOG_LINES_MAX as usize {
                return Ok(Log { lines, ended: true });
            }
            if !lines.is_empty() || left_ms == 0 {
                return Ok(Log { lines, ended: false });
            }
            let slice_ms = left_ms.min(LOG_SLICE_MS);
            left_ms -= slice_ms;
            self.shared.store.logs_wait(subject, after, slice_ms).await?;
        }
    }

    async fn log_lines(&self, subject: &str, after: u64) -> Result<Vec<LogLine>, Error> {
        let read = self
            .shared
            .store
            .read("list a log", |tx| Box::pin(logs_list(tx, subject, after, LOG_LINES_MAX)));
        Ok(read.await?.into_iter().map(line).collect())
    }

    /// Writes a line that a step says, once however often the step runs.
    pub(crate) async fn say_once(
        &self,
        subject: &str,
        step: &'static str,
        level: &'static str,
        text: &str,
    ) -> Result<(), Error> {
        let (origin, line) = said(step, level, text, self.now_ms());
        self.shared
            .store
            .transact("write a log line", |tx| {
                let lines = vec![line.clone()];
                let (subject, origin) = (subject.to_owned(), origin.clone());
                Box::pin(async move { logs_append_from(tx, &subject, &origin, lines).await })
            })
            .await?;
        Ok(())
    }

    /// Writes a line.
    pub(crate) async fn say(&self, subject: &str, source: &str, text: &str) -> Result<(), Error> {
        let line = NewLine {
            at_ms: self.now_ms(),
            source: source.to_owned(),
            level: Level::Info,
            text: text.to_owned(),
        };
        self.shared
            .store
            .transact("write a log line", |tx| Box::pin(log_append(tx, subject, line.clone())))
            .await?;
        Ok(())
    }
}

/// A line of a step, and its origin: the same line of the same step is written once.
pub(crate) fn said(
    step: &'static str,
    level: &'static str,
    text: &str,
    at_ms: u64,
) -> (String, NumberedLine) {
    let line = NewLine {
        at_ms,
        source: step.to_owned(),
        level: level.parse().unwrap_or(Level::Info),
        text: text.to_owned(),
    };
    (format!("{step}:{}", access::tokens::digest_of(text)), NumberedLine { number: 1, line })
}

fn line(row: LogRow) -> LogLine {
    LogLine {
        seq: row.seq,
        at_ms: row.at_ms,
        source: row.source,
        level: row.level.as_str().to_owned(),
        text: row.text,
    }
}
