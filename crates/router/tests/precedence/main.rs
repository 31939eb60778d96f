//! `docs/concepts/precedence.md`, sentence by sentence, and the traps that other gateways have fallen into.
//!
//! A row says which rules there are, which request comes, and which rule answers; see [`words`] for how they are
//! written.

mod words;

use words::{explain, misdirected, winner};

/// Each row: what it shows, the rules, requests with the rule that answers.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

fn check(rows: &[Row]) {
    for (sentence, rules, requests) in rows {
        for (request, expected) in *requests {
            assert_eq!(winner(rules, request), *expected, "{sentence}: {request}");
        }
    }
}

#[test]
fn hosts() {
    check(&[
        (
            "a route's host counts before its path",
            &[
                "gw any:* wide *.example.com prefix:/cart/items",
                "gw any:* narrow shop.example.com prefix:/",
            ],
            &[
                ("GET shop.example.com/cart/items", "narrow#0"),
                ("GET x.example.com/cart/items", "wide#0"),
            ],
        ),
        (
            "the longer wildcard wins, and no hostname comes last",
            &[
                "gw any:* none * prefix:/",
                "gw any:* short *.com prefix:/",
                "gw any:* long *.example.com prefix:/",
            ],
            &[
                ("GET a.example.com/", "long#0"),
                ("GET example.com/", "short#0"),
                ("GET localhost/", "none#0"),
                ("GET /", "none#0"),
            ],
        ),
        (
            "a Gateway wildcard covers many labels, an Ingress wildcard one",
            &[
                "gw any:* gateway *.g.com prefix:/",
                "ingress ing *.i.com prefix:/",
            ],
            &[
                ("GET a.b.g.com/", "gateway#0"),
                ("GET a.i.com/", "ing#0"),
                ("GET a.b.i.com/", "none"),
                ("GET i.com/", "none"),
            ],
        ),
        (
            "Gateway API: a request that a more specific host does not match falls through",
            &["gw any:* narrow a.com exact:/x", "gw any:* wide *.com prefix:/"],
            &[("GET a.com/x", "narrow#0"), ("GET a.com/y", "wide#0")],
        ),
        (
            "Ingress: the most specific host hides the others even if no path matches",
            &[
                "ingress narrow a.b.com exact:/x",
                "ingress wide *.b.com prefix:/",
                "ingress none * prefix:/",
            ],
            &[
                ("GET a.b.com/x", "narrow#0"),
                ("GET a.b.com/y", "none"),
                ("GET c.b.com/y", "wide#0"),
                ("GET d.com/y", "none#0"),
            ],
        ),
        (
            "the rules of several Ingresses for one host are merged",
            &[
                "ingress one a.com prefix:/foo",
                "ingress two a.com prefix:/foo/bar",
                "ingress two a.com prefix:/",
            ],
            &[
                ("GET a.com/foo/x", "one#0"),
                ("GET a.com/foo/bar", "two#0"),
                ("GET a.com/x", "two#1"),
            ],
        ),
    ]);
}

#[test]
fn listeners() {
    check(&[
        (
            "routes of a less specific listener are not tried",
            &[
                "gw wide:*.example.com r1 * prefix:/",
                "gw narrow:a.example.com r2 * prefix:/x",
                "gw any:* r3 * prefix:/",
            ],
            &[
                ("GET a.example.com/x", "r2#0"),
                ("GET a.example.com/y", "none"),
                ("GET b.example.com/y", "r1#0"),
                ("GET other.com/y", "r3#0"),
            ],
        ),
        (
            "the routes' own hostnames are compared, not what the listener leaves of them",
            &[
                "gw l:abc.example.com old *.example.com prefix:/path/prefix age=1",
                "gw l:abc.example.com new abc.example.com prefix:/path age=2",
            ],
            &[
                ("GET abc.example.com/path/prefix", "new#0"),
                ("GET abc.example.com/else", "none"),
            ],
        ),
    ]);
}

#[test]
fn paths() {
    check(&[
        (
            "exact, then expression, then the longest prefix",
            &[
                "gw any:* r * prefix:/",
                "gw any:* r * prefix:/match",
                "gw any:* r * regex:/match/[a-z]+",
                "gw any:* r * exact:/match/exact",
                "gw any:* r * prefix:/match/exact/longer",
            ],
            &[
                ("GET h/match/exact", "r#3"),
                ("GET h/match/other", "r#2"),
                ("GET h/match/exact/longer", "r#4"),
                ("GET h/match/1", "r#1"),
                ("GET h/x", "r#0"),
            ],
        ),
        (
            "an exact path wins over a prefix of equal length",
            &["gw any:* p * prefix:/foo age=1", "gw any:* e * exact:/foo age=2"],
            &[("GET h/foo", "e#0"), ("GET h/foo/", "p#0")],
        ),
        (
            "a prefix matches by element, with or without a slash at its end",
            &["gw any:* r * prefix:/foo/"],
            &[
                ("GET h/foo", "r#0"),
                ("GET h/foo/", "r#0"),
                ("GET h/foo/bar", "r#0"),
                ("GET h/foobar", "none"),
                ("GET h/FOO", "none"),
            ],
        ),
        (
            "exact is exact",
            &["gw any:* r * exact:/foo/", "gw any:* r * exact:/"],
            &[
                ("GET h/foo", "none"),
                ("GET h/foo/", "r#0"),
                ("GET h/", "r#1"),
                ("GET h/x", "none"),
            ],
        ),
        (
            "an expression matches the whole path, whichever alternative comes first",
            &["gw any:* r * regex:/a|/ab"],
            &[
                ("GET h/ab", "r#0"),
                ("GET h/a", "r#0"),
                ("GET h/abc", "none"),
                ("GET h/x/a", "none"),
            ],
        ),
        (
            "of two expressions the longer one wins",
            &[
                "gw any:* a * regex:/[a-z]+ age=1",
                "gw any:* b * regex:/[a-z]+/? age=2",
            ],
            &[("GET h/abc", "b#0")],
        ),
        (
            "of two equally long expressions the general order decides",
            &[
                "gw any:* a * regex:/[a-z]+ age=1",
                "gw any:* b * regex:/[a-z]* h:x=1 age=2",
            ],
            &[("GET h/abc h:x=1", "b#0"), ("GET h/abc", "a#0")],
        ),
    ]);
}

#[test]
fn method_headers_query_age_name_order() {
    check(&[
        (
            "a method counts before header fields, these before query parameters",
            &[
                "gw any:* q * prefix:/ q:a=1 q:b=2 q:c=3 age=1",
                "gw any:* h * prefix:/ h:x=1 h:y=2 age=2",
                "gw any:* h1 * prefix:/ h:x=1 q:a=1 q:b=2 age=2",
                "gw any:* m * prefix:/ GET age=3",
            ],
            &[
                ("GET h/?a=1&b=2&c=3 h:x=1 h:y=2", "m#0"),
                ("POST h/?a=1&b=2&c=3 h:x=1 h:y=2", "h#0"),
                ("POST h/?a=1&b=2&c=3 h:x=1", "h1#0"),
                ("POST h/?a=1&b=2&c=3", "q#0"),
                ("POST h/", "none"),
            ],
        ),
        (
            "the path counts before the method",
            &["gw any:* short * prefix:/ GET", "gw any:* long * prefix:/x"],
            &[("GET h/x", "long#0")],
        ),
        (
            "the oldest route wins a tie, whatever its name and rule order",
            &["gw any:* a * prefix:/ age=2", "gw any:* b * prefix:/ age=1"],
            &[("GET h/", "b#0")],
        ),
        (
            "then the first by namespace/name, compared as one text",
            &["gw any:* a/x * prefix:/", "gw any:* a-b/y * prefix:/"],
            &[("GET h/", "a-b/y#0")],
        ),
        (
            "then the first rule of the object",
            &[
                "gw any:* r * prefix:/ h:x=1",
                "gw any:* r * prefix:/ h:x=1",
                "gw any:* r * prefix:/ h:y=1",
            ],
            &[("GET h/ h:x=1 h:y=1", "r#0"), ("GET h/ h:y=1", "r#2")],
        ),
    ]);
}

#[test]
fn values() {
    check(&[
        (
            "several fields of a name are joined with a comma",
            &["gw any:* r * prefix:/ h:x=1,2", "gw any:* s * prefix:/ h:x=1"],
            &[
                ("GET h/ h:x=1 h:X=2", "r#0"),
                ("GET h/ h:x=1", "s#0"),
                ("GET h/ h:x=2 h:x=1", "none"),
            ],
        ),
        (
            "the first parameter of a name counts, decoded; names are case-sensitive",
            &["gw any:* r * prefix:/ q:a=x"],
            &[
                ("GET h/?a=x&a=y", "r#0"),
                ("GET h/?a=y&a=x", "none"),
                ("GET h/?a=%78", "r#0"),
                ("GET h/?A=x", "none"),
                ("GET h/?b=a=x", "none"),
                ("GET h/", "none"),
            ],
        ),
        (
            "methods are case-sensitive, and HEAD is not GET",
            &["gw any:* r * prefix:/ GET"],
            &[("GET h/", "r#0"), ("get h/", "none"), ("HEAD h/", "none")],
        ),
    ]);
}

#[test]
fn between_ingress_and_gateway() {
    check(&[
        (
            "same host and path: the HTTPRoute wins, whatever age",
            &[
                "ingress ing a.com prefix:/ age=1",
                "gw any:* gateway a.com prefix:/ age=2",
            ],
            &[("GET a.com/", "gateway#0")],
        ),
        (
            "an HTTPRoute for / takes nothing from an Ingress for /api of the same host",
            &[
                "ingress ing a.com prefix:/",
                "ingress ing a.com prefix:/api",
                "gw any:* gateway a.com prefix:/",
            ],
            &[("GET a.com/api/x", "ing#1"), ("GET a.com/cart", "gateway#0")],
        ),
        (
            "an HTTPRoute takes one path of an Ingress",
            &[
                "ingress ing a.com prefix:/",
                "ingress ing a.com prefix:/api",
                "gw any:* gateway a.com prefix:/api",
            ],
            &[("GET a.com/api/x", "gateway#0"), ("GET a.com/cart", "ing#0")],
        ),
        (
            "a canary by header on the same path takes only what it asks for",
            &[
                "ingress ing a.com prefix:/api",
                "gw any:* gateway a.com prefix:/api h:x-canary=1",
            ],
            &[
                ("GET a.com/api h:x-canary=1", "gateway#0"),
                ("GET a.com/api", "ing#0"),
            ],
        ),
        (
            "the host counts before the path",
            &[
                "ingress ing a.example.com prefix:/",
                "gw any:* gateway *.example.com prefix:/api",
            ],
            &[
                ("GET a.example.com/api", "ing#0"),
                ("GET b.example.com/api", "gateway#0"),
            ],
        ),
        (
            "wildcards of one suffix are equal in both layers",
            &[
                "ingress ing *.example.com prefix:/api",
                "gw any:* gateway *.example.com prefix:/",
            ],
            &[
                ("GET a.example.com/api", "ing#0"),
                ("GET a.example.com/", "gateway#0"),
                ("GET a.b.example.com/api", "gateway#0"),
            ],
        ),
        (
            "a route without hostname is for its listener's hostname",
            &["ingress ing a.com prefix:/", "gw l:a.com gateway * prefix:/"],
            &[("GET a.com/", "gateway#0")],
        ),
        (
            "a route without hostname on a listener without one yields to an Ingress for the host",
            &["ingress ing a.com prefix:/", "gw any:* gateway * prefix:/api"],
            &[("GET a.com/api", "ing#0"), ("GET b.com/api", "gateway#0")],
        ),
        (
            "what an Ingress hides from itself, a Gateway may answer",
            &["ingress ing a.com exact:/x", "gw any:* gateway * prefix:/"],
            &[("GET a.com/y", "gateway#0")],
        ),
    ]);
}

#[test]
fn a_request_for_the_host_of_another_listener_than_the_connections_is_misdirected() {
    let rules = [
        "gw narrow:a.example.com r1 * prefix:/",
        "gw wide:*.example.com r2 * prefix:/",
        "ingress ing shop.com prefix:/",
    ];
    for (sni, host, expected) in [
        (Some("a.example.com"), "a.example.com", false),
        (Some("a.example.com"), "b.example.com", true),
        (Some("b.example.com"), "c.example.com", false),
        (Some("b.example.com"), "a.example.com", true),
        (Some("a.example.com"), "shop.com", false),
        (Some("shop.com"), "a.example.com", true),
        (Some("a.example.com"), "unknown.org", false),
        (None, "a.example.com", true),
        (None, "shop.com", false),
    ] {
        assert_eq!(misdirected(&rules, sni, host), expected, "{sni:?} {host}");
    }
}

#[test]
fn a_rule_that_cannot_be_used_matches_nothing_and_is_named() {
    let rules = [
        "gw any:* r * regex:/a(",
        "gw any:* r * prefix:/ h:x~(",
        "gw any:* r * exact:nonsense",
        "gw any:* s * prefix:/",
    ];
    assert_eq!(winner(&rules, "GET h/a( h:x=1"), "s#0");
    let unusable = words::unusable(&rules);
    assert_eq!(unusable, ["r#0", "r#1", "r#2"]);
}

#[test]
fn an_explanation_says_why_each_rule_lost() {
    let rules = [
        "gw any:* r * prefix:/cart POST",
        "gw any:* r * prefix:/cart h:x=1",
        "gw any:* r * prefix:/cart h:y=1",
        "gw any:* r * prefix:/cart q:a=1",
        "gw any:* r * prefix:/cart",
        "gw any:* r * prefix:/",
        "gw any:* r * exact:/other",
        "gw any:* r * prefix:/cart",
        "gw other:cart.org none * prefix:/",
        "ingress ing shop.com prefix:/",
    ];
    assert_eq!(
        explain(&rules, "GET shop.com/cart/1?a=2 h:y=2"),
        [
            "listener any: Chosen",
            "listener ingress: Chosen",
            "Gateway *: Matched",
            "r#6: Path",
            "r#0: Method",
            "r#1: HeaderMissing { name: \"x\" }",
            "r#2: HeaderDiffers { name: \"y\", value: \"2\" }",
            "r#3: QueryDiffers { name: \"a\", value: \"2\" }",
            "r#4: BeatenByOtherLayer",
            "r#7: Beaten { by: Order }",
            "r#5: Beaten { by: Path }",
            "Ingress shop.com: Matched",
            "ing#0: Won",
            "winner: ing#0 over the other layer by Host",
        ]
    );
}
