//! Spellings of paths and hosts.

use ir::PathPolicy;
use router::{host, path};

/// A path and a host: never a panic; normal forms stay as they are; no dot segment is left; what is forwarded means
/// the same as what was matched.
pub fn uri(bytes: &[u8]) {
    let (policy, bytes) = match bytes.split_first() {
        Some((first, rest)) => {
            let policy = PathPolicy {
                merge_slashes: first & 1 == 0,
                refuse_escaped_slashes: first & 2 != 0,
            };
            (policy, rest)
        }
        None => (PathPolicy::default(), bytes),
    };
    let mut room = String::new();
    if let Ok(read) = path::read(bytes, &policy, &mut room) {
        let (normal, forward) = (read.normal.to_owned(), read.forward.to_owned());
        assert_normal(&normal, &policy);
        assert!(path::is_normal(normal.as_bytes(), &policy), "{normal}");
        let mut room = String::new();
        let again = path::read(normal.as_bytes(), &policy, &mut room);
        assert_eq!(
            again.map(|path| path.normal.to_owned()),
            Ok(normal.clone()),
            "not idempotent"
        );
        let mut room = String::new();
        let forwarded = path::read(forward.as_bytes(), &policy, &mut room);
        assert_eq!(
            forwarded.map(|path| path.normal.to_owned()),
            Ok(normal),
            "forwarded as {forward}"
        );
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(rule) = path::rule(text, &policy)
    {
        assert_eq!(
            path::rule(&rule, &policy).as_ref(),
            Ok(&rule),
            "a rule's path is not idempotent"
        );
    }
    let mut room = String::new();
    if let Ok(read) = host::normalise(bytes, &mut room) {
        let name = read.name.to_owned();
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
        let mut room = String::new();
        let again = host::normalise(name.as_bytes(), &mut room).map(|host| (host.name.to_owned(), host.port));
        assert_eq!(again, Ok((name, None)), "not idempotent");
    }
}

fn assert_normal(path: &str, policy: &PathPolicy) {
    assert!(path.starts_with('/'), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    assert!(
        !path.split('/').any(|segment| segment == "." || segment == ".."),
        "{path}"
    );
    assert!(!policy.merge_slashes || !path.contains("//"), "{path}");
    assert!(!path.contains(['?', '#', '\\']), "{path}");
}
