//! What a route costs in memory, from the object that is read to the rule that a worker looks up: bytes asked of the
//! allocator, so the figures are the same on every machine.
#![allow(unsafe_code)] // a global allocator that counts can't be written without

use control::{ApplyReport, ControlOptions, Publish, Published, State};
use proxy::plan::{Builder, Plan};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use telemetry::Telemetry;

#[global_allocator]
static COUNTING: Counting = Counting;
static BYTES: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(class(layout.size()), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(class(layout.size()), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(class(size) - class(layout.size()), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What jemalloc takes for a request: its size classes are 16 bytes apart up to 128, then four to a doubling.
fn class(size: usize) -> i64 {
    let class = match size {
        0..=8 => 8,
        9..=128 => size.next_multiple_of(16),
        _ => size.next_multiple_of((size - 1).next_power_of_two() / 8),
    };
    class.cast_signed() as i64
}

/// Serves nobody.
struct Nowhere;

impl Publish for Nowhere {
    async fn publish(&mut self, _published: Published) -> ApplyReport {
        ApplyReport::default()
    }
}

fn yaml(routes: std::ops::Range<usize>) -> String {
    let mut yaml = String::new();
    for route in routes {
        let _ = write!(
            yaml,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{route}, namespace: default}}\nspec:\n  \
             parentRefs: [{{name: g}}]\n  hostnames: [h{route}.example]\n  rules:\n  - matches: [{{path: {{type: PathPrefix, value: /api}}}}]\n    \
             backendRefs: [{{name: origin, port: 80}}]\n"
        );
    }
    yaml
}

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: narthex}\nspec: {controllerName: narthex.dev/gateway-controller}\n---\n\
     apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: default}\nspec:\n  gatewayClassName: narthex\n  \
     listeners: [{name: http, protocol: HTTP, port: 80}]\n---\n\
     apiVersion: v1\nkind: Service\nmetadata: {name: origin, namespace: default}\nspec: {ports: [{port: 80}]}\n";

#[derive(Debug)]
struct Cost {
    control: i64,
    objects: i64,
    translator: i64,
    plan: i64,
}

async fn cost(routes: usize, each: bool) -> Cost {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("gateway.yaml"), GATEWAY).expect("written");
    if each {
        for route in 0..routes {
            let name = directory.path().join(format!("route-{route}.yaml"));
            std::fs::write(name, yaml(route..route + 1)).expect("written");
        }
    } else {
        std::fs::write(directory.path().join("routes.yaml"), yaml(0..routes)).expect("written");
    }
    let paths: Vec<PathBuf> = vec![directory.path().to_owned()];
    let objects = {
        let before = BYTES.load(Relaxed);
        let loaded = control::load(&paths).objects;
        let after = BYTES.load(Relaxed);
        let mut translator = translate::Translator::new(translate::Settings::default());
        let translation = translator.translate(&loaded, 0);
        let translated = BYTES.load(Relaxed);
        drop(translation);
        (after - before, translated - after)
    };
    let state = State::new();
    let before = BYTES.load(Relaxed);
    let running = control::run(ControlOptions::new(paths), Nowhere, Arc::clone(&state));
    let live = async {
        let live = state.newer_than(0).await;
        let control = BYTES.load(Relaxed) - before;
        let telemetry = Telemetry::new(2);
        let mut builder = Builder::new(telemetry);
        let before = BYTES.load(Relaxed);
        let built = builder.build(&live.snapshot, 1, &Plan::default());
        builder.prune();
        let plan = BYTES.load(Relaxed) - before;
        drop(built);
        (control, plan)
    };
    let (control, plan) = tokio::select! {
        () = running => unreachable!("it runs until it is dropped"),
        costs = live => costs,
    };
    let routes = (routes.cast_signed() as i64).max(1);
    Cost {
        control: control / routes,
        objects: objects.0 / routes,
        translator: objects.1 / routes,
        plan: plan / routes,
    }
}

/// Bounds with some room above what it takes; the targets behind them are 40 MiB with 5,000 routes and 120 MiB with
/// 40,000, of which the program itself takes 12.
#[tokio::test]
async fn a_route_takes_no_more_memory_than_it_is_worth() {
    for (each, control, plan) in [
        (false, MOST_CONTROL, MOST_PLAN),
        (true, MOST_CONTROL_EACH, MOST_PLAN),
    ] {
        let cost = cost(2000, each).await;
        println!("a file each: {each}: {cost:?}");
        assert!(cost.control <= control, "{cost:?}");
        assert!(cost.plan <= plan, "{cost:?}");
        assert!(cost.objects + cost.translator <= cost.control, "{cost:?}");
    }
}

/// Bytes per route for object, places, translation and snapshot.
const MOST_CONTROL: i64 = 1310;
/// The same with a file for each route.
const MOST_CONTROL_EACH: i64 = 2040;
/// Bytes per route for the compiled form, its metrics included.
const MOST_PLAN: i64 = 510;
