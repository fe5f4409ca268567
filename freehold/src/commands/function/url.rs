//! `freehold function url`: addresses that any HTTP client calls.

use api::client::Client;
use api::functions::urls::{Cors, FunctionUrl, UrlAuth, UrlQuery, UrlSettings};

use crate::args::{UrlArguments, UrlCommand};
use crate::exit::Failure;
use crate::output::{Output, note};

/// Carries out the command.
pub(super) async fn run(command: UrlCommand, client: &Client, out: &Output) -> Result<(), Failure> {
    let base = client.address().to_string();
    match command {
        UrlCommand::Create(wanted) => {
            let of = UrlQuery { qualifier: wanted.qualifier.clone() };
            let nothing = UrlSettings { auth: UrlAuth::Iam, stream: false, cors: None };
            let name = wanted.name.clone();
            let settings = settings(wanted, nothing);
            let made = client.function_url_create(&name, (&of, &settings)).await?;
            out.one(&made, |url| rows(&base, url))
        }
        UrlCommand::Show { name } => {
            let all = client.function_urls_list(&name).await?;
            let heads = ["url", "alias", "callers", "answers", "other sites"];
            out.list(&all, &heads, |url| cells(&base, url))
        }
        UrlCommand::Update(wanted) => {
            let of = UrlQuery { qualifier: wanted.qualifier.clone() };
            let name = wanted.name.clone();
            let now = client.function_url(&name, &of).await?.settings;
            let settings = settings(wanted, now);
            let changed = client.function_url_update(&name, (&of, &settings)).await?;
            out.one(&changed, |url| rows(&base, url))
        }
        UrlCommand::Delete { name, qualifier } => {
            client.function_url_delete(&name, &UrlQuery { qualifier }).await?;
            note(&format!("the URL of {name} is removed"))
        }
    }
}

/// What was there with what was said; what was not said stays.
fn settings(said: UrlArguments, now: UrlSettings) -> UrlSettings {
    let methods = if said.cors_method.is_empty() { vec!["*".to_owned()] } else { said.cors_method };
    let cors = Cors {
        origins: said.cors_origin,
        methods,
        headers: said.cors_header,
        exposed: said.cors_exposed,
        credentials: said.cors_credentials,
        max_age_s: said.cors_max_age,
    };
    UrlSettings {
        auth: said.auth.map_or(now.auth, Into::into),
        stream: said.stream.unwrap_or(now.stream),
        cors: if cors.origins.is_empty() { now.cors } else { Some(cors) },
    }
}

fn cells(base: &str, url: &FunctionUrl) -> Vec<String> {
    let UrlSettings { auth, stream, cors } = &url.settings;
    let callers = match auth {
        UrlAuth::None => "everybody",
        UrlAuth::Iam => "who may call the function",
    };
    let answers = if *stream { "while they are made" } else { "whole" };
    vec![
        format!("{}{}", base.trim_end_matches('/'), url.path),
        url.qualifier.clone(),
        callers.to_owned(),
        answers.to_owned(),
        cors.as_ref().map_or_else(String::new, |cors| cors.origins.join(" ")),
    ]
}

fn rows(base: &str, url: &FunctionUrl) -> Vec<(String, String)> {
    let heads = ["url", "alias", "callers", "answers", "other sites"].map(str::to_owned);
    let rows = heads.into_iter().zip(cells(base, url));
    rows.filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> UrlArguments {
        UrlArguments {
            name: "greet".parse().unwrap(),
            qualifier: None,
            auth: None,
            stream: None,
            cors_origin: vec![],
            cors_method: vec![],
            cors_header: vec![],
            cors_exposed: vec![],
            cors_credentials: false,
            cors_max_age: None,
        }
    }

    #[test]
    fn what_is_not_said_stays() {
        let cors = Cors { origins: vec!["*".to_owned()], ..Cors::default() };
        let now = UrlSettings { auth: UrlAuth::None, stream: true, cors: Some(cors) };
        assert_eq!(settings(said(), now.clone()), now);
        let changed = UrlArguments {
            stream: Some(false),
            cors_origin: vec!["https://a.example".to_owned()],
            ..said()
        };
        let next = settings(changed, now);
        assert_eq!((next.auth, next.stream), (UrlAuth::None, false));
        let cors = next.cors.unwrap();
        assert_eq!((&cors.origins[0][..], &cors.methods[0][..]), ("https://a.example", "*"));
    }
}
