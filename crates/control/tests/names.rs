//! ExternalName Services, with a resolver of our own that speaks DNS over UDP.
#![allow(clippy::unwrap_used)] // in a test

mod support;

use narthex_control::{ControlOptions, Live};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Followed, ingress, write};

/// What the resolver answers: addresses and time to live; unset: SERVFAIL.
type Answer = Option<(Vec<[u8; 4]>, u32)>;

struct Resolver {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resolver {
    fn start(answer: Answer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, names) = (Arc::clone(&answer), Arc::clone(&asked));
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let (name, end) = question(&query[..length]);
                let reply = reply(&query[..end], &answers.lock().unwrap());
                names.lock().unwrap().push(name);
                let _ = socket.send_to(&reply, client);
            }
        });
        Self {
            address,
            answer,
            asked,
        }
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }
}

/// RFC 1035 §4.1.2: the name asked for, and where the question ends.
fn question(query: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// Answers questions for A; to any other there is no record.
fn reply(query: &[u8], answer: &Answer) -> Vec<u8> {
    let mut reply = query.to_vec();
    let is_a = query[query.len() - 4..query.len() - 2] == [0, 1];
    let code = if answer.is_some() { 0x80 } else { 0x82 };
    reply[2] = 0x81;
    reply[3] = code;
    let records = match answer {
        Some((addresses, ttl)) if is_a => addresses.iter().map(|address| (*address, *ttl)).collect(),
        _ => Vec::new(),
    };
    reply[6..12].copy_from_slice(&[0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    for (address, ttl) in records {
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address);
    }
    reply
}

fn addresses(live: &Live) -> Vec<IpAddr> {
    let endpoints = live
        .snapshot
        .upstreams
        .values()
        .flat_map(|upstream| upstream.endpoints.iter());
    endpoints.map(|endpoint| endpoint.address.ip()).collect()
}

#[tokio::test]
async fn an_external_name_follows_its_answers_and_keeps_the_last_good_one() {
    let resolver = Resolver::start(Some((vec![[192, 0, 2, 1]], 1)));
    let directory = tempfile::tempdir().unwrap();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: ExternalName, externalName: db.example.com, ports: [{port: 80}]}\n";
    write(
        &directory.path().join("x.yaml"),
        &format!("{}---\n{service}", ingress("a", "a.example")),
    );
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.dns.servers = vec![resolver.address];
    options.rescan = Duration::from_secs(3600);
    let followed = Followed::with(directory, options).await;
    followed
        .until(|live| addresses(live) == [IpAddr::from([192, 0, 2, 1])])
        .await;
    assert!(
        resolver
            .asked
            .lock()
            .unwrap()
            .iter()
            .all(|name| name.eq_ignore_ascii_case("db.example.com"))
    );
    // After its time to live it is asked for again.
    resolver.set(Some((vec![[192, 0, 2, 3], [192, 0, 2, 2]], 1)));
    followed
        .until(|live| addresses(live) == [IpAddr::from([192, 0, 2, 2]), IpAddr::from([192, 0, 2, 3])])
        .await;
    resolver.set(None);
    let unresolved = |live: &Live| {
        live.diagnostics
            .iter()
            .any(|finding| finding.code.as_str() == "NTX0602")
    };
    let live = followed.until(unresolved).await;
    assert_eq!(addresses(&live).len(), 2);
    resolver.set(Some((vec![[192, 0, 2, 4]], 3600)));
    let live = followed
        .until(|live| addresses(live) == [IpAddr::from([192, 0, 2, 4])])
        .await;
    assert!(!unresolved(&live));
}
