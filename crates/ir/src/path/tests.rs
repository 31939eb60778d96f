//! The path policy, line by line, and its laws on random paths.

use super::{PathError, is_normal, read, rule};
use crate::PathPolicy;

fn policy() -> PathPolicy {
    PathPolicy::default()
}

/// Normal form and forwarded form.
fn both(raw: &[u8], policy: &PathPolicy) -> Result<(String, String), PathError> {
    let mut room = String::new();
    read(raw, policy, &mut room).map(|path| (path.normal.to_owned(), path.forward.to_owned()))
}

#[test]
fn spellings_of_one_path_have_one_normal_form_and_are_forwarded_as_sent_where_that_is_safe() {
    for (raw, normal, forward) in [
        ("/", "/", "/"),
        ("/foo/bar.html", "/foo/bar.html", "/foo/bar.html"),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/...", "/...", "/..."),
        ("/a.b/..c", "/a.b/..c", "/a.b/..c"),
        // Escapes of characters that may stand in a path stand for them.
        ("/%66oo", "/foo", "/%66oo"),
        ("/%7Euser", "/~user", "/%7Euser"),
        ("/a%3Bb", "/a;b", "/a%3Bb"),
        ("/a:b@c", "/a:b@c", "/a:b@c"),
        // Other escapes stay, in upper case.
        ("/a%20b", "/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9", "/caf%c3%a9"),
        ("/a%2525", "/a%2525", "/a%2525"),
        ("/a%2e%252e", "/a.%252e", "/a%2e%252e"),
        ("/a%0d%0ab", "/a%0D%0Ab", "/a%0d%0ab"),
        ("/foo%3Fx", "/foo%3Fx", "/foo%3Fx"),
        // What should have been escaped is.
        ("/a|b[1]", "/a%7Cb%5B1%5D", "/a|b[1]"),
        ("/café", "/caf%C3%A9", "/caf%C3%A9"),
        // Escaped slashes and backslashes are data.
        ("/a%2Fb", "/a%2Fb", "/a%2Fb"),
        ("/a%2fb%5cc", "/a%2Fb%5Cc", "/a%2fb%5cc"),
        ("/api/queues/%2f/x", "/api/queues/%2F/x", "/api/queues/%2f/x"),
        // Slashes.
        ("/foo//bar", "/foo/bar", "/foo//bar"),
        ("/foo///", "/foo/", "/foo///"),
        (
            "/get/https://x.example/",
            "/get/https:/x.example/",
            "/get/https://x.example/",
        ),
        ("//foo", "/foo", "/foo"),
        ("///", "/", "/"),
        // Dot segments.
        ("/a/./b", "/a/b", "/a/b"),
        ("/a/../b", "/b", "/b"),
        ("/a/b/..", "/a/", "/a/"),
        ("/a/b/.", "/a/b/", "/a/b/"),
        ("/a/%2e%2E/b", "/b", "/b"),
        ("/a/.%2e/b", "/b", "/b"),
        ("/a//../b", "/b", "/b"),
        ("/a/..", "/", "/"),
        ("/.", "/", "/"),
        ("/a/../%61//b", "/a/b", "/a/b"),
    ] {
        let expected = Ok((normal.to_owned(), forward.to_owned()));
        assert_eq!(both(raw.as_bytes(), &policy()), expected, "{raw}");
        assert_eq!(is_normal(raw.as_bytes(), &policy()), raw == normal, "{raw}");
        assert!(is_normal(normal.as_bytes(), &policy()), "{normal}");
    }
    assert_eq!(
        both(b"/caf\xe9", &policy()),
        Ok(("/caf%E9".into(), "/caf%E9".into()))
    );
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (raw, error) in [
        (&b""[..], PathError::NoSlash),
        (b"foo", PathError::NoSlash),
        (b"*", PathError::NoSlash),
        (b"/a%", PathError::Escape),
        (b"/a%4", PathError::Escape),
        (b"/a%4g", PathError::Escape),
        (b"/%u002e", PathError::Escape),
        (b"/a b", PathError::Control),
        (b"/a\tb", PathError::Control),
        (b"/a\x01b", PathError::Control),
        (b"/a\x7fb", PathError::Control),
        (b"/a\0", PathError::Control),
        (b"/a%00", PathError::Control),
        (b"/a#b", PathError::Fragment),
        (b"/a?b", PathError::Fragment),
        (b"/a\\b", PathError::Backslash),
        (b"/..", PathError::AboveRoot),
        (b"/../a", PathError::AboveRoot),
        (b"/a/../../b", PathError::AboveRoot),
        (b"/%2e%2e/a", PathError::AboveRoot),
        (b"/a/..%2fadmin", PathError::HiddenDots),
        (b"/a/%2e%2e%2Fadmin", PathError::HiddenDots),
        (b"/a/x%5c..%5cadmin", PathError::HiddenDots),
        (b"/a/x%2f.", PathError::HiddenDots),
        (b"/a/..;/admin", PathError::HiddenDots),
        (b"/a/..;x=1/admin", PathError::HiddenDots),
        (b"/a/..%3b/admin", PathError::HiddenDots),
        (b"/a/.;/admin", PathError::HiddenDots),
        (b"/a/x%2f..;y", PathError::HiddenDots),
    ] {
        assert_eq!(both(raw, &policy()), Err(error), "{}", raw.escape_ascii());
        assert!(!is_normal(raw, &policy()));
    }
}

#[test]
fn the_policy_decides_about_repeated_and_escaped_slashes() {
    let apart = PathPolicy {
        merge_slashes: false,
        ..policy()
    };
    for (raw, normal) in [("//a//b/", "//a//b/"), ("/a//../b", "/a/b"), ("/a/..//b", "//b")] {
        assert_eq!(both(raw.as_bytes(), &apart).expect("normal").0, normal);
    }
    let strict = PathPolicy {
        refuse_escaped_slashes: true,
        ..policy()
    };
    for raw in ["/a%2Fb", "/a%2fb/c", "/a%5Cb"] {
        assert_eq!(both(raw.as_bytes(), &strict), Err(PathError::EscapedSlash));
    }
}

#[test]
fn a_rule_may_be_written_as_text() {
    for (text, normal) in [
        ("/foo", "/foo"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/café", "/caf%C3%A9"),
        ("/a\\b", "/a%5Cb"),
        ("/100%", "/100%25"),
        ("/a;b", "/a;b"),
        ("/a\"b", "/a%22b"),
        ("/what?#", "/what%3F%23"),
        ("//foo//bar/", "/foo/bar/"),
        ("/%66oo", "/foo"),
    ] {
        assert_eq!(rule(text, &policy()).as_deref(), Ok(normal), "{text}");
    }
    for text in ["/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.."] {
        assert_eq!(rule(text, &policy()), Err(PathError::Dots), "{text}");
    }
    assert_eq!(rule("foo", &policy()), Err(PathError::NoSlash));
}

/// A small generator (xorshift), so that failures can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[test]
fn the_normal_form_is_its_own_normal_form_whatever_comes_in() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let pieces: [&[u8]; 22] = [
        b"/", b"/", b"/", b".", b".", b"..", b"a", b"b", b"%2e", b"%2F", b"%2f", b"%5c", b"%41", b";",
        b"%3b", b"%", b"\\", b"\xc3", b" ", b"%00", b"|", b"%25",
    ];
    let mut accepted = 0;
    for _ in 0..50_000 {
        let mut raw = vec![b'/'];
        for _ in 0..dice.roll(10) {
            raw.extend_from_slice(pieces[dice.roll(pieces.len())]);
        }
        for merge_slashes in [true, false] {
            let policy = PathPolicy {
                merge_slashes,
                ..policy()
            };
            let Ok((normal, forward)) = both(&raw, &policy) else {
                continue;
            };
            accepted += 1;
            let shown = raw.escape_ascii();
            assert_eq!(
                both(normal.as_bytes(), &policy),
                Ok((normal.clone(), normal.clone())),
                "{shown}"
            );
            // Whoever reads what we forward by the same rules finds what we matched.
            assert_eq!(
                both(forward.as_bytes(), &policy).map(|path| path.0),
                Ok(normal.clone()),
                "{shown}"
            );
            assert!(
                normal.starts_with('/') && !normal.split('/').any(|s| s == "." || s == ".."),
                "{shown}"
            );
            assert!(!merge_slashes || !normal.contains("//"), "{shown}");
            assert!(!forward.split('/').any(|s| s == "." || s == ".."), "{shown}");
        }
    }
    assert!(
        accepted > 10_000,
        "the generator makes too few paths that are accepted: {accepted}"
    );
}
