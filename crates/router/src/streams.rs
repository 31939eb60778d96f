//! Which route forwards a stream: the only listener's on TCP and UDP, chosen by SNI on TLS. Pure, as everything here.
//!
//! On a TLS socket HTTPS listeners and stream listeners stand side by side. The most specific listener for the name
//! takes the connection, as for HTTP; among the routes of a stream listener the most specific hostname of their own
//! counts, then age. Names for which Ingresses have certificates stay with Ingress unless a route is as specific.

use crate::hosts::Hosts;
use ir::{Bind, HostPattern, Layer, StreamListener, StreamRoute};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// The stream listeners of one [`Bind`], compiled. `C` is what a route is compiled to.
pub struct Streams<C> {
    listeners: Vec<StreamRoutes<C>>,
    by_name: Hosts<Taker>,
    /// Names of Ingresses with certificates of their own.
    ingress_names: Hosts<HostPattern>,
    /// Whether an Ingress listener is there to take what no Gateway listener is for.
    ingress: bool,
    http: bool,
}

/// The routes of one stream listener, compiled.
pub struct StreamRoutes<C> {
    listener: Arc<StreamListener>,
    by_name: Hosts<(HostPattern, Chosen<C>)>,
    /// By the address of the route's allocation, which the entry keeps alive.
    known: HashMap<usize, Chosen<C>>,
}

/// A route and what it was compiled to.
#[derive(Debug, Clone)]
pub struct Chosen<C> {
    /// The route.
    pub route: Arc<StreamRoute>,
    /// What it was compiled to.
    pub compiled: C,
}

/// Who takes a TLS connection.
#[derive(Debug)]
pub enum TakenBy<'s, C> {
    /// The HTTPS listeners.
    Http,
    /// A stream listener.
    Stream {
        /// Index into [`Bind::streams`].
        index: usize,
        /// The listener.
        listener: &'s Arc<StreamListener>,
        /// Its route; none: it has none for the name, and the connection is refused.
        chosen: Option<&'s Chosen<C>>,
    },
    /// Nobody: the connection is refused.
    Nobody,
}

#[derive(Debug, Clone, Copy)]
enum Taker {
    Http,
    Stream(usize),
}

impl<C: Clone> Streams<C> {
    /// Compiles the stream listeners of a bind; what `previous` compiled from the same routes is kept.
    pub fn build(
        bind: &Bind,
        previous: Option<&Self>,
        compile: &mut impl FnMut(&Arc<StreamRoute>) -> C,
    ) -> Self {
        let mut all = Self {
            listeners: Vec::with_capacity(bind.streams.len()),
            by_name: Hosts::new(),
            ingress_names: Hosts::new(),
            ingress: false,
            http: !bind.listeners.is_empty(),
        };
        for listener in &bind.listeners {
            match listener.layer {
                Layer::Gateway => all.by_name.insert(&listener.hostname, Taker::Http),
                Layer::Ingress => {
                    all.ingress = true;
                    for host in &listener.tls {
                        all.ingress_names.insert(&host.hostname, host.hostname.clone());
                    }
                }
            }
        }
        for (index, listener) in bind.streams.iter().enumerate() {
            let before = previous.and_then(|previous| {
                let mut known = previous.listeners.iter();
                known.find(|known| known.listener.origin == listener.origin)
            });
            all.by_name.insert(&listener.hostname, Taker::Stream(index));
            all.listeners.push(StreamRoutes::build(listener, before, compile));
        }
        all
    }
}

impl<C> Streams<C> {
    /// Who takes a TLS connection whose client asks for this name (lower-case).
    pub fn of_sni(&self, sni: Option<&str>) -> TakenBy<'_, C> {
        let name = sni.unwrap_or_default();
        let index = match self.by_name.first(name) {
            Some(Taker::Stream(index)) => *index,
            Some(Taker::Http) => return TakenBy::Http,
            None if self.http => return TakenBy::Http,
            None => return TakenBy::Nobody,
        };
        let routes = &self.listeners[index];
        let found = routes.by_name.first(name);
        if self.ingress {
            let own = found.map(|(pattern, _)| pattern);
            let of_ingress = self.ingress_names.first(name);
            let yields = match (own, of_ingress) {
                (Some(own), Some(theirs)) => theirs.specificity(own) == Ordering::Less,
                (None, Some(_)) => true,
                // Neither knows the name: a listener for every name leaves it to the default certificate.
                (None, None) => routes.listener.hostname == HostPattern::Any,
                (Some(_), None) => false,
            };
            if yields {
                return TakenBy::Http;
            }
        }
        TakenBy::Stream {
            index,
            listener: &routes.listener,
            chosen: found.map(|(_, chosen)| chosen),
        }
    }

    /// The only listener of a TCP socket.
    pub fn only(&self) -> Option<&StreamRoutes<C>> {
        self.listeners.first()
    }
}

impl<C: Clone> StreamRoutes<C> {
    /// Compiles the routes of a listener; what `previous` compiled from the same routes is kept.
    pub fn build(
        listener: &Arc<StreamListener>,
        previous: Option<&Self>,
        compile: &mut impl FnMut(&Arc<StreamRoute>) -> C,
    ) -> Self {
        let mut routes: Vec<&Arc<StreamRoute>> = listener.routes.iter().collect();
        // The first one in keeps its place.
        routes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let mut all = Self {
            listener: Arc::clone(listener),
            by_name: Hosts::new(),
            known: HashMap::with_capacity(routes.len()),
        };
        for route in routes {
            let address = Arc::as_ptr(route).addr();
            let kept = previous.and_then(|previous| previous.known.get(&address));
            let chosen = kept.cloned().unwrap_or_else(|| Chosen {
                route: Arc::clone(route),
                compiled: compile(route),
            });
            for hostname in &route.hostnames {
                all.by_name.insert(hostname, (hostname.clone(), chosen.clone()));
            }
            all.known.insert(address, chosen);
        }
        all
    }
}

impl<C> StreamRoutes<C> {
    /// The listener.
    pub fn listener(&self) -> &Arc<StreamListener> {
        &self.listener
    }

    /// The route that takes everything that comes: of several the oldest.
    pub fn first(&self) -> Option<&Chosen<C>> {
        let found = self.by_name.get(&HostPattern::Any);
        found.map(|(_, chosen)| chosen)
    }

    /// What this route was compiled to, if it is among those of the listener.
    pub fn known(&self) -> impl Iterator<Item = &Chosen<C>> {
        self.known.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{BindAddress, CertificateId, List, Listener, Origin, StreamTls, TlsHost, Transport};

    fn pattern(text: &str) -> HostPattern {
        match text.strip_prefix('*') {
            Some("") => HostPattern::Any,
            Some(suffix) => HostPattern::Wildcard {
                suffix: suffix.into(),
                one_label: false,
            },
            None => HostPattern::Exact(text.into()),
        }
    }

    fn route(name: &str, created: i64, hostnames: &[&str]) -> Arc<StreamRoute> {
        Arc::new(StreamRoute {
            origin: Origin::new("TLSRoute", "n", name),
            rule: "rules[0]".into(),
            created,
            proxy_protocol: None,
            hostnames: hostnames.iter().map(|text| pattern(text)).collect(),
            backends: Vec::new(),
        })
    }

    fn stream(hostname: &str, routes: &[Arc<StreamRoute>]) -> Arc<StreamListener> {
        Arc::new(StreamListener {
            clients: None,
            tls_policy: ir::TlsPolicy::default(),
            origin: Origin::new("Gateway", "n", "g").section(hostname),
            hostname: pattern(hostname),
            tls: StreamTls::Passthrough,
            routes: routes.iter().cloned().collect::<List<_>>(),
        })
    }

    fn https(layer: Layer, hostname: &str, certificates_for: &[&str]) -> Arc<Listener> {
        let host = |name: &&str| TlsHost {
            hostname: pattern(name),
            certificates: vec![CertificateId("c".into())],
        };
        Arc::new(Listener {
            clients: None,
            tls_policy: ir::TlsPolicy::default(),
            identity: None,
            origin: Origin::new("Gateway", "n", "h").section(hostname),
            layer,
            hostname: pattern(hostname),
            tls: certificates_for.iter().map(host).collect(),
            routes: List::default(),
        })
    }

    fn taken(listeners: Vec<Arc<Listener>>, streams: Vec<Arc<StreamListener>>, sni: &str) -> String {
        let bind = Bind {
            public_port: None,
            address: BindAddress { ip: None, port: 443 },
            transport: Transport::Https,
            proxy_protocol: false,
            listeners,
            default_certificates: Vec::new(),
            streams,
        };
        let streams = Streams::build(&bind, None, &mut |_| ());
        match streams.of_sni((!sni.is_empty()).then_some(sni)) {
            TakenBy::Http => "http".into(),
            TakenBy::Nobody => "nobody".into(),
            TakenBy::Stream { chosen: None, .. } => "refused".into(),
            TakenBy::Stream {
                chosen: Some(chosen), ..
            } => chosen.route.origin.name.to_string(),
        }
    }

    #[test]
    fn the_most_specific_listener_takes_the_name_and_its_routes_alone_are_asked() {
        let streams = vec![
            stream("*.example.com", &[route("wide", 1, &["*.example.com"])]),
            stream("a.example.com", &[route("narrow", 9, &["a.example.com"])]),
            stream("b.example.com", &[]),
        ];
        for (sni, expected) in [
            ("a.example.com", "narrow"),
            ("b.example.com", "refused"),
            ("c.example.com", "wide"),
            ("example.com", "nobody"),
            ("", "nobody"),
        ] {
            assert_eq!(taken(vec![], streams.clone(), sni), expected, "{sni}");
        }
    }

    #[test]
    fn of_several_routes_the_more_specific_hostname_counts_then_age_then_name() {
        let routes = [
            route("old-wide", 1, &["*.example.com"]),
            route("new-exact", 5, &["a.example.com"]),
            route("z-newer-exact", 5, &["a.example.com"]),
            route("longer", 7, &["*.b.example.com"]),
        ];
        let streams = vec![stream("*", &routes)];
        for (sni, expected) in [
            ("a.example.com", "new-exact"),
            ("c.example.com", "old-wide"),
            ("x.b.example.com", "longer"),
            ("example.org", "refused"),
        ] {
            assert_eq!(taken(vec![], streams.clone(), sni), expected, "{sni}");
        }
    }

    #[test]
    fn https_and_streams_share_a_port_by_name() {
        let listeners = vec![https(Layer::Gateway, "shop.example.com", &["shop.example.com"])];
        let streams = vec![stream("*.example.com", &[route("db", 1, &["db.example.com"])])];
        for (sni, expected) in [
            ("shop.example.com", "http"),
            ("db.example.com", "db"),
            ("other.example.com", "refused"),
            ("example.org", "http"),
        ] {
            assert_eq!(taken(listeners.clone(), streams.clone(), sni), expected, "{sni}");
        }
    }

    #[test]
    fn names_of_ingresses_stay_with_ingress_unless_a_route_is_as_specific() {
        let listeners = vec![https(
            Layer::Ingress,
            "*",
            &["shop.example.com", "db.example.com"],
        )];
        let streams = vec![stream(
            "*",
            &[route("db", 1, &["db.example.com", "*.example.com"])],
        )];
        for (sni, expected) in [
            ("shop.example.com", "http"),
            ("db.example.com", "db"),
            ("other.example.com", "db"),
            ("example.org", "http"),
        ] {
            assert_eq!(taken(listeners.clone(), streams.clone(), sni), expected, "{sni}");
        }
    }

    #[test]
    fn a_route_that_stays_is_not_compiled_again() {
        let (kept, gone) = (route("kept", 1, &["*"]), route("gone", 2, &["*"]));
        let first = StreamRoutes::build(&stream("*", &[kept.clone(), gone]), None, &mut |_| 1);
        let second = StreamRoutes::build(
            &stream("*", &[kept, route("new", 3, &["*"])]),
            Some(&first),
            &mut |_| 2,
        );
        let mut of: Vec<_> = second.known().map(|chosen| chosen.compiled).collect();
        of.sort_unstable();
        assert_eq!(of, [1, 2]);
        assert_eq!(second.first().map(|chosen| chosen.compiled), Some(1));
    }
}
