//! Dates and times: the calendar counted another way, and the text read back.

use wire::calendar::{
    date, print_date, print_time, print_timestamp, split, time, timestamp, timetz, Clock, Day, DAY,
};

pub fn any_bytes(data: &[u8]) {
    if let Ok(days) = date(data) {
        day(days.into());
        read_date(&print_date(days), days);
    }
    if let Ok(clock) = time(data) {
        assert_eq!(micros_of(clock).to_be_bytes(), data);
        assert_eq!(read_time(&print_time(clock, None)), (micros_of(clock), 0));
    }
    if let Ok((clock, east)) = timetz(data) {
        let sent = (micros_of(clock), east);
        assert_eq!([&sent.0.to_be_bytes()[..], &(-east).to_be_bytes()].concat(), data);
        assert_eq!(read_time(&print_time(clock, Some(east))), sent);
    }
    if let Some((sent, offset)) = data.split_first_chunk::<8>() {
        let micros = timestamp(sent).unwrap();
        let (days, of_day) = split(micros);
        assert_eq!(i128::from(days) * i128::from(DAY) + i128::from(of_day), micros.into());
        assert_eq!(micros_of(Clock::of(of_day)), of_day);
        day(days);
        read_timestamp(micros, offset.first_chunk().copied().map(i32::from_be_bytes));
    }
}

/// Both conversions of a day number against the sums of the calendar's rules.
fn day(days: i64) {
    let found = Day::anywhere(days);
    assert_eq!(count(found), days);
    assert!((1..=12).contains(&found.month));
    assert!((1..=length(found.year, found.month)).contains(&found.day));
    let python = (1..=9999).contains(&found.year);
    assert_eq!(Day::in_python(days).ok(), python.then_some(found));
}

/// Days since 2000-01-01.
fn count(day: Day) -> i64 {
    let before = i64::from(day.year) - 1;
    let leap = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let months = (1..day.month).map(|month| i64::from(length(day.year, month)));
    before * 365 + leap + months.sum::<i64>() + i64::from(day.day) - 1 - 730_119
}

fn length(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn micros_of(clock: Clock) -> i64 {
    let minutes = i64::from(clock.hour) * 60 + i64::from(clock.minute);
    (minutes * 60 + i64::from(clock.second)) * 1_000_000 + i64::from(clock.micro)
}

fn read_date(text: &str, days: i32) {
    match text {
        "infinity" => assert_eq!(days, i32::MAX),
        "-infinity" => assert_eq!(days, i32::MIN),
        _ => assert_eq!(parse_date(text), i64::from(days)),
    }
}

fn parse_date(text: &str) -> i64 {
    let (text, era) = match text.strip_suffix(" BC") {
        Some(text) => (text, -1),
        None => (text, 1),
    };
    let fields: Vec<i32> = text.split('-').map(|field| field.parse().unwrap()).collect();
    let year = if era < 0 { 1 - fields[0] } else { fields[0] };
    count(Day { year, month: fields[1].try_into().unwrap(), day: fields[2].try_into().unwrap() })
}

/// Microseconds since midnight and seconds east of UTC.
fn read_time(text: &str) -> (i64, i32) {
    let zone = text.find(['+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let fraction: i64 = format!("{fraction:0<6}").parse().unwrap();
    let east = sexagesimal(zone.trim_start_matches(['+', '-']));
    let east = if zone.starts_with('-') { -east } else { east };
    (sexagesimal(clock) * 1_000_000 + fraction, east.try_into().unwrap())
}

/// Seconds of `hh`, `hh:mm` or `hh:mm:ss`.
fn sexagesimal(text: &str) -> i64 {
    let fields = text.split(':').filter(|field| !field.is_empty());
    let seconds = fields.zip([3600, 60, 1]);
    seconds.map(|(field, unit)| field.parse::<i64>().unwrap() * unit).sum()
}

fn read_timestamp(micros: i64, east: Option<i32>) {
    let east = east.map(|east| east % 86_400);
    let text = print_timestamp(micros, east);
    match text.as_str() {
        "infinity" => return assert_eq!(micros, i64::MAX),
        "-infinity" => return assert_eq!(micros, i64::MIN),
        _ => (),
    }
    let era = if text.ends_with(" BC") { " BC" } else { "" };
    let (date, time) = text.trim_end_matches(" BC").split_once(' ').unwrap();
    let (of_day, offset) = read_time(time);
    assert_eq!(offset, east.unwrap_or(0));
    let local = i128::from(parse_date(&format!("{date}{era}"))) * i128::from(DAY);
    let utc = local + i128::from(of_day) - i128::from(offset) * 1_000_000;
    assert_eq!(utc, micros.into());
}
