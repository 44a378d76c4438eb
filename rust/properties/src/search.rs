//! Text search: a `tsvector` is read back, a `tsquery` is balanced.

use wire::{tsquery::tsquery, tsvector::tsvector};

pub fn any_bytes(data: &[u8]) {
    let mut out = Vec::new();
    if tsvector(data, &mut out).is_ok() {
        assert_eq!(lexemes(&out), data);
    }
    let mut out = Vec::new();
    if tsquery(data, &mut out).is_ok() {
        let shown = outside_of_quotes(&out);
        let count = |byte| shown.iter().filter(|shown| **shown == byte).count();
        assert_eq!(count(b'('), count(b')'));
        let binary = count(b'&') + count(b'|') + count(b'>');
        let lexemes = count(b'\'') / 2;
        assert_eq!(lexemes, if out.is_empty() { 0 } else { binary + 1 });
    }
}

/// The quotes stay, what they enclose goes.
fn outside_of_quotes(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        shown.push(*first);
        rest = after;
        if *first == b'\'' {
            rest = unquote(rest).1;
            shown.push(b'\'');
        }
    }
    shown
}

/// What stands before the closing quote, and what stands behind it.
fn unquote(mut text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut word = Vec::new();
    loop {
        match text {
            [b'\'', b'\'', rest @ ..] | [b'\\', b'\\', rest @ ..] => {
                word.push(text[0]);
                text = rest;
            }
            [b'\'', rest @ ..] => return (word, rest),
            [byte, rest @ ..] => {
                word.push(*byte);
                text = rest;
            }
            [] => panic!("a quote is missing"),
        }
    }
}

/// A printed `tsvector` as it is sent.
fn lexemes(mut text: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    let mut count = 0_u32;
    while let Some(rest) = text.strip_prefix(b"'") {
        let (word, rest) = unquote(rest);
        sent.extend(word);
        sent.push(0);
        let end = rest.iter().position(|byte| *byte == b' ');
        let (positions, rest) = rest.split_at(end.unwrap_or(rest.len()));
        sent.extend(packed(positions));
        text = rest.strip_prefix(b" ").unwrap_or(rest);
        count += 1;
    }
    assert!(text.is_empty());
    [&count.to_be_bytes(), sent.as_slice()].concat()
}

fn packed(positions: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(positions).unwrap();
    let positions: Vec<u16> = match text.strip_prefix(':') {
        Some(positions) => positions.split(',').map(position).collect(),
        None => Vec::new(),
    };
    let count = u16::try_from(positions.len()).unwrap();
    let numbers = [count].into_iter().chain(positions);
    numbers.flat_map(u16::to_be_bytes).collect()
}

fn position(text: &str) -> u16 {
    let weight = text.find(['A', 'B', 'C']).map_or(0, |place| b'D' - text.as_bytes()[place]);
    let number: u16 = text.trim_end_matches(['A', 'B', 'C']).parse().unwrap();
    u16::from(weight) << 14 | number
}
