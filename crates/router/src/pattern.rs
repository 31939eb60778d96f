//! Regular expressions that must match a whole text, many at once.
//!
//! One automaton runs over the text from its first byte; the patterns whose match ends exactly at the end of the
//! text are those that match all of it. So there is no anchoring by text, and `/a|/ab` matches `/ab`, which a search
//! for the leftmost match would miss.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::hybrid::dfa as lazy;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM};
use regex_automata::util::pool::Pool;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// A set of patterns, tried in one pass over the text.
pub(crate) struct Patterns {
    parts: Vec<Part>,
    /// For each pattern given, why it can't be used; `None` if it can.
    errors: Vec<Option<String>>,
}

/// What the texts look like, which decides how a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Normal paths are ASCII: classes like `\w` need not know the rest of Unicode, which keeps automata small.
    Ascii,
    /// Header and parameter values may hold any bytes.
    Bytes,
}

/// Some of the patterns; there is more than one part only if a single automaton would be too large.
struct Part {
    engine: Engine,
    /// Position, among all patterns given, of each pattern in the automaton.
    positions: Vec<usize>,
}

enum Engine {
    /// Built in advance: a table lookup per byte, nothing written.
    Dense(Box<dense::DFA<Vec<u32>>>),
    /// Built while it runs, for sets whose full automaton would be large.
    Lazy(Box<Lazy>),
}

struct Lazy {
    automaton: lazy::DFA,
    caches: Pool<lazy::Cache, NewCache>,
    nfa: NFA,
}

type NewCache =
    Box<dyn Fn() -> lazy::Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

impl Patterns {
    /// Compiles a set. A pattern that can't be used matches nothing; see [`Patterns::error`].
    pub fn compile(patterns: &[&str], texts: Texts) -> Self {
        let mut compiled = Self {
            parts: Vec::new(),
            errors: vec![None; patterns.len()],
        };
        let all: Vec<usize> = (0..patterns.len()).collect();
        compiled.add(patterns, all, texts);
        compiled
    }

    /// Why a pattern can't be used.
    pub fn error(&self, position: usize) -> Option<&str> {
        self.errors[position].as_deref()
    }

    /// Whether any pattern matches the whole text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.each_match(text, |_| any = true);
        any
    }

    /// Calls `matched` with the position of each pattern that matches the whole text, in no particular order.
    pub fn each_match(&self, text: &[u8], mut matched: impl FnMut(usize)) {
        for part in &self.parts {
            part.each_match(text, &mut matched);
        }
    }

    fn add(&mut self, patterns: &[&str], mut positions: Vec<usize>, texts: Texts) {
        positions.retain(|&position| match parse(patterns[position], texts) {
            Ok(_) => true,
            Err(error) => {
                self.errors[position] = Some(error);
                false
            }
        });
        if positions.is_empty() {
            return;
        }
        let parsed: Vec<_> = positions
            .iter()
            .filter_map(|&position| parse(patterns[position], texts).ok())
            .collect();
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    // `run_slowly` needs to know where a match ends.
                    .which_captures(match texts {
                        Texts::Ascii => WhichCaptures::None,
                        Texts::Bytes => WhichCaptures::Implicit,
                    })
                    .nfa_size_limit(Some(NFA_LIMIT)),
            )
            .build_many_from_hir(&parsed);
        let engine = nfa.map_err(|error| error.to_string()).and_then(engine);
        match engine {
            Ok(engine) => self.parts.push(Part { engine, positions }),
            Err(error) if positions.len() == 1 => self.errors[positions[0]] = Some(error),
            Err(_) => {
                let rest = positions.split_off(positions.len() / 2);
                self.add(patterns, positions, texts);
                self.add(patterns, rest, texts);
            }
        }
    }
}

impl Part {
    fn each_match(&self, text: &[u8], matched: &mut impl FnMut(usize)) {
        let input = Input::new(text).anchored(Anchored::Yes);
        match &self.engine {
            Engine::Dense(automaton) => {
                let Ok(mut state) = automaton.start_state_forward(&input) else {
                    return;
                };
                for &byte in text {
                    state = automaton.next_state(state, byte);
                    if automaton.is_special_state(state) && automaton.is_dead_state(state) {
                        return;
                    }
                }
                state = automaton.next_eoi_state(state);
                if automaton.is_match_state(state) {
                    for index in 0..automaton.match_len(state) {
                        matched(self.positions[automaton.match_pattern(state, index).as_usize()]);
                    }
                }
            }
            Engine::Lazy(lazy) => {
                let mut cache = lazy.caches.get();
                if lazy.run(&mut cache, &input, &self.positions, matched).is_none() {
                    lazy.run_slowly(&input, &self.positions, matched);
                }
            }
        }
    }
}

impl Lazy {
    /// `None`: the automaton can't read this text (a Unicode word boundary beside a byte that is not ASCII).
    fn run(
        &self,
        cache: &mut lazy::Cache,
        input: &Input<'_>,
        positions: &[usize],
        matched: &mut impl FnMut(usize),
    ) -> Option<()> {
        let automaton = &self.automaton;
        let mut state = automaton.start_state_forward(cache, input).ok()?;
        for &byte in input.haystack() {
            state = automaton.next_state(cache, state, byte).ok()?;
            if state.is_tagged() {
                if state.is_dead() {
                    return Some(());
                }
                if state.is_quit() {
                    return None;
                }
            }
        }
        state = automaton.next_eoi_state(cache, state).ok()?;
        if state.is_match() {
            for index in 0..automaton.match_len(cache, state) {
                matched(positions[automaton.match_pattern(cache, state, index).as_usize()]);
            }
        }
        Some(())
    }

    /// Simulates the pattern step by step. Allocates; only for texts that [`Lazy::run`] gave up on, and these come
    /// in single patterns only ([`Texts::Bytes`]).
    fn run_slowly(&self, input: &Input<'_>, positions: &[usize], matched: &mut impl FnMut(usize)) {
        let vm = PikeVM::builder()
            .configure(PikeVM::config().match_kind(MatchKind::All))
            .build_from_nfa(self.nfa.clone());
        let Ok(vm) = vm else { return };
        // All matches being equal, the longest one is reported: the whole text matches if any match reaches its end.
        if let ([position], Some(found)) = (positions, vm.find(&mut vm.create_cache(), input.clone()))
            && found.end() == input.end()
        {
            matched(*position);
        }
    }
}

fn parse(pattern: &str, texts: Texts) -> Result<regex_syntax::hir::Hir, String> {
    let read = |unicode| {
        syntax::parse_with(pattern, &syntax::Config::new().unicode(unicode).utf8(false))
            .map_err(|error| error.to_string())
    };
    match texts {
        // Patterns that name characters beyond ASCII need Unicode all the same.
        Texts::Ascii => read(false).or_else(|_| read(true)),
        Texts::Bytes => read(true),
    }
}

fn engine(nfa: NFA) -> Result<Engine, String> {
    let unicode_words = nfa.look_set_any().contains_word_unicode();
    if !unicode_words {
        let dense = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(DENSE_LIMIT))
                    .determinize_size_limit(Some(DENSE_LIMIT * 4)),
            )
            .build_from_nfa(&nfa);
        if let Ok(dense) = dense {
            return Ok(Engine::Dense(Box::new(dense)));
        }
    }
    let automaton = lazy::Builder::new()
        .configure(
            lazy::Config::new()
                .match_kind(MatchKind::All)
                .unicode_word_boundary(true)
                .cache_capacity(LAZY_CAPACITY)
                .skip_cache_capacity_check(true),
        )
        .build_from_nfa(nfa.clone())
        .map_err(|error| error.to_string())?;
    let template = automaton.clone();
    Ok(Engine::Lazy(Box::new(Lazy {
        automaton,
        caches: Pool::new(Box::new(move || template.create_cache())),
        nfa,
    })))
}

/// Of one automaton's source; `(.{900}){900}` stays out, anything that a person writes goes in.
const NFA_LIMIT: usize = 16 << 20;
/// Hosts with a few expressions stay far below; a host with thousands uses the lazy automaton.
const DENSE_LIMIT: usize = 256 << 10;
/// Per thread that looks something up.
const LAZY_CAPACITY: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::{Engine, Patterns, Texts};

    fn matching(patterns: &[&str], text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        Patterns::compile(patterns, Texts::Ascii)
            .each_match(text.as_bytes(), |position| found.push(position));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_pattern_matches_the_whole_text_or_not_at_all() {
        for (pattern, text, expected) in [
            ("/a|/ab", "/ab", true),
            ("/a|/ab", "/a", true),
            ("/a|/ab", "/abc", false),
            ("/a", "/x/a", false),
            ("/.*", "/", true),
            ("^/a$", "/a", true),
            ("/a*?", "/aaa", true),
            ("/[0-9]+", "/12", true),
            ("/[0-9]+", "/12x", false),
            ("(?i)/A", "/a", true),
            ("/a\\b.*", "/a-b", true),
            ("/a\\b.*", "/ab", false),
            ("(?x) /a # comment", "/a", true),
            ("", "", true),
            ("", "/", false),
        ] {
            assert_eq!(
                !matching(&[pattern], text).is_empty(),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn all_patterns_of_a_set_that_match_are_found() {
        let patterns = ["/a/[^/]+", "/a/.*", "/b", "/a/(", "/a/1|/b"];
        assert_eq!(matching(&patterns, "/a/1"), [0, 1, 4]);
        assert_eq!(matching(&patterns, "/b"), [2, 4]);
        assert_eq!(matching(&patterns, "/c"), []);
        assert!(Patterns::compile(&patterns, Texts::Ascii).error(3).is_some());
    }

    #[test]
    fn a_large_set_is_built_as_it_runs_and_gives_the_same_answers() {
        let patterns: Vec<String> = (0..3000).map(|n| format!("/item-{n}/[a-z]+/(x|y)*")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let compiled = Patterns::compile(&patterns, Texts::Ascii);
        assert!(
            compiled
                .parts
                .iter()
                .any(|part| matches!(part.engine, Engine::Lazy(_)))
        );
        let mut found = Vec::new();
        compiled.each_match(b"/item-2345/abc/xyx", |position| found.push(position));
        assert_eq!(found, [2345]);
    }

    #[test]
    fn one_pattern_that_is_too_large_does_not_spoil_the_others() {
        let compiled = Patterns::compile(&["/ok", "(?s-u:.){900}{900}", "/fine"], Texts::Bytes);
        assert!(compiled.error(1).is_some() && compiled.error(0).is_none());
        assert!(compiled.is_match(b"/ok") && compiled.is_match(b"/fine") && !compiled.is_match(b"/no"));
    }

    #[test]
    fn unicode_word_boundaries_work_on_values_that_are_not_ascii() {
        let compiled = Patterns::compile(&[r"\bä\b.*"], Texts::Bytes);
        assert!(compiled.is_match("ä b".as_bytes()));
        assert!(!compiled.is_match("äb".as_bytes()));
        assert!(!compiled.is_match(b"\xff"));
    }
}
