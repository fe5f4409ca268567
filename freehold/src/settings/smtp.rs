//! The mail server of the operator, as settings name it.
//!
//! Always true: a server beyond this machine is spoken to by TLS; a password stands in a file, and
//! nowhere else.

use std::net::IpAddr;

use gateway::mail::{Security, Smtp};

use super::ServerArguments;
use crate::exit::Failure;

/// The server, where one is named.
pub(super) fn resolve(given: &ServerArguments) -> Result<Option<Smtp>, Failure> {
    let Some(text) = &given.smtp else {
        let more = [
            ("--smtp-from", given.smtp_from.is_some()),
            ("--smtp-user", given.smtp_user.is_some()),
            ("--smtp-password-file", given.smtp_password_file.is_some()),
        ];
        return match more.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Failure::usage(format!("{flag} needs --smtp too"))),
            None => Ok(None),
        };
    };
    let refuse = || {
        Failure::usage(format!("--smtp {text:?}: use smtps://HOST:PORT, or smtp://HOST:PORT"))
            .hint("smtps speaks TLS at once, on port 465; smtp turns to it, on port 587")
    };
    let url: http::Uri = text.parse().map_err(|_| refuse())?;
    let host = url.host().filter(|_| url.path().len() <= 1).ok_or_else(refuse)?;
    let host = host.trim_matches(['[', ']']).to_owned();
    let here =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let (security, port) = match url.scheme_str() {
        Some("smtps") => (Security::Tls, 465),
        Some("smtp") if here => (Security::Loopback, 25),
        Some("smtp") => (Security::StartTls, 587),
        _ => return Err(refuse()),
    };
    let from = given.smtp_from.clone().ok_or_else(|| {
        Failure::usage("--smtp needs --smtp-from: the address by which e-mails are")
    })?;
    let credentials = match (&given.smtp_user, &given.smtp_password_file) {
        (None, None) => None,
        (Some(user), Some(path)) => {
            let told =
                |error| Failure::usage(format!("--smtp-password-file {}: {error}", path.display()));
            let password = std::fs::read_to_string(path).map_err(told)?;
            Some((user.clone(), password.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => {
            let message = "--smtp-user and --smtp-password-file go together";
            return Err(Failure::usage(message));
        }
    };
    Ok(Some(Smtp { host, port: url.port_u16().unwrap_or(port), security, from, credentials }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(smtp: &str) -> ServerArguments {
        let (smtp, from) = (Some(smtp.to_owned()), Some("cloud@example.org".to_owned()));
        ServerArguments { smtp, smtp_from: from, ..ServerArguments::default() }
    }

    #[test]
    fn a_server_beyond_this_machine_is_spoken_to_by_tls() {
        for (url, security, port) in [
            ("smtps://mail.example.org", Security::Tls, 465),
            ("smtp://mail.example.org", Security::StartTls, 587),
            ("smtp://10.0.0.7:2525", Security::StartTls, 2525),
            ("smtp://127.0.0.1:2525", Security::Loopback, 2525),
            ("smtp://[::1]:2525", Security::Loopback, 2525),
        ] {
            let smtp = resolve(&given(url)).unwrap().unwrap();
            assert_eq!((smtp.security, smtp.port), (security, port), "{url}");
        }
        for wrong in ["mail.example.org", "http://mail.example.org", "smtp://a/b", "smtp://"] {
            assert_eq!(resolve(&given(wrong)).unwrap_err().exit, 2, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "secret\n").unwrap();
        let with = |user: Option<&str>, path: Option<&std::path::Path>| ServerArguments {
            smtp_user: user.map(str::to_owned),
            smtp_password_file: path.map(ToOwned::to_owned),
            ..given("smtps://mail.example.org")
        };
        let smtp = resolve(&with(Some("cloud"), Some(&path))).unwrap().unwrap();
        assert_eq!(smtp.credentials, Some(("cloud".to_owned(), "secret".to_owned())));
        assert!(!format!("{smtp:?}").contains("secret"));
        let alone = ServerArguments { smtp_user: Some("me".to_owned()), ..Default::default() };
        let missing = folder.path().join("missing");
        for wrong in [
            with(Some("cloud"), None),
            with(None, Some(&path)),
            with(Some("cloud"), Some(&missing)),
            ServerArguments { smtp_from: None, ..given("smtps://mail.example.org") },
            alone,
        ] {
            assert_eq!(resolve(&wrong).unwrap_err().exit, 2);
        }
    }
}
