//! `freehold explain`: what an error code means and what to do, from pages within the program.

use serde::Serialize;

use api::errors::{ERROR_CODES, find};

use crate::exit::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Shown {
    code: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'static str>,
}

/// Shows the page about a code; every code where it is empty.
pub fn run(code: &str, out: &Output) -> Result<(), Failure> {
    if code.is_empty() {
        let all = ERROR_CODES.iter();
        let all: Vec<Shown> =
            all.map(|known| Shown { code: known.code, title: known.title, page: None }).collect();
        return out.list(&all, &["code", "what it says"], |shown| {
            vec![shown.code.to_owned(), shown.title.to_owned()]
        });
    }
    let known = find(code).ok_or_else(|| {
        let failure = Failure { exit: 4, ..Failure::refused(format!("{code:?} is no error code")) };
        failure.hint("`freehold explain` lists them")
    })?;
    let shown = Shown { code: known.code, title: known.title, page: Some(known.page) };
    out.text(&shown, |_| known.page.to_owned())
}
