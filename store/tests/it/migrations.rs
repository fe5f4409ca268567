//! The schema: the same on both databases, and applied safely.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use store::{Database, Error, Store};

use crate::harness::House;

both! {
    /// Tables, columns, their types and whether they may be missing: one golden file for both.
    the_schema_is_the_same;
    /// Opening again changes nothing.
    opening_again_changes_nothing;
    /// Of control planes that start at once, one migrates and all are ready.
    several_may_start_at_once;
    /// A migration that was edited after it was applied is noticed.
    an_edited_migration_is_refused;
    /// A release refuses a database that a later one has migrated.
    a_newer_database_is_refused;
}

async fn rows(url: &str, text: &str) -> Vec<Vec<String>> {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let read = |row: &sqlx::any::AnyRow| (0..row.len()).map(|at| row.get(at)).collect();
    rows.iter().map(read).collect()
}

async fn tell(url: &str, text: &str) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

const SQLITE_COLUMNS: &str = "SELECT tables.name, columns.name, upper(columns.type),
        CASE columns.\"notnull\" WHEN 1 THEN 'NOT NULL' ELSE 'NULL' END
    FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' ORDER BY 1, columns.cid";
const POSTGRES_COLUMNS: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT),
        upper(CAST(data_type AS TEXT)), CASE is_nullable WHEN 'NO' THEN 'NOT NULL' ELSE 'NULL' END
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position";
const SQLITE_INDEXES: &str = "SELECT name, tbl_name FROM sqlite_master
    WHERE type = 'index' AND name NOT LIKE 'sqlite_%' ORDER BY 1";
const POSTGRES_INDEXES: &str = "SELECT CAST(indexname AS TEXT), CAST(tablename AS TEXT)
    FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE '%\\_by\\_%' ORDER BY 1";

async fn the_schema_is_the_same(house: House) {
    let (columns, indexes) = match house.store.database() {
        Database::Sqlite => (SQLITE_COLUMNS, SQLITE_INDEXES),
        Database::Postgres => (POSTGRES_COLUMNS, POSTGRES_INDEXES),
    };
    let mut schema = String::new();
    let mut table = String::new();
    for row in rows(&house.url, columns).await {
        if row[0] != table {
            table.clone_from(&row[0]);
            schema += &format!("{table}\n");
        }
        schema += &format!("    {} {} {}\n", row[1], row[2], row[3]);
    }
    for row in rows(&house.url, indexes).await {
        schema += &format!("{} on {}\n", row[0], row[1]);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "golden" }, {
        insta::assert_snapshot!("schema", schema);
    });
}

async fn opening_again_changes_nothing(house: House) {
    let before = rows(&house.url, "SELECT hash FROM migrations ORDER BY number").await;
    let again = Store::open(&house.url).await.unwrap();
    again.close().await;
    assert_eq!(rows(&house.url, "SELECT hash FROM migrations ORDER BY number").await, before);
}

async fn several_may_start_at_once(house: House) {
    // The store of this test is open already; so is its schema. These start on an empty one.
    let tables = match house.store.database() {
        Database::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Database::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'"
        }
    };
    let mut left: BTreeSet<String> = rows(&house.url, tables).await.into_iter().flatten().collect();
    house.store.close().await;
    while !left.is_empty() {
        for table in left.clone() {
            let mut connection = AnyConnection::connect(&house.url).await.unwrap();
            let text = format!("DROP TABLE {table}");
            if sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.is_ok() {
                left.remove(&table);
            }
            connection.close().await.unwrap();
        }
    }
    let opened = futures::future::join_all((0..6).map(|_| Store::open(&house.url))).await;
    for store in opened {
        let store = store.unwrap();
        assert_eq!(store.feed_read(store::Topic::Routes).await.unwrap(), 0);
        store.close().await;
    }
}

async fn an_edited_migration_is_refused(house: House) {
    tell(&house.url, "UPDATE migrations SET hash = 'edited' WHERE number = 2").await;
    let refused = Store::open(&house.url).await.unwrap_err();
    assert!(matches!(refused, Error::Migrated { number: 2 }), "{refused:?}");
}

async fn a_newer_database_is_refused(house: House) {
    tell(&house.url, "INSERT INTO migrations (number, hash) VALUES (999, 'later')").await;
    let refused = Store::open(&house.url).await.unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 999, .. }), "{refused:?}");
}
