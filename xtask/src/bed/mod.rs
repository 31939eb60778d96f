//! `cargo xtask bed`: a Kubernetes cluster without containers, for tests. `conformance/bed/` holds its source.

mod control;
pub mod parts;

use crate::Outcome;
use crate::run::wait;
pub use control::Bed;
use parts::{INSTALLED, Parts};

const USAGE: &str = "usage: cargo xtask bed VERB

  up [--nodes N]       starts it; builds its parts first (the first time: about 10 minutes)
  down                 ends it, and everything in it
  status               parts of the control plane, and Pods
  run CMD [ARG…]       runs a command inside, with KUBECONFIG and kubectl
  start PART           etcd, kube-apiserver or kube-controller-manager, after it was killed
  kill PART|NS:POD     at once, with SIGKILL
  freeze PART|NS:POD   stands still until it is thawed
  thaw PART|NS:POD     goes on; also ends `slow`
  slow PART PERCENT    stands still for this share of the time";

/// `cargo xtask bed VERB …`.
pub fn run(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["up"] => up(1, INSTALLED).map(|_| ()),
        ["up", "--nodes", count] => {
            let count = count
                .parse()
                .map_err(|_| format!("--nodes {count}: not a number"))?;
            up(count, INSTALLED).map(|_| ())
        }
        ["down"] => Bed::at_home().down(),
        ["status"] => {
            print!("{}", Bed::at_home().running()?.ask("GET", "/status")?);
            Ok(())
        }
        ["run", program, ref arguments @ ..] => {
            let bed = Bed::at_home().running()?;
            wait(bed.command(program)?.args(arguments))
        }
        [verb @ ("start" | "kill" | "freeze" | "thaw"), name] => Bed::at_home()
            .running()?
            .ask("POST", &format!("/{verb}/{name}"))
            .map(|_| ()),
        ["slow", part, percent] => Bed::at_home()
            .running()?
            .ask("POST", &format!("/slow/{part}/{percent}"))
            .map(|_| ()),
        _ => Err(format!("no such verb\n{USAGE}")),
    }
}

/// Whether this machine can have a bed: namespaces, and the sources of all parts. That these build is not in question.
pub fn possible() -> Outcome {
    control::namespaces()?;
    Parts::fetched()
}

/// Builds what is missing and starts a fresh bed, with Narthex as the image `narthex` and the CRDs of a version of
/// Gateway API.
pub fn up(nodes: u16, crds: &str) -> Result<Bed, String> {
    let parts = Parts::ready()?;
    if Bed::at_home().running().is_ok() {
        return Err("the bed is up already\nhint: cargo xtask bed down".into());
    }
    let narthex = parts::narthex()?;
    let bed = Bed::at_home();
    let mut images = vec![("narthex", narthex)];
    // The image has moved twice, from ingress-controller-conformance on; the program says the same of a request.
    for image in [
        "registry.k8s.io/gateway-api/conformance/echo-basic",
        "registry.k8s.io/gateway-api/echo-basic",
        "k8s.gcr.io/ingressconformance/echoserver",
    ] {
        images.push((image, parts.program("echo-basic")));
    }
    if crds != INSTALLED {
        images.push(("registry.k8s.io/coredns/coredns", parts.coredns()?));
    }
    bed.start(&parts, nodes, &images)?;
    wait(
        bed.command("kubectl")?
            .args(["apply", "--server-side", "--kustomize"])
            .arg(parts.crds(crds)?)
            .stdout(std::process::Stdio::null()),
    )?;
    eprintln!("bed: up; cargo xtask bed run kubectl get pods -A");
    Ok(bed)
}
