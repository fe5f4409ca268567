use proptest::prelude::*;

use super::*;

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn places_are_read_and_written_alike() {
    for text in ["example.org:443", "a-b.c_d.example:1", "10.0.0.1:65535", "[2001:db8::1]:80"] {
        assert_eq!(place(text).to_string(), text);
    }
    assert_eq!(place("Example.ORG.:443"), place("example.org:443"));
    for text in [
        "",
        "example.org",
        "example.org:",
        ":443",
        "example.org:0",
        "example.org:65536",
        "*:443",
        "example.org:+1",
        "::1:80",
        "[example.org]:80",
        "a b:80",
        "a@b:80",
        "127.1:80",
        "0x7f000001:80",
        "2130706433:80",
        "http://a:80",
        "a..b:80",
        "a:80/x",
        "[::1:80",
    ] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}

#[test]
fn only_what_is_named_is_reached() {
    let named = [place("example.org:443"), place("10.0.0.1:80")];
    assert_eq!(judge_place(&named, &place("EXAMPLE.org:443")), Ok(()));
    for other in ["example.org:80", "www.example.org:443", "org:443", "10.0.0.1:443"] {
        assert_eq!(judge_place(&named, &place(other)), Err(Refusal::Unnamed), "{other}");
        assert_eq!(judge_place(&[], &place(other)), Err(Refusal::Unnamed));
    }
}

const LOCAL: [&str; 22] = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
];

#[test]
fn the_host_and_its_link_are_never_reached() {
    let everything = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    for text in LOCAL {
        assert_eq!(judge_address(address(text), false, &everything), Err(Refusal::Local), "{text}");
    }
    let own = address("93.184.215.14");
    assert_eq!(judge_address(own, true, &everything), Err(Refusal::OwnAddress));
    assert_eq!(judge_address(own, false, &[]), Ok(()));
}

#[test]
fn private_networks_are_reached_where_the_operator_opens_them() {
    let open: Vec<Network> =
        ["10.1.0.0/16", "fd00:1::/32"].map(|text| text.parse().unwrap()).to_vec();
    for (text, opened) in [
        ("10.1.2.3", true),
        ("10.2.0.1", false),
        ("172.16.0.1", false),
        ("172.31.255.255", false),
        ("192.168.1.1", false),
        ("100.64.0.1", false),
        ("198.18.0.1", false),
        ("192.0.0.8", false),
        ("fd00:1::9", true),
        ("fd00:2::9", false),
        ("::ffff:10.1.2.3", true),
        ("64:ff9b::a02:3", false),
        ("2002:a01:203::1", true),
        ("100::1", false),
    ] {
        assert_eq!(judge_address(address(text), false, &[]), Err(Refusal::Private), "{text}");
        assert_eq!(judge_address(address(text), false, &open).is_ok(), opened, "{text}");
        assert_eq!(judge_address(address(text), true, &open).ok(), None, "{text}");
    }
    for text in ["172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "8.8.8.8", "2606::1"] {
        assert_eq!(judge_address(address(text), false, &[]), Ok(()), "{text}");
    }
    for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/-1", ""] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
}

proptest! {
    /// However an address of version 4 is written as one of version 6, it is judged alike.
    #[test]
    fn an_address_is_judged_by_what_it_means(number in 0x0001_0000..=u32::MAX, own in any::<bool>()) {
        let four = Ipv4Addr::from(number);
        let [a, b, c, d] = four.octets();
        let judged = judge_address(four.into(), own, &[]);
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let mapped = four.to_ipv6_mapped();
        let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
        let tunnel = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);
        for six in [mapped, translated, tunnel] {
            prop_assert_eq!(judge_address(six.into(), own, &[]), judged, "{}", six);
        }
    }

    /// No text makes a place that is not written back as one.
    #[test]
    fn a_place_is_one_again(text in "[a-zA-Z0-9.:\\[\\]-]{0,20}") {
        if let Ok(place) = text.parse::<Place>() {
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
        }
    }
}
