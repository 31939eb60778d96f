//! Golden translations: every directory `golden/<area>/<case>/` holds objects (`in.yaml`, whose first line says what
//! the case shows), perhaps `settings.yaml`, and what the translation must make of them: `snapshot.yaml`,
//! `status.yaml`, `diagnostics.yaml`, and `services.yaml` where Gateways have Services. `cargo xtask bless` writes these; read the difference before committing.
//!
//! They are written for reading: an origin is one word (`HTTPRoute shop/cart#rules[0]`), a condition one line, and
//! what is empty, unset, false or a default setting is left out.

use narthex_translate::{
    GatewayServices, Key, Object, Objects, Resolved, ServiceType, Settings, Translation, Translator,
};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[test]
fn every_case_translates_to_what_its_directory_says() {
    let bless = std::env::var_os("NARTHEX_BLESS").is_some();
    let mut failures = String::new();
    let cases = cases();
    assert!(!cases.is_empty(), "no golden case found");
    for case in &cases {
        if let Err(problem) = run(case, bless) {
            let name = case.strip_prefix(root()).unwrap_or(case).display();
            let _ = writeln!(failures, "\n== {name}\n{problem}");
        }
    }
    assert!(
        failures.is_empty(),
        "{failures}\nIf the new output is right: cargo xtask bless"
    );
}

/// `settings.yaml` of a case.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CaseSettings {
    /// Seconds since 1970.
    now: Option<i64>,
    bind: Vec<IpAddr>,
    http_port: Option<u16>,
    https_port: Option<u16>,
    ingress_class: Option<String>,
    watch_ingress_without_class: bool,
    /// `namespace/name`
    default_certificate: Option<String>,
    tls_policy: Option<String>,
    /// `namespace/name`
    ticket_secret: Option<String>,
    /// `namespace/name`
    tcp_services: Option<String>,
    /// `namespace/name`
    udp_services: Option<String>,
    proxy_protocol_ports: Vec<u16>,
    allow_local_external_names: bool,
    status_addresses: Vec<IpAddr>,
    address_pool: Vec<ipnet::IpNet>,
    /// Type of the Services that Gateways have.
    gateway_services: Option<String>,
    /// Answers for external names.
    resolved: std::collections::BTreeMap<String, Vec<IpAddr>>,
    /// The API server has no ClusterTrustBundles.
    without_trust_bundles: bool,
}

fn run(case: &Path, bless: bool) -> Result<(), String> {
    let text = fs::read_to_string(case.join("in.yaml")).map_err(|error| error.to_string())?;
    if !text.starts_with("# ") {
        return Err("in.yaml does not begin with a comment that says what it shows".into());
    }
    let mut objects = objects(&text)?;
    let given = case_settings(case)?;
    for (name, addresses) in &given.resolved {
        let resolved = Resolved {
            addresses: addresses.clone(),
            error: None,
        };
        objects.resolved.insert(name.clone(), resolved);
    }
    if given.without_trust_bundles {
        objects.absent.insert("ClusterTrustBundle");
    }
    let now = given.now.unwrap_or(NOW);
    let mut translator = Translator::new(settings(given)?);
    let first = translator.translate(&objects, now);
    let got = render(&first);
    if render(&translator.translate(&objects, now)) != got {
        return Err("the second translation of the same objects differs from the first".into());
    }
    let mut differences = String::new();
    for (name, got) in got {
        let path = case.join(name);
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected == got {
            continue;
        }
        if bless && got.is_empty() {
            fs::remove_file(&path).map_err(|error| error.to_string())?;
        } else if bless {
            fs::write(&path, got).map_err(|error| error.to_string())?;
        } else {
            let _ = writeln!(differences, "-- {name}\n{}", difference(&expected, &got));
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

fn objects(text: &str) -> Result<Objects, String> {
    let mut objects = Objects::default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    for document in documents.iter().filter(|document| !document.is_null()) {
        match Object::from_value(document).map_err(|error| error.to_string())? {
            Some(object) => drop(objects.insert(object)),
            None => return Err(format!("unknown kind {}", document["kind"])),
        }
    }
    Ok(objects)
}

fn case_settings(case: &Path) -> Result<CaseSettings, String> {
    let Ok(text) = fs::read_to_string(case.join("settings.yaml")) else {
        return Ok(CaseSettings::default());
    };
    serde_saphyr::from_str(&text).map_err(|error| error.to_string())
}

fn settings(given: CaseSettings) -> Result<Settings, String> {
    let defaults = Settings::default();
    let key = |text: &Option<String>| match text.as_deref().map(|text| text.split_once('/')) {
        None => Ok(None),
        Some(Some((namespace, name))) => Ok(Some(Key::new(namespace, name))),
        Some(None) => Err("a name in settings.yaml is not namespace/name"),
    };
    Ok(Settings {
        http_port: given.http_port.unwrap_or(defaults.http_port),
        https_port: given.https_port.unwrap_or(defaults.https_port),
        bind: given.bind,
        tls_policy: given
            .tls_policy
            .as_deref()
            .and_then(ir::TlsPolicy::named)
            .unwrap_or_default(),
        ticket_secret: key(&given.ticket_secret)?,
        ingress_class: given.ingress_class,
        watch_ingress_without_class: given.watch_ingress_without_class,
        default_certificate: key(&given.default_certificate)?,
        tcp_services: key(&given.tcp_services)?,
        udp_services: key(&given.udp_services)?,
        proxy_protocol_ports: given.proxy_protocol_ports,
        allow_local_external_names: given.allow_local_external_names,
        status_addresses: given.status_addresses,
        address_pool: given.address_pool,
        gateway_services: given.gateway_services.map(|kind| GatewayServices {
            kind: ServiceType::from(kind),
            ports: 20000..=29999,
        }),
        ..defaults
    })
}

fn render(translation: &Translation) -> [(&'static str, String); 4] {
    let mut snapshot = serde_json::to_value(&translation.snapshot).expect("a snapshot is plain data");
    let http = serde_json::to_value(ir::HttpSettings::default()).expect("settings are plain data");
    let upstream = serde_json::to_value(ir::UpstreamSettings::default()).expect("settings are plain data");
    if snapshot["http"] == http {
        snapshot["http"] = Value::Null;
    }
    if let Some(upstreams) = snapshot["upstreams"].as_object_mut() {
        for (_, value) in upstreams.iter_mut() {
            if value["settings"] == upstream {
                value["settings"] = Value::Null;
            }
        }
    }
    let statuses = serde_json::to_value(&translation.statuses).expect("statuses are plain data");
    let diagnostics = serde_json::to_value(&translation.diagnostics).expect("diagnostics are plain data");
    let services = translation.services.wanted.iter();
    let mut services: Vec<_> = services
        .map(|service| serde_json::to_value(service).expect("a Service is plain data"))
        .collect();
    for gateway in &translation.services.elsewhere {
        services.push(Value::String(format!("none for Gateway {gateway}")));
    }
    [
        ("services.yaml", Value::Array(services)),
        ("snapshot.yaml", snapshot),
        ("status.yaml", statuses),
        ("diagnostics.yaml", diagnostics),
    ]
    .map(|(name, value)| {
        let value = readable(value).unwrap_or_else(|| Value::Array(Vec::new()));
        if name == "services.yaml" && value.as_array().is_some_and(Vec::is_empty) {
            return (name, String::new());
        }
        let text = serde_saphyr::to_string(&value).expect("plain values can be written");
        (name, text)
    })
}

/// Folds origins and conditions into one line each and leaves out what says nothing.
fn readable(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Array(items) => {
            let items: Vec<Value> = items.into_iter().filter_map(readable).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(fields) => {
            if let Some(line) = origin(&fields).or_else(|| condition(&fields)) {
                return Some(Value::String(line));
            }
            let fields = fields
                .into_iter()
                // The list is long and the same in every case; a test of its own looks at it.
                .filter(|(name, _)| name != "supportedFeatures")
                .filter_map(|(name, value)| Some((name, readable(value)?)));
            let fields: serde_json::Map<_, _> = fields.collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        other => Some(other),
    }
}

fn origin(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    if fields
        .keys()
        .any(|name| !["kind", "namespace", "name", "section"].contains(&name.as_str()))
    {
        return None;
    }
    let origin = ir::Origin::new(word("kind")?, word("namespace")?, word("name")?);
    Some(match word("section") {
        Some(section) => origin.section(section).to_string(),
        None => origin.to_string(),
    })
}

fn condition(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    let generation = fields.get("observedGeneration")?;
    Some(format!(
        "{}={} {} (generation {generation}): {}",
        word("type")?,
        word("status")?,
        word("reason")?,
        word("message")?
    ))
}

/// Lines of one that the other does not have, in order.
fn difference(expected: &str, got: &str) -> String {
    let mut text = String::new();
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    for line in old.iter().filter(|line| !new.contains(line)) {
        let _ = writeln!(text, "  - {line}");
    }
    for line in new.iter().filter(|line| !old.contains(line)) {
        let _ = writeln!(text, "  + {line}");
    }
    if text.is_empty() {
        text.push_str("  (the same lines in another order)\n");
    }
    text
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = directories(&root())
        .iter()
        .flat_map(|area| directories(area))
        .collect();
    cases.sort();
    cases
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("golden directories can be listed");
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// 1 January 2027.
const NOW: i64 = 1_798_761_600;
