//! Laws that hold for every table and request, tried on random ones: the compiled tables answer as a plain reading of
//! the specification does, however they were built, and `explain` tells the same story.

mod random;
mod reading;

use ir::{Bind, Listener, Route, Snapshot};
use narthex_router::explain::{Verdict, Winner};
use narthex_router::{Answer, Explanation, Head, Shadowed, Socket, shadowed};
use random::Dice;
use std::sync::Arc;

/// What a socket says, in a form that can be compared and printed.
type Said = Option<(usize, String, u32, u32)>;

fn said(answer: Option<Answer<'_, usize>>) -> Said {
    answer.map(|answer| {
        let found = answer.found;
        // The caller's part belongs to the route that it comes with.
        assert_eq!(*found.compiled, Arc::as_ptr(found.route).addr());
        (
            answer.listener,
            found.route.origin.to_string(),
            found.rule,
            found.matched,
        )
    })
}

fn compile(route: &Arc<Route>) -> usize {
    Arc::as_ptr(route).addr()
}

#[test]
fn the_router_answers_as_the_specification_reads() {
    let mut dice = Dice::new(1);
    let (mut pairs, mut answered, mut both_layers) = (0, 0, 0);
    for _ in 0..1_500 {
        let bind = random::bind(&mut dice);
        let socket = Socket::build(&bind, None, &mut compile);
        for _ in 0..8 {
            let request = random::request(&mut dice);
            let head = request.head();
            let expected = reading::answer(&bind, &head);
            let found = said(socket.find(&head));
            assert_eq!(found, expected, "\n{request:?}\n{bind:#?}");
            pairs += 1;
            answered += usize::from(expected.is_some());
            both_layers += usize::from(reading::both_layers_answer(&bind, &head));
        }
    }
    assert_eq!(pairs, 12_000);
    // The generator must hit what matters.
    assert!(
        answered > pairs / 4 && answered < pairs * 19 / 20,
        "{answered} of {pairs} answered"
    );
    assert!(
        both_layers > pairs / 50,
        "{both_layers} of {pairs} answered by both layers"
    );
}

#[test]
fn a_table_built_upon_another_is_the_table_built_from_nothing() {
    let mut dice = Dice::new(2);
    for _ in 0..150 {
        let mut bind = random::bind(&mut dice);
        let mut socket = Socket::build(&bind, None, &mut compile);
        for _ in 0..5 {
            bind = changed(&mut dice, &bind);
            socket = Socket::build(&bind, Some(&socket), &mut compile);
            let fresh = Socket::build(&bind, None, &mut compile);
            for _ in 0..5 {
                let request = random::request(&mut dice);
                let head = request.head();
                assert_eq!(
                    said(socket.find(&head)),
                    said(fresh.find(&head)),
                    "\n{request:?}\n{bind:#?}"
                );
            }
        }
    }
}

#[test]
fn only_what_changed_is_compiled_again() {
    let mut dice = Dice::new(5);
    let mut compiled = 0;
    let mut counting = |route: &Arc<Route>| {
        compiled += 1;
        compile(route)
    };
    let mut bind = random::bind(&mut dice);
    let mut listener = (*bind.listeners[0]).clone();
    let mut routes: Vec<_> = (0..50)
        .map(|_| random::route(&mut dice, listener.layer))
        .collect();
    let mut with = |bind: &mut Bind, routes: &[Arc<Route>]| {
        listener.routes = routes.iter().cloned().collect();
        bind.listeners = vec![Arc::new(listener.clone())];
    };
    with(&mut bind, &routes);
    let first = Socket::build(&bind, None, &mut counting);
    // The same listener, then the same routes in another one.
    let second = Socket::build(&bind, Some(&first), &mut counting);
    with(&mut bind, &routes);
    let third = Socket::build(&bind, Some(&second), &mut counting);
    routes[7] = random::route(&mut dice, listener_layer(&bind));
    with(&mut bind, &routes);
    Socket::build(&bind, Some(&third), &mut counting);
    assert_eq!(compiled, 51);
}

fn listener_layer(bind: &Bind) -> ir::Layer {
    bind.listeners[0].layer
}

#[test]
fn an_explanation_names_the_winner_that_the_lookup_finds_and_one_reason_for_each_loser() {
    let mut dice = Dice::new(3);
    for _ in 0..600 {
        let bind = random::bind(&mut dice);
        let socket = Socket::build(&bind, None, &mut compile);
        for _ in 0..7 {
            let request = random::request(&mut dice);
            let head = request.head();
            let explanation = socket.explain(&head);
            let winner = explanation.winner.as_ref().map(|winner: &Winner| {
                (
                    winner.listener,
                    winner.route.to_string(),
                    winner.rule_index,
                    winner.matched,
                )
            });
            assert_eq!(winner, said(socket.find(&head)), "\n{request:?}\n{bind:#?}");
            check_verdicts(&bind, &head, &explanation);
        }
    }
}

#[test]
fn a_match_that_is_said_to_be_shadowed_never_answers() {
    let mut dice = Dice::new(4);
    let mut found = 0;
    for _ in 0..300 {
        let bind = random::bind(&mut dice);
        let socket = Socket::build(&bind, None, &mut compile);
        let snapshot = Snapshot {
            binds: vec![Arc::new(bind.clone())],
            ..Snapshot::default()
        };
        let shadowed = shadowed(&snapshot);
        found += shadowed.len();
        for _ in 0..60 {
            let request = random::request(&mut dice);
            let head = request.head();
            let Some(answer) = socket.find(&head).filter(|_| head.path != "*") else {
                continue;
            };
            let rule = &answer.found.rule().origin;
            let dead = |shadowed: &&Shadowed| {
                shadowed.rule == *rule && (shadowed.matched == answer.found.matched || shadowed.whole_rule)
            };
            assert_eq!(shadowed.iter().find(dead), None, "\n{request:?}\n{bind:#?}");
        }
    }
    assert!(found > 200, "only {found} were found");
}

/// Exactly one match won if anybody answers, and whoever is said to have been beaten does match.
fn check_verdicts(bind: &Bind, head: &Head<'_>, explanation: &Explanation) {
    let mut won = 0;
    for layer in &explanation.layers {
        let listener = &bind.listeners[layer.listener];
        for host in &layer.hosts {
            for candidate in &host.candidates {
                let holds = reading::holds(&candidate.conditions, head);
                let said_to_hold = matches!(
                    candidate.verdict,
                    Verdict::Won | Verdict::Beaten { .. } | Verdict::BeatenByOtherLayer
                );
                assert_eq!(holds, said_to_hold, "{candidate:?} {}", listener.origin);
                won += usize::from(candidate.verdict == Verdict::Won);
            }
        }
    }
    assert_eq!(won, usize::from(explanation.winner.is_some()));
}

/// Some routes go, some come, some change, the others are the same allocations in another order.
fn changed(dice: &mut Dice, bind: &Bind) -> Bind {
    let listener = |listener: &Arc<Listener>| {
        if dice.one_in(3) {
            return Arc::clone(listener);
        }
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for route in &listener.routes {
            match dice.roll(6) {
                0 => {}
                1 => routes.push(random::route(dice, listener.layer)),
                _ => routes.push(Arc::clone(route)),
            }
        }
        if dice.one_in(2) {
            routes.push(random::route(dice, listener.layer));
        }
        if dice.one_in(2) {
            routes.reverse();
        }
        Arc::new(Listener {
            routes: routes.into_iter().collect(),
            ..(**listener).clone()
        })
    };
    Bind {
        listeners: bind.listeners.iter().map(listener).collect(),
        ..bind.clone()
    }
}
