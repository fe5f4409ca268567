use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn rules(body_bytes_max: usize) -> Rules {
    let (service_header, took_header) = ("x-service-us".to_owned(), "x-took".to_owned());
    Rules { service_header, took_header, body_bytes_max }
}

/// Feeds bytes in pieces of these lengths, again and again; what is left when it is whole.
fn feed(bytes: &[u8], cuts: &[usize], rules: &Rules) -> Result<(Answer, usize), Invalid> {
    let (mut answer, mut at) = (Answer::default(), 0);
    for cut in cuts.iter().cycle() {
        let end = (at + cut).min(bytes.len());
        let taken = answer.feed(&bytes[at..end], rules)?;
        if answer.is_whole() {
            return Ok((answer, bytes.len() - at - taken));
        }
        assert_eq!(taken, end - at, "what is not whole takes everything");
        at = end;
        if at == bytes.len() {
            break;
        }
    }
    Ok((answer, 0))
}

fn whole(text: &str) -> Answer {
    let (answer, rest) = feed(text.as_bytes(), &[text.len()], &rules(64)).unwrap();
    assert!(answer.is_whole(), "{text:?}");
    assert_eq!(rest, 0, "{text:?}");
    answer
}

/// Answers, and pieces of them, that are well made.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let body = vec(any::<u8>(), 0..200);
    let plain = body.clone().prop_map(|body| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    });
    let chunked = vec(vec(any::<u8>(), 1..60), 0..6).prop_map(|chunks| {
        let mut bytes = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in chunks {
            bytes.extend(format!("{:x};name=value\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\nx-trailer: 1\r\n\r\n");
        bytes
    });
    let interim = plain.clone().prop_map(|answer| {
        [b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n".to_vec(), answer].concat()
    });
    prop_oneof![plain, chunked, interim]
}

proptest! {
    /// However an answer is cut, it is the same, and ends at the same byte.
    #[test]
    fn cuts_change_nothing(
        answer in answers(),
        after in vec(any::<u8>(), 0..20),
        cuts in vec(1..40_usize, 1..20),
        kept in 0..100_usize,
    ) {
        let bytes = [answer, after.clone()].concat();
        let rules = rules(kept);
        let (at_once, rest) = feed(&bytes, &[bytes.len()], &rules).unwrap();
        prop_assert!(at_once.is_whole());
        prop_assert_eq!(rest, after.len());
        prop_assert!(at_once.body.len() <= kept);
        let (in_pieces, rest_of_piece) = feed(&bytes, &cuts, &rules).unwrap();
        prop_assert_eq!(&in_pieces, &at_once);
        prop_assert_eq!(rest_of_piece, after.len());
    }

    /// Whatever comes, nothing breaks, and what is kept is bounded; cuts do not change what is invalid.
    #[test]
    fn whatever_comes_is_an_answer_or_none(
        mut bytes in prop_oneof![answers(), vec(any::<u8>(), 1..400)],
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in vec(1..40_usize, 1..20),
    ) {
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        let at_once = feed(&bytes, &[bytes.len()], &rules(50));
        let in_pieces = feed(&bytes, &cuts, &rules(50));
        prop_assert_eq!(at_once.is_ok(), in_pieces.is_ok());
        if let Ok((answer, _)) = in_pieces {
            prop_assert!(answer.body.len() <= 50 && answer.pending.len() <= HEAD_BYTES_MAX);
        }
    }
}

#[test]
fn what_a_service_tells_of_its_time_is_read() {
    let answer = whole("HTTP/1.1 200 OK\r\nX-Service-Us: 1234\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!((answer.service_us, answer.status, answer.stays), (Some(1_234), 200, true));
    assert_eq!(answer.body, b"ok");
    let odd = whole("HTTP/1.1 200 OK\r\nx-service-us: soon\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(odd.service_us, None);
}

#[test]
fn connections_stay_where_both_sides_know_where_an_answer_ends() {
    let stays = |text: &str| whole(text).stays;
    assert!(stays("HTTP/1.1 204 No Content\r\n\r\n"));
    assert!(stays("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n"));
    assert!(!stays("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
    assert!(!stays("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert!(stays("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n"));
    let (mut answer, _) = feed(b"HTTP/1.1 200 OK\r\n\r\nuntil", &[7], &rules(64)).unwrap();
    assert!(!answer.is_whole() && answer.end() && !answer.stays);
    assert_eq!(answer.body, b"until");
    let (mut cut, _) =
        feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nuntil", &[7], &rules(64)).unwrap();
    assert!(!cut.end(), "half an answer is none");
}

#[test]
fn answers_that_could_be_read_in_two_ways_are_none() {
    let heads = [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
    ];
    for head in heads {
        assert_eq!(feed(head.as_bytes(), &[5], &rules(64)).unwrap_err(), Invalid, "{head:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(feed(long.as_bytes(), &[1_000], &rules(64)).unwrap_err(), Invalid);
    assert_eq!(feed(long.as_bytes(), &[long.len()], &rules(64)).unwrap_err(), Invalid);
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n";
    assert_eq!(feed(chunks.as_bytes(), &[9], &rules(64)).unwrap_err(), Invalid);
}
