//! What happens to files while they are followed.
#![allow(clippy::unwrap_used)] // in a test

mod support;

use narthex_control::{ControlOptions, Live};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Followed, findings, hosts, ingress, routes};

/// Re-scans far away: what is seen is seen by events.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_file_that_appears_changes_and_goes_is_followed() {
    let followed = Followed::start(&[("a.yaml", &ingress("a", "a.example"))]).await;
    followed.until_hosts(&["a.example"]).await;
    followed.write("b.yaml", &ingress("b", "b.example"));
    followed.until_hosts(&["a.example", "b.example"]).await;
    followed.write("b.yaml", &ingress("b", "c.example"));
    followed.until_hosts(&["a.example", "c.example"]).await;
    std::fs::remove_file(followed.path("b.yaml")).unwrap();
    followed.until_hosts(&["a.example"]).await;
}

#[tokio::test]
async fn a_directory_that_appears_and_goes_is_followed() {
    let followed = Followed::start(&[]).await;
    followed.write("deep/er/b.yaml", &ingress("b", "b.example"));
    followed.until_hosts(&["b.example"]).await;
    followed.write("deep/er/c.yaml", &ingress("c", "c.example"));
    followed.until_hosts(&["b.example", "c.example"]).await;
    std::fs::rename(followed.path("deep/er"), followed.path("moved")).unwrap();
    followed.write("moved/d.yaml", &ingress("d", "d.example"));
    followed
        .until_hosts(&["b.example", "c.example", "d.example"])
        .await;
    std::fs::remove_dir_all(followed.path("moved")).unwrap();
    followed.until_hosts(&[]).await;
}

#[tokio::test]
async fn broken_yaml_keeps_the_last_good_version_and_says_where() {
    let both = format!("{}---\n{}", ingress("a", "a.example"), ingress("b", "b.example"));
    let followed = Followed::start(&[("x.yaml", &both)]).await;
    let before = followed.until_hosts(&["a.example", "b.example"]).await;
    followed.write("x.yaml", "kind: Ingress\nmetadata: {name: a\nspec: 1\n");
    let broken = |live: &Live| {
        live.diagnostics
            .iter()
            .any(|finding| finding.code.as_str() == "NTX0001")
    };
    let live = followed.until(broken).await;
    assert_eq!(hosts(&live), ["a.example", "b.example"]);
    assert_eq!(live.generation, before.generation);
    let finding = live
        .diagnostics
        .iter()
        .find(|finding| finding.code.as_str() == "NTX0001")
        .unwrap();
    assert!(
        finding.message.contains("what it held before stays in use"),
        "{}",
        finding.message
    );
    assert!(findings(&live, followed.directory.path())[0].starts_with("NTX0001 x.yaml:3:"));
    followed.write("x.yaml", &ingress("b", "mended.example"));
    let live = followed.until_hosts(&["mended.example"]).await;
    assert!(!broken(&live));
}

#[tokio::test]
async fn touching_a_file_changes_nothing() {
    let text = ingress("a", "a.example");
    let followed = Followed::start(&[("a.yaml", &text), ("b.yaml", &ingress("b", "b.example"))]).await;
    let before = followed.until(|live| live.files_parsed == 2).await;
    followed.write("a.yaml", &format!("# a comment\n{text}"));
    followed.write("b.yaml", &ingress("b", "c.example"));
    let after = followed.until_hosts(&["a.example", "c.example"]).await;
    let same: Vec<bool> = routes(&before.snapshot)
        .map(|old| routes(&after.snapshot).any(|new| Arc::ptr_eq(old, new)))
        .collect();
    assert!(same.contains(&true) && same.contains(&false), "{same:?}");
}

#[tokio::test]
async fn an_editor_that_writes_by_renaming_never_makes_the_file_go_away() {
    let directory = tempfile::tempdir().unwrap();
    support::write(&directory.path().join("x.yaml"), &ingress("x", "h0.example"));
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.rescan = NEVER;
    let followed = Followed::with(directory, options).await;
    for round in 1..=20 {
        // As vim does: the old file is moved away, the new one written under its name.
        std::fs::rename(followed.path("x.yaml"), followed.path("x.yaml~")).unwrap();
        let host = format!("h{round}.example");
        followed.write("x.yaml", &ingress("x", &host));
        std::fs::remove_file(followed.path("x.yaml~")).unwrap();
        followed.until_hosts(&[&host]).await;
        // As others do: written beside it, moved over it.
        let host = format!("r{round}.example");
        followed.write(".x.yaml.tmp", &ingress("x", &host));
        std::fs::rename(followed.path(".x.yaml.tmp"), followed.path("x.yaml")).unwrap();
        followed.until_hosts(&[&host]).await;
    }
    assert!(
        followed.history().iter().all(|hosts| hosts.len() == 1),
        "{:?}",
        followed.history()
    );
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_data_link() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let version = |name: &str, hosts: [&str; 2]| {
        support::write(&root.join(name).join("a.yaml"), &ingress("a", hosts[0]));
        support::write(&root.join(name).join("b.yaml"), &ingress("b", hosts[1]));
    };
    let swap = |root: &Path, target: &str| {
        std::os::unix::fs::symlink(target, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..2026_01", ["a1.example", "b1.example"]);
    swap(root, "..2026_01");
    for name in ["a.yaml", "b.yaml"] {
        std::os::unix::fs::symlink(Path::new("..data").join(name), root.join(name)).unwrap();
    }
    let mut options = ControlOptions::new(vec![root.to_owned()]);
    options.rescan = NEVER;
    let root = root.to_owned();
    let followed = Followed::with(directory, options).await;
    followed.until_hosts(&["a1.example", "b1.example"]).await;
    for round in 2..=6 {
        let name = format!("..2026_0{round}");
        let (a, b) = (format!("a{round}.example"), format!("b{round}.example"));
        for (file, host) in [("a", &a), ("b", &b)] {
            support::write(
                &root.join(&name).join(format!("{file}.yaml")),
                &ingress(file, host),
            );
        }
        swap(&root, &name);
        followed.until_hosts(&[&a, &b]).await;
        std::fs::remove_dir_all(root.join(format!("..2026_0{}", round - 1))).unwrap();
    }
    // Both files change in one generation: the swap is atomic.
    let torn = |hosts: &Vec<String>| hosts.len() != 2 || hosts[0][1..] != hosts[1][1..];
    assert!(!followed.history().iter().any(torn), "{:?}", followed.history());
}

#[tokio::test]
async fn the_target_of_a_link_and_a_file_that_is_named_are_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target.yaml");
    support::write(&target, &ingress("t", "t1.example"));
    let directory = tempfile::tempdir().unwrap();
    let (named, dir) = (directory.path().join("named.yaml"), directory.path().join("dir"));
    support::write(&named, &ingress("n", "n1.example"));
    support::write(&directory.path().join("other.yaml"), &ingress("o", "o.example"));
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink(&target, dir.join("link.yaml")).unwrap();
    let mut options = ControlOptions::new(vec![named.clone(), dir]);
    options.rescan = NEVER;
    let followed = Followed::with(directory, options).await;
    followed.until_hosts(&["n1.example", "t1.example"]).await;
    support::write(&target, &ingress("t", "t2.example"));
    followed.until_hosts(&["n1.example", "t2.example"]).await;
    support::write(&named, &ingress("n", "n2.example"));
    followed.until_hosts(&["n2.example", "t2.example"]).await;
    std::fs::remove_file(&named).unwrap();
    let live = followed.until_hosts(&["t2.example"]).await;
    assert!(
        live.diagnostics
            .iter()
            .any(|finding| finding.code.as_str() == "NTX0001")
    );
    support::write(&named, &ingress("n", "n3.example"));
    followed.until_hosts(&["n3.example", "t2.example"]).await;
}

#[tokio::test]
async fn lost_events_are_made_up_for_by_looking() {
    let directory = tempfile::tempdir().unwrap();
    // A path that comes later can't be watched from the start.
    let later = directory.path().join("later");
    let mut options = ControlOptions::new(vec![later.clone()]);
    options.rescan = Duration::from_millis(50);
    let followed = Followed::with(directory, options).await;
    let live = followed.state.live();
    assert_eq!(findings(&live, followed.directory.path()), ["NTX0001 later:1:1"]);
    support::write(&later.join("a.yaml"), &ingress("a", "a.example"));
    followed.until_hosts(&["a.example"]).await;
    // A mount that is away is unknown, not empty.
    std::fs::rename(&later, followed.path("away")).unwrap();
    let live = followed
        .until(|live| {
            live.diagnostics
                .iter()
                .any(|finding| finding.code.as_str() == "NTX0001")
        })
        .await;
    assert_eq!(hosts(&live), ["a.example"]);
    std::fs::rename(followed.path("away"), &later).unwrap();
    followed
        .until(|live| {
            live.diagnostics
                .iter()
                .all(|finding| finding.code.as_str() != "NTX0001")
        })
        .await;
    support::write(&later.join("b.yaml"), &ingress("b", "b.example"));
    followed.until_hosts(&["a.example", "b.example"]).await;
}

#[tokio::test]
async fn fifty_edits_a_second_give_only_valid_states_and_in_the_end_the_last_one() {
    let followed = Followed::start(&[
        ("x.yaml", &ingress("x", "h0.example")),
        ("y.yaml", &ingress("y", "y.example")),
    ])
    .await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for edit in 1..=100 {
        ticks.tick().await;
        followed.write("x.yaml", &ingress("x", &format!("h{edit}.example")));
    }
    followed.until_hosts(&["h100.example", "y.example"]).await;
    let history = followed.history();
    assert!(history.iter().all(|hosts| hosts.len() == 2), "{history:?}");
    let distinct: BTreeSet<_> = history.iter().collect();
    assert!(
        distinct.len() > 10,
        "changes are live while edits go on: {}",
        distinct.len()
    );
    assert!(
        !findings(&followed.state.live(), Path::new(""))
            .iter()
            .any(|finding| finding.starts_with("NTX0001"))
    );
}

#[tokio::test]
async fn of_three_thousand_files_the_one_that_changed_is_parsed_and_the_rest_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..3000 {
        let text = ingress(&format!("i{number}"), &format!("h{number}.example"));
        support::write(
            &directory.path().join(format!("d{}/i{number}.yaml", number % 10)),
            &text,
        );
    }
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.rescan = NEVER;
    let followed = Followed::with(directory, options).await;
    let before = followed.until(|live| hosts(live).len() == 3000).await;
    assert_eq!(before.files_parsed, 3000);
    followed.write("d7/i7.yaml", &ingress("i7", "changed.example"));
    let after = followed
        .until(|live| hosts(live).iter().any(|host| host == "changed.example"))
        .await;
    assert_eq!(after.files_parsed, 3001);
    let old: BTreeSet<_> = routes(&before.snapshot).map(Arc::as_ptr).collect();
    let new: BTreeSet<_> = routes(&after.snapshot).map(Arc::as_ptr).collect();
    assert_eq!(new.difference(&old).count(), 1);
    assert_eq!(old.difference(&new).count(), 1);
}

#[tokio::test]
async fn a_root_that_is_a_link_is_followed_to_where_it_leads_now() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("current");
    support::write(&directory.path().join("v1/a.yaml"), &ingress("a", "v1.example"));
    support::write(&directory.path().join("v2/a.yaml"), &ingress("a", "v2.example"));
    std::os::unix::fs::symlink("v1", &root).unwrap();
    let mut options = ControlOptions::new(vec![root.clone()]);
    options.rescan = Duration::from_millis(200);
    let followed = Followed::with(directory, options).await;
    followed.until_hosts(&["v1.example"]).await;
    std::os::unix::fs::symlink("v2", followed.path("next")).unwrap();
    std::fs::rename(followed.path("next"), &root).unwrap();
    followed.until_hosts(&["v2.example"]).await;
    // A directory with the name of a file is looked into, and nothing else.
    followed.write("v2/d.yaml/b.yaml", &ingress("b", "b.example"));
    followed.until_hosts(&["b.example", "v2.example"]).await;
    std::fs::remove_dir_all(followed.path("v2/d.yaml")).unwrap();
    followed.until_hosts(&["v2.example"]).await;
}

#[tokio::test]
async fn findings_generations_and_latency_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    support::write(&directory.path().join("x.yaml"), "a: [1\n");
    let telemetry = telemetry::Telemetry::new(1);
    let mut options = ControlOptions::new(vec![directory.path().to_owned()]);
    options.telemetry = Some(Arc::clone(&telemetry));
    let followed = Followed::with(directory, options).await;
    let scrape = || String::from_utf8(telemetry.scrape(telemetry::Format::Text)).unwrap();
    let broken = |text: &str| {
        text.lines()
            .any(|line| line.contains("code=\"NTX0001\"") && line.ends_with(" 1"))
    };
    assert!(broken(&scrape()), "{}", scrape());
    followed.write("x.yaml", &ingress("a", "a.example"));
    followed.until_hosts(&["a.example"]).await;
    assert!(!broken(&scrape()), "{}", scrape());
    let generation = |text: &str| {
        text.lines()
            .any(|line| line.contains("generation") && line.ends_with(" 2"))
    };
    assert!(generation(&scrape()), "{}", scrape());
}
