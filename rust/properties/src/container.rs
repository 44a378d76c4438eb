//! Values that hold values: their pieces, put together again, are what was read.
//!
//! The first byte chooses the type.

use wire::array::array;
use wire::hstore::hstore;
use wire::range::{bound, multirange, range};

type Element<'a> = Option<&'a [u8]>;

pub fn any_bytes(data: &[u8]) {
    match data.split_first() {
        Some((0, data)) => an_array(data),
        Some((1, data)) => a_range(data),
        Some((2, data)) => a_multirange(data),
        Some((_, data)) => an_hstore(data),
        None => (),
    }
}

fn an_array(data: &[u8]) {
    let Some((lengths, values)) = elements(data) else {
        return;
    };
    let oid = *data[8..].first_chunk().unwrap();
    let header = [lengths.len(), 0, u32::from_be_bytes(oid) as usize];
    let mut sent: Vec<u8> = header.into_iter().flat_map(number).collect();
    sent.extend(lengths.iter().flat_map(|length| [*length, 1]).flat_map(number));
    sent.extend(values.iter().copied().flat_map(value));
    assert_eq!(elements(&sent), Some((lengths, values)));
}

/// Of an array of any type.
fn elements(data: &[u8]) -> Option<(Vec<usize>, Vec<Element<'_>>)> {
    let oid = data.get(8..12)?.first_chunk()?;
    let array = array(data, u32::from_be_bytes(*oid)).ok()?;
    assert!(array.lengths().len() <= 6);
    let dimensions = array.lengths();
    let count = if dimensions.is_empty() { 0 } else { dimensions.iter().product() };
    assert!(count <= data.len() / 4, "room for {count} elements");
    let mut reader = array.elements();
    let values: Result<Vec<_>, _> = (0..count).map(|_| reader.value()).collect();
    let values = values.ok()?;
    reader.end().ok()?;
    Some((dimensions.to_vec(), values))
}

fn a_range(data: &[u8]) {
    let Ok(found) = range(data) else {
        return;
    };
    let sent = match found {
        None => vec![1],
        Some(range) => {
            let flags = [
                (range.lower_inclusive, 2),
                (range.upper_inclusive, 4),
                (range.lower.is_none(), 8),
                (range.upper.is_none(), 16),
            ];
            let flags = flags.into_iter().map(|(set, flag)| u8::from(set) * flag);
            let bounds = [range.lower, range.upper].into_iter().flatten();
            let bounds = bounds.flat_map(|bound| value(Some(bound)));
            [flags.sum()].into_iter().chain(bounds).collect()
        }
    };
    assert_eq!(range(&sent), Ok(found));
}

fn a_multirange(data: &[u8]) {
    let Ok((count, mut rest)) = multirange(data) else {
        return;
    };
    assert!(count <= data.len() / 5);
    let ranges: Result<Vec<_>, _> = (0..count).map(|_| bound(&mut rest)).collect();
    let (Ok(ranges), Ok(())) = (ranges, rest.end()) else {
        return;
    };
    ranges.iter().copied().for_each(a_range);
    let values = ranges.into_iter().flat_map(|data| value(Some(data)));
    assert_eq!(number(count).into_iter().chain(values).collect::<Vec<_>>(), data);
}

fn an_hstore(data: &[u8]) {
    let Ok(mut pairs) = hstore(data) else {
        return;
    };
    let mut sent = data[..4].to_vec();
    let mut count = 0;
    loop {
        match pairs.next_pair() {
            Ok(Some((key, found))) => sent.extend([Some(key), found].into_iter().flat_map(value)),
            Ok(None) => break,
            Err(_) => return,
        }
        count += 1;
    }
    assert_eq!((number(count).as_slice(), sent.as_slice()), (&data[..4], data));
}

#[allow(clippy::cast_possible_truncation)]
fn number(number: usize) -> [u8; 4] {
    (number as u32).to_be_bytes()
}

/// A value with its length in front.
fn value(data: Element<'_>) -> Vec<u8> {
    match data {
        Some(data) => [&number(data.len()), data].concat(),
        None => vec![0xFF; 4],
    }
}
