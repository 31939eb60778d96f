//! Endpoints of flags and the built-in echo, while files change.
#![allow(clippy::unwrap_used)] // in a test

mod support;

use narthex_control::{ControlOptions, EchoAddresses, Live, Publish, Published, State};
use std::net::SocketAddr;
use support::{Followed, ingress, write};

struct Echo;

impl EchoAddresses for Echo {
    fn address(&self, _namespace: &str, service: &str, port: u16) -> std::io::Result<SocketAddr> {
        Ok(SocketAddr::from((
            [127, 0, 0, 1],
            20_000 + port + service.len() as u16,
        )))
    }
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n"
    )
}

fn slice(name: &str, address: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nendpoints: [{{addresses: [{address}]}}]\nports: [{{name: http, port: 8080}}]\n"
    )
}

fn endpoints(live: &Live) -> Vec<String> {
    let upstreams = live.snapshot.upstreams.values();
    let endpoints = upstreams.flat_map(|upstream| upstream.endpoints.iter());
    endpoints.map(|endpoint| endpoint.address.to_string()).collect()
}

#[tokio::test]
async fn the_echo_serves_a_service_until_real_endpoints_come() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("a.yaml"), &ingress("a", "a.example"));
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.echo = Some(Box::new(Echo));
    let followed = Followed::with(directory, options).await;
    assert!(endpoints(&followed.state.live()).is_empty());
    followed.write("web.yaml", &service("web"));
    followed
        .until(|live| endpoints(live) == ["127.0.0.1:20083"])
        .await;
    followed.write("slice.yaml", &slice("web", "127.0.0.9"));
    followed.until(|live| endpoints(live) == ["127.0.0.9:8080"]).await;
    std::fs::remove_file(followed.path("slice.yaml")).unwrap();
    followed
        .until(|live| endpoints(live) == ["127.0.0.1:20083"])
        .await;
}

#[tokio::test]
async fn an_endpoint_of_a_flag_replaces_real_ones_as_soon_as_its_service_exists() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write(&root.join("a.yaml"), &ingress("a", "a.example"));
    write(&root.join("slice.yaml"), &slice("web", "127.0.0.9"));
    let mut options = ControlOptions::new(vec![root.to_owned()]);
    options.endpoints = vec!["default/web:http=127.0.0.1:7,[::1]:7".parse().unwrap()];
    let followed = Followed::with(directory, options).await;
    let live = followed.state.live();
    let unknown = live
        .diagnostics
        .iter()
        .find(|finding| finding.origin.name.contains("default/web:http"));
    assert!(
        unknown
            .unwrap()
            .message
            .contains("--endpoint names Service default/web, which does not exist")
    );
    followed.write("web.yaml", &service("web"));
    let live = followed
        .until(|live| endpoints(live) == ["127.0.0.1:7", "[::1]:7"])
        .await;
    assert!(
        live.diagnostics
            .iter()
            .all(|finding| !finding.message.contains("--endpoint"))
    );
}

/// Fails to open a socket as long as it is told to.
struct Busy(tokio::sync::watch::Receiver<bool>);

impl Publish for Busy {
    async fn publish(&mut self, _published: Published) -> narthex_control::ApplyReport {
        let mut report = narthex_control::ApplyReport::default();
        if *self.0.borrow() {
            report.failed_binds.push(("*:80".into(), "Address in use".into()));
        }
        report
    }
}

#[tokio::test]
async fn a_socket_that_could_not_be_opened_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("a.yaml"), &ingress("a", "a.example"));
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.rescan = std::time::Duration::from_millis(20);
    let state = State::new();
    let (busy, is_busy) = tokio::sync::watch::channel(true);
    let watched = async {
        let live = state.until(|live| live.generation > 0).await;
        assert_eq!(
            live.error.as_deref(),
            Some("can't listen on *:80: Address in use")
        );
        busy.send_replace(false);
        state.until(|live| live.error.is_none()).await;
    };
    tokio::select! {
        () = narthex_control::run(options, Busy(is_busy), std::sync::Arc::clone(&state)) => {}
        () = watched => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("not tried again"),
    }
}
