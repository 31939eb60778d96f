//! The router and the data plane give the same answer: 10,000 random requests against random objects.

use ir::{Action, Snapshot, Target};
use narthex_testbed::random::{Chance, RandomRequest, objects, request};
use narthex_testbed::{Gateway, Response};
use router::{Head, Socket};

/// Sets of objects, and requests sent to each.
const SETS: usize = 100;
const REQUESTS: usize = 100;

#[tokio::test]
async fn ten_thousand_random_requests_are_answered_as_the_router_says() {
    let mut chance = Chance::new(0x6e61_7274_6865_7801);
    let gw = Gateway::from_yaml(&objects(&mut chance)).await;
    let mut by_rule = 0;
    for set in 0..SETS {
        let snapshot = gw.now().snapshot.clone();
        let mut connection = gw.connect(80).await;
        for _ in 0..REQUESTS {
            let request = request(&mut chance);
            let expected = decide(&snapshot, &request);
            let call = request.headers.iter().fold(
                gw.call(
                    request.method,
                    &format!("http://{}{}", request.host, target(&request)),
                ),
                |call, (name, value)| call.header(name, value),
            );
            let response = call.send_on(&mut connection).await.expect("an answer");
            assert_eq!(answered(&response), expected, "set {set}: {request:?}");
            by_rule += usize::from(matches!(expected, Answer::Service(_)));
        }
        if set + 1 < SETS {
            gw.write_by_rename("objects.yaml", &objects(&mut chance))
                .live()
                .await;
        }
    }
    // The world is small enough for both kinds of answers to be common.
    assert!(
        (SETS * REQUESTS / 4..SETS * REQUESTS * 99 / 100).contains(&by_rule),
        "{by_rule} by a rule"
    );
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// A rule's own Service.
    Service(String),
    Status(u16),
}

fn decide(snapshot: &Snapshot, request: &RandomRequest) -> Answer {
    let bind = snapshot
        .binds
        .iter()
        .find(|bind| bind.address.port == 80)
        .expect("port 80");
    let socket: Socket<()> = Socket::build(bind, None, &mut |_: &std::sync::Arc<ir::Route>| ());
    let mut room = String::new();
    let path =
        router::path::read(request.path.as_bytes(), &snapshot.http.path, &mut room).expect("a fine path");
    let head = Head {
        method: request.method,
        host: &request.host,
        path: path.normal,
        query: request.query.as_deref(),
        headers: &request.headers,
    };
    let Some(answer) = socket.find(&head) else {
        return Answer::Status(404);
    };
    match &answer.found.rule().action {
        Action::Forward(backends) => match &backends[0].target {
            // `default/rule-3:80`
            Target::Upstream(id) => {
                let name = id.0.trim_start_matches("default/").trim_end_matches(":80");
                Answer::Service(name.to_owned())
            }
            Target::Broken { status, .. } => Answer::Status(*status),
        },
        Action::Status(status) => Answer::Status(*status),
        Action::Answer => panic!("no rule here answers by itself"),
    }
}

fn answered(response: &Response) -> Answer {
    match response.service() {
        Some(service) => Answer::Service(service),
        None => Answer::Status(response.code()),
    }
}

fn target(request: &RandomRequest) -> String {
    match &request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.clone(),
    }
}
