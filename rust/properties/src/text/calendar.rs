//! Dates and times: printed and read again, they are the same.

use wire::calendar::{print_date, print_time, print_timestamp, Clock, Day, OutOfRange, DAY};
use wire::text::calendar::{date, time, timestamp, timestamptz, timetz, Zoned};

pub fn any_bytes(data: &[u8]) {
    if let Ok(Ok(day)) = date(data) {
        let days = day.days().try_into().unwrap();
        assert_eq!(Day::in_python(day.days()), Ok(day));
        assert_eq!(date(print_date(days).as_bytes()), Ok(Ok(day)));
    }
    if let Ok(clock) = time(data) {
        assert_eq!(Clock::of(clock.micros()), clock);
        assert_eq!(time(print_time(clock, None).as_bytes()), Ok(clock));
    }
    if let Ok((clock, east)) = timetz(data) {
        let text = print_time(clock, Some(east));
        assert_eq!(timetz(text.as_bytes()), Ok((clock, east)));
    }
    if let Ok(Ok((day, clock))) = timestamp(data) {
        let text = print_timestamp(day.days() * DAY + clock.micros(), None);
        assert_eq!(timestamp(text.as_bytes()), Ok(Ok((day, clock))));
    }
    if let Ok(Ok(zoned)) = timestamptz(data) {
        local(zoned);
    }
}

fn local(zoned: Zoned) {
    let local = zoned.day.days() * DAY + zoned.clock.micros();
    let utc = local - i64::from(zoned.east) * 1_000_000;
    let text = print_timestamp(utc, Some(zoned.east));
    assert_eq!(timestamptz(text.as_bytes()), Ok(Ok(zoned)));
    let expected = Day::in_python(utc.div_euclid(DAY));
    let expected = expected.map(|day| (day, Clock::of(utc.rem_euclid(DAY))));
    assert_eq!(zoned.utc(), expected as Result<_, OutOfRange>);
}
