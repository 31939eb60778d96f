//! What the commands that run nothing have in common: read the objects, translate them, know where they stand.

use crate::echo::Imagined;
use crate::exit::Exit;
use crate::flags::SettingsFlags;
use crate::output::{BAD, styled};
use crate::settings;
use control::{EchoAddresses, Loaded, Once};
use ir::Origin;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use translate::Translation;

/// Objects and what they mean.
pub struct Configuration {
    /// What the files hold.
    pub loaded: Loaded,
    /// What follows from it.
    pub translation: Translation,
}

impl Configuration {
    /// Reads and translates. A path that can't be read at all is said on standard error, and ends the command.
    pub fn read(paths: &[PathBuf], flags: &SettingsFlags) -> Result<Self, Exit> {
        let now = jiff::Timestamp::now().as_second();
        let settings = settings::from_flags(flags, settings::stand_in());
        let echo: Option<&dyn EchoAddresses> = if flags.echo { Some(&Imagined) } else { None };
        let Once { loaded, translation } = control::once(paths, settings, &flags.endpoint, echo, now);
        // A directory goes on without a file that is not YAML (`check` reports it), a path that was named does not.
        let named =
            |path: &PathBuf| paths.contains(path) && path != Path::new("-") && openable(path).is_err();
        let missing: Vec<_> = loaded.unreadable.iter().filter(|(path, _)| named(path)).collect();
        for (path, reason) in &missing {
            anstream::eprintln!(
                "{}: can't read {}: {reason}",
                styled(BAD, "error"),
                path.display()
            );
        }
        if !missing.is_empty() {
            return Err(Exit::Unreadable);
        }
        Ok(Self { loaded, translation })
    }

    /// `routes.yaml:31` where a rule begins, by its origin and its position in the route.
    pub fn rule_place(&self, rule: &Origin, index: u32) -> Option<String> {
        let field = match (&*rule.kind, rule.section.as_deref()) {
            ("Ingress", Some(section)) => format!("spec.{section}"),
            _ => format!("spec.rules[{index}]"),
        };
        let place = self.loaded.locations.field(&rule.object(), &field)?;
        Some(format!("{}:{}", place.file.display(), place.line))
    }

    /// The same for a rule that is one of many: where its file is large, which would have to be read again for each,
    /// the beginning of the object has to do.
    pub fn rule_place_cheaply(&self, rule: &Origin, index: u32) -> Option<String> {
        let object = self.loaded.locations.of(&rule.object())?;
        let is_small = std::fs::metadata(&object.file).is_ok_and(|file| file.len() <= SMALL_FILE);
        if is_small {
            return self.rule_place(rule, index);
        }
        Some(format!("{}:{}", object.file.display(), object.line))
    }

    /// How many objects were read.
    pub fn object_count(&self) -> usize {
        let objects = &self.loaded.objects;
        objects.services.len()
            + objects.endpoint_slices.len()
            + objects.secrets.len()
            + objects.config_maps.len()
            + objects.namespaces.len()
            + objects.ingresses.len()
            + objects.ingress_classes.len()
            + objects.gateway_classes.len()
            + objects.gateways.len()
            + objects.listener_sets.len()
            + objects.http_routes.len()
            + objects.tcp_routes.len()
            + objects.udp_routes.len()
            + objects.tls_routes.len()
            + objects.reference_grants.len()
            + objects.definitions.len()
    }
}

/// Whether a path can be read at all. A pipe is not tried: to open it waits for a writer, who may be gone.
pub fn openable(path: &Path) -> std::io::Result<()> {
    if std::fs::metadata(path)?.file_type().is_fifo() {
        return Ok(());
    }
    std::fs::File::open(path).map(drop)
}

const SMALL_FILE: u64 = 64 * 1024;
