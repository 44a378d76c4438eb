//! Values that hold values: their pieces, every one quoted, are read as the same.

use wire::text::array::{array, Item};
use wire::text::hstore::Pairs;
use wire::text::range::{multirange, range, Range};

pub fn any_bytes(data: &[u8]) {
    an_array(data);
    an_hstore(data);
    if let Ok(Some(found)) = range(data) {
        assert_eq!(range(&printed(&found)), Ok(Some(found)));
    }
    if let Ok(ranges) = multirange(data) {
        let text = ranges.iter().map(printed).collect::<Vec<_>>().join(&b',');
        assert_eq!(multirange(&[b"{", text.as_slice(), b"}"].concat()), Ok(ranges));
    }
}

fn an_array(data: &[u8]) {
    let Some(items) = items(data) else {
        return;
    };
    let mut text = b"{".to_vec();
    for (place, item) in items.iter().enumerate() {
        let first = place == 0 || items[place - 1] == Item::Open;
        match item {
            Item::Close => (),
            _ if first => (),
            _ => text.push(b','),
        }
        match item {
            Item::Open => text.push(b'{'),
            Item::Close => text.push(b'}'),
            Item::Element(element) => text.extend(quote(element.as_deref())),
        }
    }
    assert_eq!(self::items(&text), Some(items));
}

fn items(data: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut array = array(data, b',').ok()?;
    let mut items = Vec::new();
    while array.end().is_err() {
        items.push(array.next_item().ok()?);
        assert!(items.len() < data.len());
    }
    assert!(array.next_item().is_err());
    Some(items)
}

fn an_hstore(data: &[u8]) {
    let Some(pairs) = pairs(data) else {
        return;
    };
    let text = pairs
        .iter()
        .map(|(key, value)| [quote(Some(key)), quote(value.as_deref())].join(&b"=>"[..]));
    let text = text.collect::<Vec<_>>().join(&b", "[..]);
    assert_eq!(self::pairs(&text), Some(pairs));
}

type Pair = (Vec<u8>, Option<Vec<u8>>);

fn pairs(data: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs = Pairs::new(data);
    let mut found = Vec::new();
    while let Some((key, value)) = pairs.next_pair().ok()? {
        found.push((key.into_owned(), value.map(|value| value.into_owned())));
    }
    Some(found)
}

fn printed(range: &Range<'_>) -> Vec<u8> {
    let bound = |bound: Option<&[u8]>| bound.map_or_else(Vec::new, |bound| quote(Some(bound)));
    let opening = if range.lower_inclusive { b"[" } else { b"(" };
    let closing = if range.upper_inclusive { b"]" } else { b")" };
    let (lower, upper) = (bound(range.lower.as_deref()), bound(range.upper.as_deref()));
    [&opening[..], &lower, b",", &upper, closing].concat()
}

/// In quotes, quotes and backslashes behind a backslash.
fn quote(text: Option<&[u8]>) -> Vec<u8> {
    let Some(text) = text else {
        return b"NULL".to_vec();
    };
    let mut quoted = vec![b'"'];
    for byte in text {
        quoted.extend(b"\"\\".contains(byte).then_some(b'\\'));
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted
}
