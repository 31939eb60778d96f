//! Long YAML texts are parsed on several threads, in pieces of whole documents: at the start nothing is served until all is
//! read.

use super::tree::{Node, SyntaxError};
use super::yaml::parse_piece;
use std::panic::resume_unwind;
use std::thread;

/// The documents of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Node<'_>>, SyntaxError> {
    let mut documents = Vec::new();
    for mut piece in each(text, |piece| piece)? {
        documents.append(&mut piece);
    }
    Ok(documents)
}

/// What `read` makes of the documents of each piece, in order.
pub(super) fn each<'t, T: Send>(
    text: &'t str,
    read: impl Fn(Vec<Node<'t>>) -> T + Sync,
) -> Result<Vec<T>, SyntaxError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let pieces = pieces(text, threads.min(MOST_PIECES).min(text.len() / LEAST_PIECE));
    let work = |piece, lines| parse_piece(piece, lines).map(&read);
    let [(first, _), others @ ..] = &pieces[..] else {
        return work(text, 0).map(|all| vec![all]);
    };
    thread::scope(|scope| {
        let work = &work;
        let start = |&(piece, lines)| scope.spawn(move || work(piece, lines));
        let others: Vec<_> = others.iter().map(start).collect();
        // The first mistake in the file is the one that is told.
        let mut done = vec![work(first, 0)?];
        for thread in others {
            done.push(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(done)
    })
}

/// Cuts a text between documents into about so many pieces; each with the number of lines before it. Nothing: it is
/// not to be cut.
fn pieces(text: &str, count: usize) -> Vec<(&str, u32)> {
    // Directives stand before the `---` of their document. Nobody writes them, so nobody waits for them.
    if count < 2 || text.starts_with('%') || text.contains("\n%") {
        return Vec::new();
    }
    let mut pieces = Vec::new();
    let (mut rest, mut lines) = (text, 0);
    for left in (2..=count).rev() {
        let Some(end) = document_after(rest, rest.len() / left) else {
            break;
        };
        let (piece, behind) = rest.split_at(end);
        pieces.push((piece, lines));
        lines += piece.bytes().filter(|&byte| byte == b'\n').count() as u32;
        rest = behind;
    }
    pieces.push((rest, lines));
    pieces
}

/// Where the first document begins behind `from` (YAML 1.2.2 §9.1.2: `---` at the start of a line is nothing else).
fn document_after(text: &str, from: usize) -> Option<usize> {
    let begins = |window: &[u8]| matches!(window, [b'\n', b'-', b'-', b'-', b' ' | b'\t' | b'\r' | b'\n']);
    let at = text.as_bytes()[from..].windows(5).position(begins)?;
    Some(from + at + 1)
}

/// Documents of a file are parsed on several threads if each gets so many bytes.
const LEAST_PIECE: usize = 128 * 1024;
/// And on no more threads than these.
const MOST_PIECES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_text_in_pieces_says_the_same_as_in_one() {
        let mut text = String::new();
        for number in 0..200 {
            let _ = writeln!(
                text,
                "a: {number}\ntext: |\n  ---\n  é\n--- # next\nb: [{number}]\n---"
            );
        }
        let whole = parse_piece(&text, 0).unwrap();
        for count in 1..9 {
            let pieces = pieces(&text, count);
            assert_eq!(pieces.len(), if count == 1 { 0 } else { count });
            assert_eq!(
                count == 1,
                pieces.iter().map(|(piece, _)| *piece).collect::<String>() != text
            );
            if count > 1 {
                let parsed: Vec<_> = pieces
                    .iter()
                    .flat_map(|&(piece, lines)| parse_piece(piece, lines).unwrap())
                    .collect();
                assert_eq!(format!("{parsed:?}"), format!("{whole:?}"), "{count}");
            }
        }
        assert!(pieces(&text.replace("--- #", "%TAG ! x\n--- #"), 4).is_empty());
        assert_eq!(pieces(&"a: 1\n".repeat(1000), 4).len(), 1);
    }

    #[test]
    fn the_first_mistake_of_a_long_text_is_told_with_its_line() {
        let good = "a: 1\n---\n".repeat(60_000);
        let text = format!("{good}b: [\n---\n{good}c: ]\n");
        assert_eq!(parse(&text).unwrap_err().mark.line, 120_001);
        assert_eq!(parse(&good).unwrap().len(), one_by_one(&good));
    }

    fn one_by_one(text: &str) -> usize {
        parse_piece(text, 0).unwrap().len()
    }
}
