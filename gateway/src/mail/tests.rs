//! Against a server that speaks the lines of SMTP (RFC 5321) and keeps what it is told: no product,
//! and no TLS.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use types::{AccountId, EventId};
use uuid::Uuid;

use super::*;

/// Takes one e-mail, answers its recipient with `to`, and gives what it was told.
async fn serve(listener: TcpListener, to: &'static str) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    let (mut lines, mut told, mut is_data) = (BufReader::new(read).lines(), Vec::new(), false);
    write.write_all(b"220 test ESMTP\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." if is_data => {
                is_data = false;
                "250 kept"
            }
            _ if is_data => "",
            "EHLO" => "250 test",
            "RCPT" => to,
            "DATA" => {
                is_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        told.push(line);
        if !answer.is_empty() {
            write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
        if answer.starts_with("221") {
            break;
        }
    }
    told
}

fn event() -> TakenEvent {
    TakenEvent {
        stream: None,
        id: EventId::new(Uuid::from_u128(1)),
        account: AccountId::new(Uuid::from_u128(2)),
        account_name: "acme".parse().unwrap(),
        function: None,
        qualifier: String::new(),
        payload: "risk@next is slow.\n.\nGrüße".to_owned(),
        attempt: 1,
        webhook: None,
        email: None,
    }
}

fn email(to: &str) -> Email {
    Email { to: to.to_owned(), subject: "slow of risk has fired".to_owned() }
}

fn smtp(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::Loopback,
        from: "Freehold <cloud@example.org>".to_owned(),
        credentials: None,
    }
}

#[tokio::test]
async fn an_e_mail_is_taken_refused_or_put_off() {
    for (answer, wanted) in
        [("250 ok", "answered"), ("550 nobody", "Email.Refused"), ("451 later", "throttled")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = Mail::new(Some(smtp(listener.local_addr().unwrap().port())));
        let (event, email) = (event(), email("ops@example.org"));
        let (told, ended) = tokio::join!(serve(listener, answer), mail.send(&event, &email));
        let came = match &ended {
            EventEnded::Answered { .. } => "answered",
            EventEnded::Failed { error, .. } => error,
            EventEnded::NotRun { throttled: true, .. } => "throttled",
            EventEnded::NotRun { .. } => "not run",
        };
        assert_eq!(came, wanted, "{ended:?}");
        assert!(told.contains(&"RCPT TO:<ops@example.org>".to_owned()), "{told:?}");
        if wanted == "answered" {
            assert!(told.contains(&"Subject: slow of risk has fired".to_owned()), "{told:?}");
            let id = format!("Message-ID: <{}@example.org>", event.id);
            assert!(told.contains(&id), "{told:?}");
            assert!(told.iter().any(|line| line.starts_with("From: ")), "{told:?}");
        }
    }
}

#[tokio::test]
async fn without_a_server_it_is_said_what_to_do() {
    let said = |ended: EventEnded| match ended {
        EventEnded::Failed { error, payload, .. } => (error, payload),
        other => panic!("{other:?}"),
    };
    let (event, to) = (event(), email("ops@example.org"));
    let (error, why) = said(Mail::new(None).send(&event, &to).await);
    assert_eq!(error, "Email.NoServer");
    assert!(why.contains("--smtp"), "{why}");
    let (error, _) = said(Mail::new(Some(smtp(9))).send(&event, &email("nobody")).await);
    assert_eq!(error, "Email.Message");
    // Nobody listens there: it may be put right.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ended = Mail::new(Some(smtp(closed))).send(&event, &to).await;
    assert!(matches!(ended, EventEnded::NotRun { throttled: false, .. }), "{ended:?}");
    // A server that offers no TLS is told nothing where that is wanted.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mail = Mail::new(Some(Smtp { security: Security::StartTls, ..smtp(port) }));
    let sent = mail.send(&event, &to);
    let (told, ended) = tokio::join!(serve(listener, "250 ok"), sent);
    assert!(!matches!(ended, EventEnded::Answered { .. }), "{ended:?}");
    assert!(!told.iter().any(|line| line.starts_with("RCPT")), "{told:?}");
}
