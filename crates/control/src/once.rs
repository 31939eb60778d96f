//! Reading and translating a single time, for `check`, `explain`, `snapshot` and `status`.

use crate::overlay::Overlay;
use crate::world::World;
use crate::{EchoAddresses, Locations, StaticEndpoint};
use ir::{Code, Diagnostic};
use std::path::PathBuf;
use std::sync::Arc;
use translate::{Objects, Settings, Translation, Translator};

/// What files hold.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The objects, with the endpoints of flags.
    pub objects: Objects,
    /// Findings about files and the shape of objects.
    pub diagnostics: Vec<Diagnostic>,
    /// Where everything stands.
    pub locations: Locations,
    /// Files that were read.
    pub files: Vec<PathBuf>,
    /// Paths that could not be read (missing, no permission, no YAML), with the reason. The exit code depends on it.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// What files mean.
#[derive(Debug)]
pub struct Once {
    /// What the files hold.
    pub loaded: Loaded,
    /// What follows from it; its diagnostics include those about files.
    pub translation: Translation,
}

/// Reads files, directories (with all below them but hidden names) and standard input (`-`). Objects without a
/// `creationTimestamp` are all equally old, so that their names decide where age would.
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut world = World::new(paths.to_vec(), Overlay::new(Vec::new(), None));
    let (found, _) = world.look();
    world.load(&found);
    Loaded::from(world)
}

/// Reads and translates, as of `now` in seconds since 1970. No network: names of ExternalName Services stay
/// unresolved.
pub fn once(
    paths: &[PathBuf],
    settings: Settings,
    endpoints: &[StaticEndpoint],
    echo: Option<&dyn EchoAddresses>,
    now: i64,
) -> Once {
    let mut world = World::new(paths.to_vec(), Overlay::new(endpoints.to_vec(), echo));
    let (found, _) = world.look();
    world.load(&found);
    let mut translation = world.translate(&mut Translator::new(settings), now);
    translation.diagnostics = world.findings(&translation.diagnostics);
    Once {
        loaded: Loaded::from(world),
        translation,
    }
}

impl From<World<'_>> for Loaded {
    fn from(mut world: World<'_>) -> Self {
        let diagnostics = world.findings(&Arc::default()).to_vec();
        let unreadable = diagnostics
            .iter()
            .filter(|finding| finding.code == Code::UnreadableFile)
            .map(|finding| (PathBuf::from(&*finding.origin.name), finding.message.clone()))
            .collect();
        Self {
            diagnostics,
            locations: world.locations().clone(),
            files: world.paths(),
            unreadable,
            objects: world.into_objects(),
        }
    }
}
