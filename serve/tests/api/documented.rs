//! `docs/openapi.json` against the handlers: each path and method in it is served and the other way round, and its
//! examples are what the server's own types make and read.

use std::collections::BTreeSet;

use pblink_serve::control::{
    Accepted, ConsumerInfo, ConsumerList, Decided, EventList, HeldLine, LinePage, LinkInfo,
    OutageList, Passed, Refused, ReportList, ServerAnswer, WaitingLine, routes,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Rig, answer};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns each path and method of the document with what belongs to it.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
    });
    each.collect()
}

#[test]
fn the_paths_of_the_document_are_those_of_the_server() {
    let document = document();
    let documented: BTreeSet<_> =
        operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
    let served: BTreeSet<_> = routes()
        .flat_map(|(path, methods)| {
            methods.iter().map(move |method| (path.to_owned(), (*method).to_owned()))
        })
        .collect();
    assert_eq!(documented, served);
}

/// Answers that the HTTP library would give by itself are not JSON.
#[tokio::test]
async fn a_name_that_is_not_text_is_refused_as_all_else_is() {
    let rig = Rig::start().await;
    for (path, methods) in routes().filter(|(path, _)| path.contains('{')) {
        let path = path.replace("{id}", "%ff").replace("{name}", "%ff");
        for method in methods {
            let request = rig.request(method.parse::<Method>().unwrap(), &path);
            let (status, body) = answer(request).await;
            assert_eq!(status, 400, "{method} {path}");
            let why = body["error"].as_str().unwrap_or_default();
            assert!(why.contains("UTF-8"), "{method} {path}: {body}");
        }
    }
}

#[tokio::test]
async fn each_path_takes_the_methods_that_it_lists_and_no_others() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    for (path, methods) in routes() {
        let filled = path.replace("{id}", "a").replace("{name}", "mine");
        for method in METHODS {
            // A stream would not end; its path is asked for JSON.
            let request = rig.request(method.parse::<Method>().unwrap(), &filled);
            let (status, body) = answer(request.header("Accept", "application/json")).await;
            assert_eq!(
                status == 405,
                !methods.contains(&method),
                "{method} {path}: {status} {body}"
            );
            assert!(!body["error"].as_str().unwrap_or("").starts_with("no such path"), "{path}");
        }
    }
}

#[tokio::test]
async fn parameters_of_the_document_are_taken_and_others_are_not() {
    let rig = Rig::start().await;
    for (path, method, operation) in operations(&document()) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        if names.is_empty() {
            continue;
        }
        let filled = path.replace("{id}", "a").replace("{name}", "mine");
        for name in names.into_iter().chain(["nonsense"]) {
            let path = format!("{filled}?{name}=%00");
            let request = rig.request(method.parse::<Method>().unwrap(), &path);
            // `since` and others of the stream are not of the list.
            for accept in ["application/json", "text/event-stream"] {
                let request = request.try_clone().unwrap().header("Accept", accept);
                let response = crate::board::soon(request.send()).await.unwrap();
                if response.headers()["content-type"] == "text/event-stream" {
                    continue;
                }
                let body = crate::board::soon(response.text()).await.unwrap();
                let unknown = body.contains("there is no parameter");
                assert!(
                    name == "nonsense" || !unknown || path.contains("/events"),
                    "{path}: {body}"
                );
                assert!(name != "nonsense" || unknown, "{path}: {body}");
            }
        }
    }
}

/// Checks that an example is read by a type, and written again as it was.
fn same<T: Serialize + DeserializeOwned>(example: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(example.clone()).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(read).map_err(|error| error.to_string())?;
    if written == *example { Ok(()) } else { Err(format!("it is written as {written}")) }
}

#[test]
fn the_examples_are_what_the_servers_types_read_and_write() {
    let document = document();
    let mut examples = 0;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(!responses.is_empty() && operation["summary"].is_string(), "{method} {path}");
        for (status, response) in responses {
            let response = match response["$ref"].as_str() {
                Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
                None => response,
            };
            let Some(json) = response["content"].get("application/json") else { continue };
            let example = &json["example"];
            let schema = &json["schema"];
            let name =
                schema["$ref"].as_str().or(schema["items"]["$ref"].as_str()).unwrap_or_default();
            let name = name.rsplit('/').next().unwrap();
            let list = schema["type"] == "array";
            let checked = match (name, list) {
                ("Server", _) => same::<ServerAnswer>(example),
                ("Link", false) => same::<LinkInfo>(example),
                ("Link", true) => same::<Vec<LinkInfo>>(example),
                ("Accepted", _) => same::<Accepted>(example),
                ("LinePage", _) => same::<LinePage>(example),
                ("Consumer", _) => same::<ConsumerInfo>(example),
                ("ConsumerList", _) => same::<ConsumerList>(example),
                ("Passed", _) => same::<Passed>(example),
                ("WaitingLine", _) => same::<Vec<WaitingLine>>(example),
                ("HeldLine", _) => same::<Vec<HeldLine>>(example),
                ("Decided", _) => same::<Decided>(example),
                ("OutageList", _) => same::<OutageList>(example),
                ("ReportList", _) => same::<ReportList>(example),
                ("EventList", _) => same::<EventList>(example),
                ("Refused", _) => same::<Refused>(example),
                ("", _) if path == "/api/v1/session" => Ok(()),
                _ => Err("no type is named".to_owned()),
            };
            if let Err(why) = checked {
                panic!("{method} {path} {status}: {why}\n{example}");
            }
            // The example has the fields of the schema, and no others.
            if let (Some(schema), Some(example)) =
                (document["components"]["schemas"].get(name), example.as_object())
            {
                let properties = schema["properties"].as_object().unwrap();
                assert!(
                    example.keys().all(|key| properties.contains_key(key)),
                    "{name}: {example:?}"
                );
                let required = schema["required"].as_array().unwrap();
                assert!(
                    required.iter().all(|key| example.contains_key(key.as_str().unwrap())),
                    "{name}"
                );
            }
            examples += 1;
        }
    }
    assert!(examples > 40, "{examples}");
}

#[test]
fn each_path_has_a_line_in_api_md() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (path, _) in routes() {
        assert!(text.contains(&format!("`{path}")) || text.contains(&format!(" {path}")), "{path}");
    }
}
