//! Addresses of ExternalName Services. Asks again when an answer's time is over; keeps the last good answer while
//! the resolver fails.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use translate::Resolved;

/// Whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// Resolvers; empty: those of the system, with its hosts file.
    pub servers: Vec<SocketAddr>,
}

/// Names and their answers.
pub(crate) struct Names {
    options: DnsOptions,
    resolver: Option<Result<TokioResolver, String>>,
    entries: BTreeMap<String, Entry>,
    lookups: JoinSet<(String, Lookup)>,
}

/// Addresses and how long they hold.
type Lookup = Result<(Vec<IpAddr>, Duration), String>;

#[derive(Default)]
struct Entry {
    answer: Resolved,
    failures: u32,
    next: Next,
}

/// When a name is asked for again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Now,
    At(Instant),
    /// It is being asked for.
    Asked,
    /// It is an address.
    Never,
}

/// Shorter lives would ask without end.
const LEAST_TTL: Duration = Duration::from_secs(1);
/// Longer ones would miss a change for too long.
const MOST_TTL: Duration = Duration::from_secs(3600);
/// The longest pause between two failures.
const MOST_PAUSE: Duration = Duration::from_secs(60);

impl Names {
    /// No name is wanted yet.
    pub(crate) fn new(options: DnsOptions) -> Self {
        Self {
            options,
            resolver: None,
            entries: BTreeMap::new(),
            lookups: JoinSet::new(),
        }
    }

    /// These names are wanted, and no others.
    pub(crate) fn want(&mut self, names: &[String]) {
        let wanted: BTreeSet<&String> = names.iter().collect();
        self.entries.retain(|name, _| wanted.contains(name));
        for name in names {
            if !self.entries.contains_key(name) {
                self.entries.insert(name.clone(), Entry::default());
            }
        }
    }

    /// All answers so far.
    pub(crate) fn answers(&self) -> BTreeMap<String, Resolved> {
        self.entries
            .iter()
            .filter(|(_, entry)| !entry.answer.addresses.is_empty() || entry.answer.error.is_some())
            .map(|(name, entry)| (name.clone(), entry.answer.clone()))
            .collect()
    }

    /// Waits until some answer is different from before. Can be dropped at any time.
    pub(crate) async fn changed(&mut self) {
        loop {
            if self.ask() {
                return;
            }
            let due = self.entries.values().filter_map(|entry| match entry.next {
                Next::At(at) => Some(at),
                _ => None,
            });
            let due = due.min();
            let pause = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = self.lookups.join_next() => {
                    if let Ok((name, lookup)) = done && self.answered(&name, lookup, Instant::now()) {
                        return;
                    }
                }
                () = pause => {}
            }
        }
    }

    /// Starts the lookups that are due; says whether an answer could be given at once.
    fn ask(&mut self) -> bool {
        let now = Instant::now();
        let due: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| match entry.next {
                Next::Now => true,
                Next::At(at) => at <= now,
                Next::Asked | Next::Never => false,
            })
            .map(|(name, _)| name.clone())
            .collect();
        let mut changed = false;
        for name in due {
            if let Ok(address) = name.parse::<IpAddr>() {
                changed |= self.answered(&name, Ok((vec![address], MOST_TTL)), now);
                self.entries.entry(name).or_default().next = Next::Never;
                continue;
            }
            match self.resolver() {
                Ok(resolver) => {
                    let resolver = resolver.clone();
                    self.entries.entry(name.clone()).or_default().next = Next::Asked;
                    self.lookups.spawn(async move {
                        let lookup = look_up(&resolver, &name).await;
                        (name, lookup)
                    });
                }
                Err(error) => changed |= self.answered(&name, Err(error), now),
            }
        }
        changed
    }

    fn answered(&mut self, name: &str, lookup: Lookup, now: Instant) -> bool {
        // It may not be wanted any more.
        let Some(entry) = self.entries.get_mut(name) else {
            return false;
        };
        let before = entry.answer.clone();
        match lookup {
            Ok((mut addresses, ttl)) => {
                addresses.sort_unstable();
                addresses.dedup();
                entry.answer = Resolved {
                    addresses,
                    error: None,
                };
                entry.failures = 0;
                entry.next = Next::At(now + ttl.clamp(LEAST_TTL, MOST_TTL));
            }
            Err(error) => {
                entry.answer.error = Some(error);
                let pause = Duration::from_secs(1) * 2_u32.pow(entry.failures.min(6));
                entry.failures += 1;
                entry.next = Next::At(now + pause.min(MOST_PAUSE));
            }
        }
        entry.answer != before
    }

    fn resolver(&mut self) -> Result<&TokioResolver, String> {
        let options = &self.options;
        let resolver = self.resolver.get_or_insert_with(|| resolver(options));
        resolver.as_ref().map_err(Clone::clone)
    }
}

fn resolver(options: &DnsOptions) -> Result<TokioResolver, String> {
    let mut builder = if options.servers.is_empty() {
        TokioResolver::builder_tokio()
            .map_err(|error| format!("the system's resolver is not usable: {error}"))?
    } else {
        let servers = options.servers.iter().map(|address| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = address.port();
            }
            NameServerConfig::new(address.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Times to live are kept here.
    options.cache_size = 0;
    builder.build().map_err(|error| error.to_string())
}

async fn look_up(resolver: &TokioResolver, name: &str) -> Lookup {
    // An ExternalName is a complete name: no search domains.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    let answer = resolver
        .lookup_ip(absolute)
        .await
        .map_err(|error| error.to_string())?;
    let records = answer.as_lookup().answers();
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    let addresses: Vec<IpAddr> = answer.iter().collect();
    if addresses.is_empty() {
        return Err("the name has no address".into());
    }
    Ok((addresses, Duration::from_secs(u64::from(ttl))))
}
