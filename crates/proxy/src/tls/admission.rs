//! Whether a client that was let in may stay: whom a listener believes can change while connections are open, and a
//! connection outlives many changes.

use super::clients;
use super::settings::TlsBind;
use ir::ClientValidation;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// How a client came in, and what has become of that.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// The rule that it was last found to keep; none: nobody was checked.
    rule: RefCell<Option<Arc<ClientValidation>>>,
    /// What it showed, leaf first.
    chain: Box<[CertificateDer<'static>]>,
    /// The leaf in the words of `X-Forwarded-Client-Cert`.
    description: Option<Box<str>>,
    standing: Cell<Standing>,
    /// [`TlsBind::serial`] of the last look.
    seen: Cell<u64>,
}

/// What is thought of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// It may be here, and nobody says who it is.
    #[default]
    Stranger,
    /// An authority says who it is.
    Vouched,
    /// It would not be let in any more.
    Refused,
}

impl Admission {
    /// After a handshake under this rule, in which this chain was shown.
    pub(super) fn new(
        bind: &TlsBind,
        rule: Option<&Arc<ClientValidation>>,
        chain: Option<&[CertificateDer<'_>]>,
    ) -> Self {
        let chain = rule.and(chain).unwrap_or_default();
        let vouched = !chain.is_empty() && rule.is_some_and(|rule| !rule.insecure_fallback);
        Self {
            rule: RefCell::new(rule.cloned()),
            description: chain.first().map(|leaf| clients::description(leaf).into()),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            standing: Cell::new(if vouched {
                Standing::Vouched
            } else {
                Standing::Stranger
            }),
            seen: Cell::new(bind.serial),
        }
    }

    /// Looks whether it may send a request now. Costs a comparison as long as nothing changes.
    pub(crate) fn holds(&self, sni: Option<&str>, now: Option<&TlsBind>) -> bool {
        if let Some(now) = now
            && now.serial != self.seen.replace(now.serial)
        {
            self.look_again(sni, now);
        }
        !self.refused()
    }

    /// Whether it was turned away.
    pub(crate) fn refused(&self) -> bool {
        self.standing.get() == Standing::Refused
    }

    /// The client's certificate in the words of `X-Forwarded-Client-Cert`, if somebody vouches for it.
    pub fn client(&self) -> Option<&str> {
        let vouched = self.standing.get() == Standing::Vouched;
        self.description.as_deref().filter(|_| vouched)
    }

    fn look_again(&self, sni: Option<&str>, now: &TlsBind) {
        let rule = now.rule(sni);
        if *self.rule.borrow() == rule.map(|(rule, _)| Arc::clone(rule)) {
            return;
        }
        let standing = match rule {
            // Strangers are welcome: who has come with a certificate may stay as one of them.
            None => Standing::Stranger,
            Some((rule, _)) if rule.insecure_fallback => Standing::Stranger,
            Some((_, verifier)) => {
                let believed = self.chain.split_first().is_some_and(|(leaf, intermediates)| {
                    let checked = verifier.verify_client_cert(leaf, intermediates, UnixTime::now());
                    checked.is_ok()
                });
                if believed {
                    Standing::Vouched
                } else {
                    Standing::Refused
                }
            }
        };
        self.standing.set(standing);
        *self.rule.borrow_mut() = rule.map(|(rule, _)| Arc::clone(rule));
    }
}
