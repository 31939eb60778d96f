//! What may stand where, and how it is cut.

use super::*;

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    header(kind, payload.len(), &mut out);
    out.put_slice(payload);
    out.to_vec()
}

/// All pieces, with content that belongs together put together.
fn read(mut reader: Reader, bytes: &[u8], size: usize) -> Result<(Vec<Piece>, bool), Code> {
    let mut pieces: Vec<Piece> = Vec::new();
    for chunk in bytes.chunks(size) {
        let mut input = Bytes::copy_from_slice(chunk);
        while let Some(piece) = reader.next(&mut input)? {
            match (piece, pieces.last_mut()) {
                (Piece::Data(more), Some(Piece::Data(data))) => {
                    *data = [&data[..], &more[..]].concat().into();
                }
                (piece, _) => pieces.push(piece),
            }
        }
        assert!(input.is_empty());
    }
    Ok((pieces, reader.may_end()))
}

#[test]
fn frames_are_told_apart_however_they_are_cut() {
    let long = vec![7; 300];
    let bytes = [
        frame(RESERVED, b"xx"),
        frame(HEADERS, b"head"),
        frame(DATA, &long),
        frame(0x1f * 7 + 0x21, &[]),
        frame(DATA, b""),
        frame(HEADERS, b"trailer"),
        frame(RESERVED, b""),
    ]
    .concat();
    let expected = vec![
        Piece::Unknown,
        Piece::Section(Bytes::from_static(b"head")),
        Piece::Data(long.clone().into()),
        Piece::Unknown,
        Piece::Section(Bytes::from_static(b"trailer")),
        Piece::Unknown,
    ];
    for size in 1..bytes.len() {
        let reader = Reader::message(100);
        assert_eq!(
            read(reader, &bytes, size),
            Ok((expected.clone(), true)),
            "pieces of {size}"
        );
    }
    for cut in [1, 3, 5, 20, 100] {
        let (_, may_end) = read(Reader::message(100), &bytes[..cut], 1000).unwrap();
        assert!(!may_end, "cut at {cut}");
    }
}

type Read = Result<(), Code>;

#[test]
fn what_stands_in_the_wrong_place_is_named() {
    let message = |frames: &[Vec<u8>]| read(Reader::message(100), &frames.concat(), 1000).map(|_| ());
    let control = |frames: &[Vec<u8>]| read(Reader::control(), &frames.concat(), 1000).map(|_| ());
    let (head, data) = (frame(HEADERS, b"h"), frame(DATA, b"d"));
    let settings = frame(SETTINGS, &[]);
    let with = |payload: &[u8]| control(&[frame(SETTINGS, payload)]);
    let table: &[(&str, Read, Read)] = &[
        (
            "content first",
            message(std::slice::from_ref(&data)),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "content behind the trailer",
            message(&[head.clone(), head.clone(), data.clone()]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "three heads",
            message(&[head.clone(), head.clone(), head.clone()]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "settings",
            message(std::slice::from_ref(&settings)),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "GOAWAY",
            message(&[head.clone(), frame(GOAWAY, &[0])]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "a push",
            message(&[frame(PUSH_PROMISE, &[0])]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "HTTP/2's PING",
            message(&[frame(6, &[0; 8])]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "no settings",
            control(&[frame(GOAWAY, &[0])]),
            Err(Code::MISSING_SETTINGS),
        ),
        (
            "unknown before settings",
            control(&[frame(RESERVED, &[])]),
            Err(Code::MISSING_SETTINGS),
        ),
        (
            "settings twice",
            control(&[settings.clone(), settings.clone()]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "a head",
            control(&[settings.clone(), head]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        (
            "content",
            control(&[settings.clone(), data]),
            Err(Code::FRAME_UNEXPECTED),
        ),
        ("HTTP/2's setting", with(&[2, 0]), Err(Code::SETTINGS_ERROR)),
        ("a setting twice", with(&[6, 1, 6, 1]), Err(Code::SETTINGS_ERROR)),
        ("no truth value", with(&[8, 2]), Err(Code::SETTINGS_ERROR)),
        ("half a setting", with(&[6]), Err(Code::FRAME_ERROR)),
        (
            "known and unknown ones",
            with(&[1, 0, 6, 9, 7, 16, 8, 1, 0x21, 3]),
            Ok(()),
        ),
        (
            "long GOAWAY",
            control(&[settings.clone(), frame(GOAWAY, &[0, 0])]),
            Err(Code::FRAME_ERROR),
        ),
        (
            "empty GOAWAY",
            control(&[settings.clone(), frame(GOAWAY, &[])]),
            Err(Code::FRAME_ERROR),
        ),
        (
            "a push cancelled",
            control(&[settings.clone(), frame(CANCEL_PUSH, &[0])]),
            Err(Code::ID_ERROR),
        ),
        (
            "endless settings",
            control(&[frame(SETTINGS, &[0x40; 1025])]),
            Err(Code::EXCESSIVE_LOAD),
        ),
    ];
    for (what, found, expected) in table {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_section_beyond_the_limit_is_passed_over_and_what_is_sent_can_be_read() {
    let bytes = [frame(HEADERS, &[1; 101]), frame(DATA, b"d")].concat();
    let expected = vec![Piece::LongSection, Piece::Data(Bytes::from_static(b"d"))];
    assert_eq!(read(Reader::message(100), &bytes, 7), Ok((expected, true)));
    let mut out = BytesMut::new();
    write_control(77, &mut out);
    write_goaway(8, &mut out);
    let settings = Settings {
        most_fields: Some(77),
        extended_connect: true,
    };
    let expected = vec![Piece::Settings(settings), Piece::GoAway(8)];
    assert_eq!(out[0], 0, "the stream's type");
    assert_eq!(read(Reader::control(), &out[1..], 1), Ok((expected, true)));
}
