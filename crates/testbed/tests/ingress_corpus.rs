//! Plain Ingresses decide as ingress-nginx does, but for the differences that are written down with a reason:
//! `conformance/ingress-nginx/decisions.yaml`, replayed through translation and router, without sockets.

use ir::{Action, Bind, Certificate, Filter, HostPattern, Snapshot, Target, Transport};
use narthex_testbed::Authority;
use router::{Head, Socket};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use translate::{Object, Objects, Resolved, Settings, Translator};

#[test]
fn every_recorded_decision_is_made_again_or_differs_for_a_written_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/ingress-nginx/decisions.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let corpus: Corpus = serde_saphyr::from_str(&text).unwrap();
    let mut problems = String::new();
    let (mut requests, mut differing) = (0, 0);
    let mut reasons = BTreeSet::new();
    for case in &corpus.cases {
        let mut objects = standard_objects();
        let mut translator = Translator::new(settings());
        for (name, addresses) in &case.resolved {
            objects.resolved.insert(name.clone(), answer(addresses));
        }
        let mut number = 0;
        for stage in &case.stages {
            stage.objects.iter().for_each(|value| insert(&mut objects, value));
            for (name, hosts) in &stage.certificates {
                insert_certificate(&mut objects, name, hosts);
            }
            let snapshot = translator.translate(&objects, NOW).snapshot;
            for request in &stage.requests {
                requests += 1;
                let decided = decide(&snapshot, request);
                if decided != request.expected() {
                    let _ = writeln!(
                        problems,
                        "{}#{number}: {} {} is {decided:?} and should be {:?}",
                        case.id,
                        request.host,
                        request.path,
                        request.expected()
                    );
                }
                if let Some(theirs) = &request.nginx {
                    differing += 1;
                    let why = request.why.as_deref().unwrap_or_default();
                    assert!(corpus.reasons.contains_key(why), "{}: no reason {why:?}", case.id);
                    assert_ne!(theirs.decision(), decided, "{} is said to differ", case.id);
                    reasons.insert(why);
                }
                if let Some(expected) = &request.certificate {
                    let shown = shown_certificate(&snapshot, request);
                    if *expected != shown {
                        let _ = writeln!(problems, "{}: shows {shown:?} instead of {expected:?}", case.id);
                    }
                }
                number += 1;
            }
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
    assert_eq!(
        reasons.len(),
        corpus.reasons.len(),
        "a reason that nothing refers to"
    );
    println!(
        "{} cases, {requests} requests, {differing} of them differ on purpose",
        corpus.cases.len()
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    reasons: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "case")]
    id: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(default)]
    resolved: BTreeMap<String, Vec<IpAddr>>,
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    objects: Vec<Value>,
    #[serde(default)]
    certificates: BTreeMap<String, Vec<String>>,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    host: String,
    path: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    sni: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    at: Option<Vec<IpAddr>>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    certificate: Option<Names>,
    #[serde(default)]
    nginx: Option<Theirs>,
    #[serde(default)]
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theirs {
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    status: Option<u16>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Names {
    Word(String),
    List(Vec<String>),
}

#[derive(Debug, PartialEq)]
enum Decision {
    To(String, Option<Vec<IpAddr>>),
    Status(u16),
}

impl Request {
    fn expected(&self) -> Decision {
        match (&self.to, self.status) {
            (Some(service), None) => Decision::To(service.clone(), self.at.clone()),
            (None, Some(status)) => Decision::Status(status),
            _ => panic!("{}{}: either to or status", self.host, self.path),
        }
    }

    fn is_https(&self) -> bool {
        self.scheme.as_deref() == Some("https")
    }

    fn sni(&self) -> String {
        let host = self.host.split(':').next().unwrap_or_default();
        self.sni.as_deref().unwrap_or(host).to_ascii_lowercase()
    }
}

impl Theirs {
    fn decision(&self) -> Decision {
        match (&self.to, self.status) {
            (Some(service), None) => Decision::To(service.clone(), None),
            (_, status) => Decision::Status(status.unwrap_or_default()),
        }
    }
}

fn decide(snapshot: &Snapshot, request: &Request) -> Decision {
    let Some(bind) = bind(snapshot, request.is_https()) else {
        return Decision::Status(404);
    };
    let mut room = String::new();
    let Ok(host) = router::host::normalise(request.host.as_bytes(), &mut room) else {
        return Decision::Status(400);
    };
    // Bytes above 127 are written as the characters of the same number.
    let bytes: Vec<u8> = request
        .path
        .chars()
        .map(|byte| u8::try_from(byte).expect("a byte"))
        .collect();
    let mut parts = bytes.splitn(2, |byte| *byte == b'?');
    let raw = parts.next().unwrap_or_default();
    let query = parts
        .next()
        .map(|query| String::from_utf8_lossy(query).into_owned());
    let mut room = String::new();
    let Ok(path) = router::path::read(raw, &snapshot.http.path, &mut room) else {
        return Decision::Status(400);
    };
    let socket = Socket::build(bind, None, &mut |_: &Arc<ir::Route>| ());
    let answer = socket.find(&Head {
        method: request.method.as_deref().unwrap_or("GET"),
        host: host.name,
        path: path.normal,
        query: query.as_deref(),
        headers: &(),
    });
    let Some(answer) = answer else {
        return Decision::Status(404);
    };
    let rule = answer.found.rule();
    for filter in &*rule.filters {
        if let Filter::HttpsRedirect { status, .. } = filter
            && !request.is_https()
        {
            return Decision::Status(*status);
        }
    }
    match &rule.action {
        Action::Status(status) => Decision::Status(*status),
        Action::Answer => panic!("an Ingress has no filter that answers everything"),
        Action::Forward(backends) => match &backends[0].target {
            Target::Broken { status, .. } => Decision::Status(*status),
            Target::Upstream(id) => forwarded(snapshot, id, request),
        },
    }
}

fn forwarded(snapshot: &Snapshot, id: &ir::UpstreamId, request: &Request) -> Decision {
    let upstream = &snapshot.upstreams[id];
    if upstream.endpoints.is_empty() {
        return Decision::Status(503);
    }
    let addresses = upstream.endpoints.iter().map(|endpoint| endpoint.address.ip());
    Decision::To(
        upstream.origin.name.to_string(),
        request.at.is_some().then(|| addresses.collect()),
    )
}

fn shown_certificate(snapshot: &Snapshot, request: &Request) -> Names {
    let bind = bind(snapshot, true).expect("an Ingress is served with TLS too");
    let sni = request.sni();
    let hosts = bind.listeners.iter().flat_map(|listener| &listener.tls);
    let covering = hosts
        .filter(|host| host.hostname.matches(&sni) && (host.hostname == HostPattern::Any || !sni.is_empty()));
    let best = covering.min_by(|a, b| a.hostname.specificity(&b.hostname));
    let candidates = best.map_or(&bind.default_certificates, |host| &host.certificates);
    let id = candidates.first().expect("there is always a default certificate");
    if &*id.0 == DEFAULT {
        return Names::Word(DEFAULT.into());
    }
    Names::List(snapshot.certificates[id].names.clone())
}

fn bind(snapshot: &Snapshot, https: bool) -> Option<&Arc<Bind>> {
    let wanted = if https { Transport::Https } else { Transport::Http };
    snapshot.binds.iter().find(|bind| bind.transport == wanted)
}

fn settings() -> Settings {
    Settings {
        ingress_controller: "k8s.io/ingress-nginx".into(),
        fallback_certificate: Some(Certificate {
            id: ir::CertificateId(DEFAULT.into()),
            origin: ir::Origin::new("Narthex", "", DEFAULT),
            chain: Vec::new(),
            key: ir::PrivateKey(Vec::new()),
            staple: None,
            names: vec![DEFAULT.into()],
            not_after: i64::MAX,
            fingerprint: String::new(),
        }),
        ..Settings::default()
    }
}

fn answer(addresses: &[IpAddr]) -> Resolved {
    Resolved {
        addresses: addresses.to_vec(),
        error: addresses.is_empty().then(|| "no such name".to_owned()),
    }
}

fn standard_objects() -> Objects {
    let mut objects = Objects::default();
    insert(
        &mut objects,
        &json!({"kind": "IngressClass", "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}),
    );
    for (number, name) in ["svc-a", "svc-b", "svc-c"].into_iter().enumerate() {
        insert(
            &mut objects,
            &json!({"kind": "Service", "metadata": {"name": name},
                "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        );
        insert(
            &mut objects,
            &json!({"kind": "EndpointSlice",
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [format!("10.1.{}.1", number + 1)]}],
                "ports": [{"name": "http", "port": 8080}]}),
        );
    }
    objects
}

fn insert(objects: &mut Objects, value: &Value) {
    let mut value = value.clone();
    value["apiVersion"] = match value["kind"].as_str() {
        Some("Ingress" | "IngressClass") => "networking.k8s.io/v1",
        Some("EndpointSlice") => "discovery.k8s.io/v1",
        _ => "v1",
    }
    .into();
    let object = Object::from_value(&value).expect("an object of its kind");
    objects.insert(object.expect("a kind that is read"));
}

fn insert_certificate(objects: &mut Objects, name: &str, hosts: &[String]) {
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let narthex_testbed::Issued {
        chain: certificate,
        key,
        ..
    } = Authority::shared().issue(&hosts);
    insert(
        objects,
        &json!({"kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate, "tls.key": key}}),
    );
}

const DEFAULT: &str = "default";
/// 1 January 2027.
const NOW: i64 = 1_798_761_600;
