//! Migrations: from an empty database, or one of an earlier release, to this release's schema.
//!
//! They only go forward. All that are missing are applied in one transaction, which begins by
//! changing the one row of `migration_lock`. In SQLite that transaction is the only writer. In
//! PostgreSQL a second control plane waits there until the first has committed, then loses the
//! race, runs again, and finds nothing left to do. So several may start at once, and a crash leaves
//! the old schema.
//!
//! Always true: applying twice changes nothing; a migration that was applied is never edited: its
//! hash is stored and compared.

use crate::error::Error;
use crate::{Store, Tx};

/// Tries of making the two tables below: several control planes may make them at once, and
/// PostgreSQL fails all but one of them.
const PREPARE_ATTEMPTS_MAX: u32 = 20;

/// A step of the schema.
pub(crate) struct Migration {
    pub(crate) number: u64,
    pub(crate) text: &'static str,
}

/// Every migration, in order.
pub(crate) const MIGRATIONS: [Migration; 20] = [
    Migration { number: 1, text: include_str!("migrations/0001_accounts.sql") },
    Migration { number: 2, text: include_str!("migrations/0002_objects.sql") },
    Migration { number: 3, text: include_str!("migrations/0003_catalogue.sql") },
    Migration { number: 4, text: include_str!("migrations/0004_running.sql") },
    Migration { number: 5, text: include_str!("migrations/0005_bookkeeping.sql") },
    Migration { number: 6, text: include_str!("migrations/0006_certificates.sql") },
    Migration { number: 7, text: include_str!("migrations/0007_functions.sql") },
    Migration { number: 8, text: include_str!("migrations/0008_function_calls.sql") },
    Migration { number: 9, text: include_str!("migrations/0009_links.sql") },
    Migration { number: 10, text: include_str!("migrations/0010_fleets.sql") },
    Migration { number: 11, text: include_str!("migrations/0011_webhooks.sql") },
    Migration { number: 12, text: include_str!("migrations/0012_provisioned.sql") },
    Migration { number: 13, text: include_str!("migrations/0013_told_events.sql") },
    Migration { number: 14, text: include_str!("migrations/0014_streams.sql") },
    Migration { number: 15, text: include_str!("migrations/0015_captures.sql") },
    Migration { number: 16, text: include_str!("migrations/0016_triggers.sql") },
    Migration { number: 17, text: include_str!("migrations/0017_let_go.sql") },
    Migration { number: 18, text: include_str!("migrations/0018_encrypted_streams.sql") },
    Migration { number: 19, text: include_str!("migrations/0019_changed_runs.sql") },
    Migration { number: 20, text: include_str!("migrations/0020_accuracies.sql") },
];

const PREPARE: &str = include_str!("migrations/prepare.sql");

/// Brings the schema of a database to this release.
pub(crate) async fn apply(store: &Store) -> Result<(), Error> {
    prepare(store).await?;
    let applied = store.transact("migrate", |tx| Box::pin(migrate(tx, &MIGRATIONS))).await?;
    if applied > 0 {
        tracing::info!(applied, database = store.database().as_str(), "database migrated");
    }
    Ok(())
}

async fn prepare(store: &Store) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        let done = store.transact("prepare migrations", |tx| {
            Box::pin(async move {
                for text in statements(PREPARE) {
                    tx.sql("prepare migrations", text).run().await?;
                }
                Ok::<_, Error>(())
            })
        });
        match done.await {
            // The tables that another control plane has just made, in PostgreSQL's own catalogue.
            Err(Error::Unique { .. } | Error::Database { .. })
                if attempt < PREPARE_ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Applies what is missing of `known`, and tells how many that were.
async fn migrate(tx: &mut Tx<'_>, known: &'static [Migration]) -> Result<u64, Error> {
    let text = "UPDATE migration_lock SET taken = taken + 1 WHERE id = 1";
    tx.sql("lock the migrations", text).run().await?;
    let text = "SELECT number, hash FROM migrations ORDER BY number";
    let rows = tx.sql("list the migrations", text).every().await?;
    let newest = known.last().map_or(0, |migration| migration.number);
    let mut applied = Vec::new();
    for row in &rows {
        let (number, hash): (u64, String) = (row.get("number")?, row.get("hash")?);
        match known.iter().find(|migration| migration.number == number) {
            None => return Err(Error::Newer { found: number, known: newest }),
            Some(migration) if hash_of(migration.text) != hash => {
                return Err(Error::Migrated { number });
            }
            Some(_) => applied.push(number),
        }
    }
    let missing = known.iter().filter(|migration| !applied.contains(&migration.number));
    let mut count = 0;
    for migration in missing {
        for text in statements(migration.text) {
            tx.sql("migrate", text).run().await?;
        }
        tx.sql("note a migration", "INSERT INTO migrations (number, hash) VALUES ($1, $2)")
            .bind(&migration.number)
            .bind(&hash_of(migration.text))
            .run()
            .await?;
        count += 1;
    }
    Ok(count)
}

/// The statements of a text: what stands between semicolons, outside quotes and comments.
fn statements(text: &'static str) -> Vec<&'static str> {
    let (mut found, mut start, mut quoted, mut comment) = (Vec::new(), 0, false, false);
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => comment = false,
            _ if comment => {}
            b'\'' => quoted = !quoted,
            b'-' if !quoted && bytes.get(at + 1) == Some(&b'-') => comment = true,
            b';' if !quoted => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// FNV-1a, 64 bits: it finds an edit by mistake, and is not meant to find one on purpose.
fn hash_of(text: &str) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

#[cfg(test)]
mod tests;
