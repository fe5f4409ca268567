//! The description of the API: a golden file, written anew by the very test that holds it.

use crate::Failure;
use crate::places::Places;
use crate::process;

/// Accepts the document as the code now describes it.
pub(crate) fn run(places: &Places, _words: &[String]) -> Result<(), Failure> {
    let words = ["test", "--workspace", "--lib", "--tests", "openapi"];
    let mut command = process::cargo(places, &words);
    process::run(command.env("INSTA_UPDATE", "always").env("INSTA_WORKSPACE_ROOT", &places.root))
}
