use http::Request;

use super::*;

const SOME: &[File] = &[
    File {
        name: "assets/a-1.js",
        kind: "text/javascript",
        tag: "\"a\"",
        plain: b"aaaa",
        gzip: b"a",
    },
    File { name: "index.html", kind: "text/html", tag: "\"i\"", plain: b"i", gzip: b"iiii" },
];

fn parts(headers: &[(&str, &str)]) -> Parts {
    let request =
        headers.iter().fold(Request::get("/"), |it, (name, value)| it.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_path_without_a_file_is_a_page_and_one_of_an_asset_is_not() {
    let name = |path: &str| find(SOME, path).map(|file| file.name);
    assert_eq!(name(""), Some("index.html"));
    assert_eq!(name("endpoints/risk"), Some("index.html"));
    assert_eq!(name("../../etc/passwd"), Some("index.html"));
    assert_eq!(name("assets/a-1.js"), Some("assets/a-1.js"));
    assert_eq!(name("assets/gone.js"), None);
    assert_eq!(find(&[], "").map(|file| file.name), None);
}

#[test]
fn a_list_names_its_members_and_weak_tags_are_tags() {
    let says = |value: &str, wanted: &str| {
        names(&parts(&[("accept", value)]).headers, &header::ACCEPT, wanted)
    };
    assert!(says("image/png, TEXT/html ;q=0.1", "text/html"));
    assert!(says("\"x\", W/\"a\"", "\"a\""));
    assert!(!says("text/htmlx, */*", "text/html"));
}

#[test]
fn what_a_name_tells_is_kept_and_the_index_is_asked_for_again() {
    let told = |file: &File, headers: &[(&str, &str)]| {
        let response = answer_file(file, &parts(headers).headers);
        let header = |name: HeaderName| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let (kept, coded) = (header(header::CACHE_CONTROL), header(header::CONTENT_ENCODING));
        (response.status().as_u16(), kept.unwrap(), coded)
    };
    let [asset, index] = SOME else { panic!("two files") };
    let for_good = "public, max-age=31536000, immutable".to_owned();
    let packed = Some("gzip".to_owned());
    assert_eq!(told(asset, &[]), (200, for_good.clone(), None));
    assert_eq!(told(asset, &[("accept-encoding", "gzip")]), (200, for_good, packed));
    let again = "no-cache".to_owned();
    assert_eq!(told(index, &[("accept-encoding", "gzip")]), (200, again.clone(), None));
    assert_eq!(told(index, &[("if-none-match", "\"i\"")]), (304, again.clone(), None));
    assert_eq!(told(index, &[("if-none-match", "\"other\"")]), (200, again, None));
}

#[test]
fn people_are_led_to_the_console_and_programs_are_not() {
    let browser = parts(&[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]);
    let led = root(&browser).unwrap();
    assert_eq!(
        (led.status().as_u16(), &led.headers()[header::LOCATION]),
        (303, &HeaderValue::from_static(PATH))
    );
    for accept in ["*/*", "application/json"] {
        assert_eq!(root(&parts(&[("accept", accept)])).unwrap_err(), Error::NoPath, "{accept}");
    }
}

#[test]
fn every_answer_keeps_other_origins_out() {
    for path in ["/", "/index.html", "/endpoints/risk"] {
        let answered = answer(&parts(&[]), path).unwrap();
        let policy = answered.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answered.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
