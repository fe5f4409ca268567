//! Faults of the database: a kind of statement that fails for as long as its trap is set.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

/// Statements of one kind on one table fail while this is set.
pub(crate) struct Trap {
    connection: SqliteConnection,
}

impl Trap {
    /// Has statements fail that do `act`, such as `UPDATE ON items`, to a row.
    pub(crate) async fn set(database: &str, act: &str) -> Self {
        let mut connection = connect(database).await;
        let text = format!(
            "CREATE TRIGGER trap BEFORE {act} BEGIN SELECT RAISE(ABORT, 'failed on purpose'); END"
        );
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        Self { connection }
    }

    /// Has them work again.
    pub(crate) async fn take_away(mut self) {
        sqlx::raw_sql("DROP TRIGGER trap").execute(&mut self.connection).await.unwrap();
        self.connection.close().await.unwrap();
    }
}

/// A connection beside those of the store.
pub(crate) async fn connect(database: &str) -> SqliteConnection {
    let mut connection = SqliteConnection::connect(&format!("{database}?mode=rw")).await.unwrap();
    let patient = sqlx::raw_sql("PRAGMA busy_timeout = 5000");
    patient.execute(&mut connection).await.unwrap();
    connection
}
