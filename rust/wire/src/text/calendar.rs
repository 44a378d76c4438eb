//! Dates, times and timestamps, in ISO style.

use super::scan::Scan;
use crate::calendar::{split, Clock, Day, OutOfRange};
use crate::Malformed;

/// A value that Python may have no room for.
pub type InPython<T> = Result<T, OutOfRange>;

/// A `timestamptz` as it is printed: local time and seconds east of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoned {
    /// The local day.
    pub day: Day,
    /// The local time of day.
    pub clock: Clock,
    /// Seconds east of UTC.
    pub east: i32,
}

/// `date`.
///
/// # Errors
/// [`Malformed::Text`]; so do all functions here.
#[inline]
pub fn date(data: &[u8]) -> Result<InPython<Day>, Malformed> {
    let parse = |scan: &mut Scan<'_>| Some(((), era(*scan)?));
    dated(data, parse)
        .map(|found| found.map(|(day, ())| day))
        .ok_or(Malformed::Text("a date as YYYY-MM-DD"))
}

/// `timestamp`.
///
/// # Errors
/// As [`date`].
#[inline]
pub fn timestamp(data: &[u8]) -> Result<InPython<(Day, Clock)>, Malformed> {
    let parse = |scan: &mut Scan<'_>| Some((clock_of_day(scan)?, era(*scan)?));
    dated(data, parse).ok_or(Malformed::Text("a timestamp as YYYY-MM-DD HH:MM:SS"))
}

/// `timestamptz`.
///
/// # Errors
/// As [`date`].
#[inline]
pub fn timestamptz(data: &[u8]) -> Result<InPython<Zoned>, Malformed> {
    let parse = |scan: &mut Scan<'_>| {
        let clock = clock_of_day(scan)?;
        Some(((clock, east(scan)?), era(*scan)?))
    };
    dated(data, parse)
        .map(|found| found.map(|(day, (clock, east))| Zoned { day, clock, east }))
        .ok_or(Malformed::Text("a timestamp as YYYY-MM-DD HH:MM:SS+HH"))
}

/// `time`; 24:00:00 is one.
///
/// # Errors
/// As [`date`].
#[inline]
pub fn time(data: &[u8]) -> Result<Clock, Malformed> {
    let mut scan = Scan::new(data);
    clock(&mut scan).filter(|_| scan.is_done()).ok_or(Malformed::Text("a time as HH:MM:SS"))
}

/// `timetz`: the time of day, and seconds east of UTC.
///
/// # Errors
/// As [`date`].
#[inline]
pub fn timetz(data: &[u8]) -> Result<(Clock, i32), Malformed> {
    let mut scan = Scan::new(data);
    clock(&mut scan)
        .and_then(|clock| Some((clock, east(&mut scan)?)))
        .filter(|_| scan.is_done())
        .ok_or(Malformed::Text("a time as HH:MM:SS+HH"))
}

impl Zoned {
    /// The same instant in UTC.
    ///
    /// # Errors
    /// [`OutOfRange`] where UTC lies outside of Python's years.
    #[inline]
    pub fn utc(self) -> InPython<(Day, Clock)> {
        if self.east == 0 {
            return Ok((self.day, self.clock));
        }
        let (carry, of_day) = split(self.clock.micros() - i64::from(self.east) * 1_000_000);
        Ok((Day::in_python(self.day.days() + carry)?, Clock::of(of_day)))
    }
}

/// Whether the year counts backwards.
struct Era {
    bc: bool,
}

/// A day, and what `rest` makes of the text behind it.
#[inline]
fn dated<T>(
    data: &[u8],
    rest: impl FnOnce(&mut Scan<'_>) -> Option<(T, Era)>,
) -> Option<InPython<(Day, T)>> {
    let mut scan = Scan::new(data);
    let Some(year) = scan.number() else {
        return infinity(data);
    };
    scan.byte(b'-')?;
    let month = scan.two_digits()?;
    scan.byte(b'-')?;
    let day = scan.two_digits()?;
    let (value, Era { bc }) = rest(&mut scan)?;
    if bc {
        return Some(Err(OutOfRange::TooSmall));
    }
    if year > 9999 {
        return Some(Err(OutOfRange::TooLarge));
    }
    let day = Day::new(i32::try_from(year).ok()?, month, day)?;
    Some(Ok((day, value)))
}

#[cold]
fn infinity<T>(data: &[u8]) -> Option<InPython<T>> {
    match data {
        b"infinity" => Some(Err(OutOfRange::TooLarge)),
        b"-infinity" => Some(Err(OutOfRange::TooSmall)),
        _ => None,
    }
}

/// The end of the value, or ` BC` and the end.
#[inline]
fn era(mut scan: Scan<'_>) -> Option<Era> {
    let bc = scan.skip(b" BC");
    scan.done().map(|()| Era { bc })
}

/// A space and the time, of a timestamp.
#[inline]
fn clock_of_day(scan: &mut Scan<'_>) -> Option<Clock> {
    scan.byte(b' ')?;
    clock(scan).filter(|clock| clock.hour < 24)
}

#[inline]
fn clock(scan: &mut Scan<'_>) -> Option<Clock> {
    let hour = scan.two_digits()?;
    scan.byte(b':')?;
    let minute = scan.two_digits()?;
    scan.byte(b':')?;
    let clock = Clock { hour, minute, second: scan.two_digits()?, micro: scan.fraction()? };
    clock.is_sound().then_some(clock)
}

/// Seconds east of UTC: a sign, hours, and minutes and seconds where they are not zero.
#[inline]
fn east(scan: &mut Scan<'_>) -> Option<i32> {
    let west = match scan.skip(b"+") {
        true => false,
        false => scan.byte(b'-').map(|()| true)?,
    };
    let mut seconds = 3600 * i32::from(scan.two_digits()?);
    for unit in [60, 1] {
        if scan.skip(b":") {
            seconds += unit * i32::from(scan.two_digits()?);
        }
    }
    // Python has no offsets of a day or more.
    (seconds < 86_400).then_some(if west { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{print_date, print_time, print_timestamp, DAY};
    use crate::text::refused;
    use OutOfRange::{TooLarge, TooSmall};

    #[test]
    fn every_date_that_is_printed() {
        for days in -730_119..2_921_940 {
            let expected = Day::in_python(days.into());
            assert_eq!(date(print_date(days).as_bytes()), Ok(expected));
        }
        for days in [i32::MIN, -730_120, 2_921_940, i32::MAX - 1, i32::MAX] {
            let expected = if days < 0 { TooSmall } else { TooLarge };
            assert_eq!(date(print_date(days).as_bytes()), Ok(Err(expected)));
        }
    }

    #[test]
    fn timestamps_that_are_printed() {
        let step = 7_654_321_987_654_i64;
        // The local time is in Python's years too.
        let mut micros = -730_118 * DAY;
        while let Ok(day) = Day::in_python(split(micros).0) {
            let clock = Clock::of(split(micros).1);
            let text = print_timestamp(micros, None);
            assert_eq!(timestamp(text.as_bytes()), Ok(Ok((day, clock))));
            for east in [0, 19_800, -20_236] {
                let text = print_timestamp(micros, Some(east));
                let back = timestamptz(text.as_bytes()).unwrap();
                assert_eq!(back.and_then(Zoned::utc), Ok((day, clock)), "{text}");
            }
            micros += step;
        }
        for micros in [i64::MIN, -730_120 * DAY, 2_921_940 * DAY, i64::MAX] {
            let expected = Err(if micros < 0 { TooSmall } else { TooLarge });
            let text = print_timestamp(micros, None);
            assert_eq!(timestamp(text.as_bytes()), Ok(expected));
            let text = print_timestamp(micros, Some(0));
            assert_eq!(timestamptz(text.as_bytes()).map(|found| found.err()), Ok(expected.err()));
        }
    }

    #[test]
    fn local_time_may_be_in_python_where_utc_is_not() {
        let zoned = timestamptz(b"0001-01-01 00:00:00+01").unwrap().unwrap();
        assert_eq!(zoned.utc(), Err(TooSmall));
        let zoned = timestamptz(b"9999-12-31 23:59:59-00:00:01").unwrap().unwrap();
        assert_eq!(zoned.utc(), Err(TooLarge));
    }

    #[test]
    fn times_that_are_printed() {
        let mut micros = 0;
        while micros <= DAY {
            let clock = Clock::of(micros);
            assert_eq!(time(print_time(clock, None).as_bytes()), Ok(clock));
            for east in [0, 19_800, -20_236, 57_599] {
                let text = print_time(clock, Some(east));
                assert_eq!(timetz(text.as_bytes()), Ok((clock, east)));
            }
            micros += 12_345_679;
        }
        assert_eq!(time(b"24:00:00").map(|clock| clock.hour), Ok(24));
        assert_eq!(time(b"00:00:00.25").map(|clock| clock.micro), Ok(250_000));
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            date,
            &[
                b"",
                b"2024",
                b"2024-1-01",
                b"2024-13-01",
                b"2024-00-01",
                b"2024-02-30",
                b"2023-02-29",
                b"0000-01-01",
                b"2024-01-01 ",
                b"2024-01-01 AD",
                b"-2024-01-01",
                b"Infinity",
                b"01/02/2024",
                b"9999999999999999999-01-01",
            ],
        );
        refused(
            time,
            &[
                b"",
                b"24:00:01",
                b"00:60:00",
                b"00:00:60",
                b"0:00:00",
                b"00:00",
                b"00:00:00.",
                b"00:00:00.1234567",
                b"00:00:00+00",
            ],
        );
        refused(
            timetz,
            &[b"00:00:00", b"00:00:00+", b"00:00:00+1", b"00:00:00+24", b"00:00:00+00:00:00:00"],
        );
        refused(
            timestamp,
            &[
                b"2024-01-01",
                b"2024-01-01 24:00:00",
                b"2024-01-01T00:00:00",
                b"2024-01-01 00:00:00+00",
            ],
        );
        assert!(timestamptz(b"2024-01-01 00:00:00").is_err());
        assert!(timestamptz(b"2024-01-01 00:00:00 BC+00").is_err());
    }
}
