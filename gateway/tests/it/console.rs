//! The console, and what of it is here without having been built.

use crate::world::{Ask, World};

#[tokio::test]
async fn the_console_is_open_and_its_policy_is_strict() {
    let world = World::start().await;
    for path in ["/console/", "/console/endpoints/risk", "/console/../v1/items"] {
        let answer = world.ask(Ask::get(path).from(None)).await;
        // The page itself, or the one that says how it is built.
        let status = if answer.text().contains("is not in this program") { 404 } else { 200 };
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    let gone = world.ask(Ask::get("/console/assets/gone.js").from(None)).await;
    assert_eq!((gone.status, gone.header("cache-control")), (404, None));
    let moved = world.ask(Ask::get("/console").from(None)).await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("/console/")));
}

#[tokio::test]
async fn what_was_built_is_all_there_and_whole() {
    let world = World::start().await;
    let page = world.ask(Ask::get("/console/").from(None)).await;
    if page.status == 404 {
        eprintln!("SKIPPED: the console was not built (cargo xtask console)");
        return;
    }
    let text = page.text();
    let assets: Vec<&str> =
        text.split('"').filter(|word| word.starts_with("/console/assets/")).collect();
    assert!(assets.len() >= 2, "a script and a style: {text}");
    for path in assets {
        let plain = world.ask(Ask::get(path).from(None)).await;
        let packed = [("accept-encoding", "gzip, br")];
        let packed = world.ask(Ask::get(path).from(None).with(&packed)).await;
        let (etag, kept) = (plain.header("etag").unwrap(), plain.header("cache-control"));
        assert!(kept.unwrap().contains("immutable"), "{path}");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        let mut whole = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(&packed.body[..]);
        std::io::Read::read_to_end(&mut reader, &mut whole).unwrap();
        assert_eq!(whole, plain.body, "{path}");
        let known = [("if-none-match", etag)];
        let again = world.ask(Ask::get(path).from(None).with(&known)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
}
