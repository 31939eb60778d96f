//! What is fuzzed: every parser of bytes from the network or from users, and the table that strangers fill. Each target is a plain function that panics
//! when a property does not hold, so that it runs under libFuzzer and, over the corpus, in the tests.

mod bytes;
mod chunks;
mod fields;
mod flows;
mod frames;
mod heads;
mod hello;
mod http3;
mod objects;
mod routes;
mod spelling;
mod web;

pub use chunks::chunked;
pub use fields::{hpack, http2_head};
pub use flows::flows;
pub use frames::http2;
pub use heads::{proxy_header, request_head, response_head};
pub use hello::client_hello;
pub use http3::{http3_frames, qpack};
pub use objects::yaml;
pub use routes::router;
pub use spelling::uri;
pub use web::grpc_web;

/// A target: it panics if what it is given breaks a property.
pub type Target = fn(&[u8]);

/// All targets, by the name of their corpus.
pub const TARGETS: [(&str, Target); 15] = [
    ("request_head", request_head),
    ("response_head", response_head),
    ("chunked", chunked),
    ("http2", http2),
    ("http2_head", http2_head),
    ("hpack", hpack),
    ("grpc_web", grpc_web),
    ("proxy_header", proxy_header),
    ("uri", uri),
    ("yaml", yaml),
    ("router", router),
    ("client_hello", client_hello),
    ("flows", flows),
    ("http3_frames", http3_frames),
    ("qpack", qpack),
];
