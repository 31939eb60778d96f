//! Bounds on what a connection of QUIC may hold, and the keys that all workers share.

use super::Signs;
use quinn::crypto::HandshakeTokenKey;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, ServerConfig, TransportConfig, VarInt};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Keys that live as long as the data plane: what one worker or socket gave out, another can read.
#[derive(Default)]
pub struct Secrets {
    signs: Signs,
    keys: OnceLock<Keys>,
}

struct Keys {
    /// Of address validation tokens (RFC 9000 §8.1.3).
    token: Arc<dyn HandshakeTokenKey>,
    /// Of stateless resets (RFC 9000 §10.3.2).
    reset: [u8; 64],
}

impl Secrets {
    /// Whose connection ids are whose.
    pub fn signs(&self) -> &Signs {
        &self.signs
    }

    fn keys(&self) -> &Keys {
        self.keys.get_or_init(|| {
            let (mut token, mut reset) = ([0; 64], [0; 64]);
            // Without randomness there is no TLS either.
            let _ = (
                aws_lc_rs::rand::fill(&mut token),
                aws_lc_rs::rand::fill(&mut reset),
            );
            let salt = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, &[]);
            Keys {
                token: Arc::new(salt.extract(&token)),
                reset,
            }
        })
    }

    /// Of the endpoint on the socket in this place.
    pub(super) fn endpoint(&self, place: u16) -> EndpointConfig {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &self.keys().reset);
        let mut config = EndpointConfig::new(Arc::new(key));
        let signs = self.signs.clone();
        config.cid_generator(move || {
            Box::new(super::cid::Ids {
                signs: signs.clone(),
                place,
            })
        });
        config
    }

    /// Of the connections that a bind accepts.
    pub(super) fn server(&self, crypto: Arc<QuicServerConfig>, http: &ir::HttpSettings) -> ServerConfig {
        let mut config = ServerConfig::new(crypto, Arc::clone(&self.keys().token));
        config
            .transport_config(Arc::new(transport(http)))
            .max_incoming(MOST_WAITING)
            .incoming_buffer_size(WAITING_BYTES)
            .incoming_buffer_size_total(WAITING_BYTES * MOST_WAITING as u64);
        config
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

fn transport(http: &ir::HttpSettings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    // Longer than a connection may wait for requests, so that it is we who end it, and say so. Who waits for us keeps it
    // alive (RFC 9114 §5.1), and so do we.
    let idle = http.timeouts.keep_alive.max(http.timeouts.send) + Duration::from_secs(5);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(http.limits.streams))
        .max_concurrent_uni_streams(VarInt::from_u32(MOST_UNI))
        .max_idle_timeout(idle.try_into().ok())
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(MOST_UNACKNOWLEDGED)
        .datagram_receive_buffer_size(None);
    transport
}

/// Content of one request that may wait for us: as for HTTP/2.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Content of all requests of a connection, likewise.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;
/// What of all responses of a connection the client has not acknowledged: 160 Mbit/s over 100 ms (Linux keeps up to 4 MiB for
/// a TCP connection).
const MOST_UNACKNOWLEDGED: u64 = 2 * 1024 * 1024;
/// Streams in one direction: control and two of QPACK (RFC 9114 §6.2), and some that are reserved for whatever.
const MOST_UNI: u32 = 16;
/// Connections that were not looked at yet. They are looked at at once.
const MOST_WAITING: usize = 1024;
/// What comes of one meanwhile: a ClientHello is two or three packets.
const WAITING_BYTES: u64 = 16 * 1024;
