//! The manifests on the page about publishing are manifests.

use formats::manifest::{parse, write};
use types::ItemKind;

const PAGE: &str = include_str!("../../../docs/publish.md");

#[test]
fn every_manifest_on_the_page_is_one() {
    let mut kinds = Vec::new();
    for block in PAGE.split("\n```toml\n").skip(1) {
        let text = block.split("\n```").next().unwrap();
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(parse(&write(&manifest)).unwrap(), manifest);
        kinds.push(manifest.kind);
    }
    for kind in ItemKind::ALL {
        assert!(kinds.contains(&kind), "no example of a {kind}");
    }
}
