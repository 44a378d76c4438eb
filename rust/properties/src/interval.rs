//! `interval`: its length by plain sums, and its text read back.

use wire::interval::{interval, Interval};
use wire::text;

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

pub fn any_bytes(data: &[u8]) {
    let Ok(value) = interval(data) else {
        return;
    };
    let span = value.span();
    assert!((0..86_400).contains(&span.seconds) && (0..1_000_000).contains(&span.micros));
    let length =
        i128::from(span.days) * DAY + i128::from(span.seconds) * SECOND + i128::from(span.micros);
    let (years, months) = (value.months / 12, value.months % 12);
    let days = i128::from(years) * 365 + i128::from(months) * 30 + i128::from(value.days);
    assert_eq!(length, days * DAY + i128::from(value.micros));
    let text = value.print();
    assert_eq!(parse(&text), value);
    assert_eq!(text::interval::interval(text.as_bytes()), Ok(value));
}

/// Each part has a sign of its own.
fn parse(text: &str) -> Interval {
    let mut value = Interval { months: 0, days: 0, micros: 0 };
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            value.micros = clock(word);
            continue;
        }
        let count: i32 = word.parse().unwrap();
        match words.next().unwrap().trim_end_matches('s') {
            "year" => value.months += 12 * count,
            "mon" => value.months += count,
            "day" => value.days = count,
            unit => panic!("no unit: {unit}"),
        }
    }
    value
}

fn clock(text: &str) -> i64 {
    let magnitude = text.trim_start_matches(['+', '-']);
    let fields: Vec<&str> = magnitude.split([':', '.']).collect();
    let number = |index: usize| fields[index].parse::<i128>().unwrap();
    let seconds = number(0) * 3600 + number(1) * 60 + number(2);
    let fraction = fields.get(3).map_or(0, |digits| {
        assert!(!digits.ends_with('0'));
        format!("{digits:0<6}").parse().unwrap()
    });
    let micros = seconds * SECOND + fraction;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    (sign * micros).try_into().unwrap()
}
