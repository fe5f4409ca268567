use super::*;

#[test]
fn statements_are_cut_outside_quotes_and_comments() {
    let text = "-- it's; a comment\nCREATE TABLE a (b TEXT CHECK (b IN (';', '--')));\n\
                INSERT INTO a VALUES ('x;y'); -- last;\n";
    assert_eq!(
        statements(text),
        [
            "-- it's; a comment\nCREATE TABLE a (b TEXT CHECK (b IN (';', '--')))",
            "INSERT INTO a VALUES ('x;y')",
        ]
    );
}

#[test]
fn migrations_are_numbered_in_order_and_use_two_types() {
    assert!(MIGRATIONS.is_sorted_by(|one, next| one.number < next.number));
    for migration in &MIGRATIONS {
        let number = migration.number;
        assert!(!statements(migration.text).is_empty());
        let words = migration.text.split(|char: char| !char.is_ascii_alphanumeric());
        for word in words {
            let foreign = ["INTEGER", "INT", "BOOLEAN", "TIMESTAMP", "JSON", "REAL", "SERIAL"];
            // `JSON` stands in comments only, behind a column's definition.
            assert!(word == "JSON" || !foreign.contains(&word), "{word} in {number}");
        }
    }
}

/// Fails when a released migration is edited. Add a new one instead.
#[test]
fn released_migrations_stay_as_they_are() {
    let hashes: Vec<String> = MIGRATIONS
        .iter()
        .map(|migration| format!("{} {}", migration.number, hash_of(migration.text)))
        .collect();
    insta::assert_snapshot!(hashes.join("\n"));
}
