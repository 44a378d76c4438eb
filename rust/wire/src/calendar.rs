//! Dates, times and timestamps: numbers counted from 2000-01-01 00:00.
//!
//! The fast path answers for the years that Python's `datetime` has (1 to 9999); what
//! lies outside is only ever printed, the way PostgreSQL prints it in ISO style.

use crate::reader::{exactly, numbers, Malformed};
use std::fmt;

/// Microseconds in a day.
pub const DAY: i64 = 86_400_000_000;

/// Days from 0000-03-01, where leap days fall at the end of a year, to 2000-01-01.
const SHIFT: i64 = 730_425;
/// Days in the 400 years after which the calendar repeats.
const ERA: i64 = 146_097;
/// Days from 0000-03-01 to 0001-01-01 and to 9999-12-31.
const PYTHON_DAYS: std::ops::RangeInclusive<i64> = 306..=3_652_364;

/// A day of the proleptic Gregorian calendar; year 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Astronomical year.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A time of day; 24:00:00 is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// 0 to 24.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999999.
    pub micro: u32,
}

/// A date or timestamp that Python cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// `-infinity`, or before year 1.
    TooSmall,
    /// `infinity`, or after year 9999.
    TooLarge,
}

numbers! {
    /// `date`: days since 2000-01-01; the extremes mean infinity.
    date: i32;
    /// `timestamp` and `timestamptz`: microseconds since 2000-01-01 (UTC); the extremes
    /// mean infinity.
    timestamp: i64;
}

/// `time`: microseconds since midnight.
///
/// # Errors
/// [`Malformed::Length`], or [`Malformed::Field`] outside of a day.
#[inline]
pub fn time(data: &[u8]) -> Result<Clock, Malformed> {
    let micros = exactly(data).map(i64::from_be_bytes)?;
    if !(0..=DAY).contains(&micros) {
        return Err(Malformed::Field {
            name: "microseconds of a day",
            expected: "from 0 to 86400000000",
            got: micros,
        });
    }
    Ok(Clock::of(micros))
}

/// `timetz`: the time of day, and seconds east of UTC.
///
/// # Errors
/// As [`time`], or [`Malformed::Field`] for an offset of a day or more.
#[inline]
pub fn timetz(data: &[u8]) -> Result<(Clock, i32), Malformed> {
    let bytes = exactly::<12>(data)?;
    let (micros, west) = bytes.split_at(8);
    let west = exactly(west).map(i32::from_be_bytes)?;
    if !(-86_399..=86_399).contains(&west) {
        return Err(Malformed::Field {
            name: "seconds west of UTC",
            expected: "within a day",
            got: west.into(),
        });
    }
    Ok((time(micros)?, -west))
}

impl Clock {
    /// Whether it is a time of a day, 24:00:00 at the latest.
    #[inline]
    #[must_use]
    pub fn is_sound(self) -> bool {
        self.minute < 60 && self.second < 60 && self.micro < 1_000_000 && self.micros() <= DAY
    }

    /// Microseconds after midnight.
    #[inline]
    #[must_use]
    pub fn micros(self) -> i64 {
        let minutes = i64::from(self.hour) * 60 + i64::from(self.minute);
        (minutes * 60 + i64::from(self.second)) * 1_000_000 + i64::from(self.micro)
    }

    /// The time of day `micros` after midnight; `micros` is at most [`DAY`].
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn of(micros: i64) -> Self {
        let seconds = (micros / 1_000_000) as u32;
        Self {
            hour: (seconds / 3600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            micro: (micros % 1_000_000) as u32,
        }
    }
}

impl Day {
    /// This day of the years 1 to 9999, if the calendar has it.
    #[inline]
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let exists = (1..=9999).contains(&year) && (1..=length).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// Days after 2000-01-01: the inverse of [`Day::in_python`].
    #[inline]
    #[must_use]
    pub fn days(self) -> i64 {
        // Years that begin in March, where leap days fall at the end.
        let (year, month) = if self.month > 2 {
            (self.year, i64::from(self.month) - 3)
        } else {
            (self.year - 1, i64::from(self.month) + 9)
        };
        let year = i64::from(year);
        let leap_days = year / 4 - year / 100 + year / 400;
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        365 * year + leap_days + of_year - SHIFT
    }

    /// The day `days` after 2000-01-01, if Python has it.
    ///
    /// # Errors
    /// [`OutOfRange`] outside of the years 1 to 9999.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn in_python(days: i64) -> Result<Self, OutOfRange> {
        let shifted = days.wrapping_add(SHIFT);
        if PYTHON_DAYS.contains(&shifted) {
            Ok(Self::of_shifted(shifted as u32))
        } else if days < 0 {
            Err(OutOfRange::TooSmall)
        } else {
            Err(OutOfRange::TooLarge)
        }
    }

    /// The day `days` after 2000-01-01, in any year that an `int8` of microseconds or an
    /// `int4` of days can reach.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn anywhere(days: i64) -> Self {
        let shifted = days + SHIFT;
        let mut day = Self::of_shifted(shifted.rem_euclid(ERA) as u32);
        day.year += (shifted.div_euclid(ERA) * 400) as i32;
        day
    }

    /// Euclidean affine functions instead of tables or loops: Neri and Schneider,
    /// "Euclidean affine functions and their application to calendar algorithms" (2022).
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    fn of_shifted(days: u32) -> Self {
        let quarter_days = 4 * days + 3;
        let century = quarter_days / 146_097;
        let of_century = (quarter_days % 146_097) | 3;
        let product = u64::from(of_century) * 2_939_745;
        let of_year = (product as u32) / 2_939_745 / 4;
        let month_day = 2141 * of_year + 197_913;
        let after_new_year = of_year >= 306;
        let year = 100 * century + (product >> 32) as u32 + u32::from(after_new_year);
        let month = (month_day >> 16) - if after_new_year { 12 } else { 0 };
        Self { year: year as i32, month: month as u8, day: ((month_day & 0xFFFF) / 2141 + 1) as u8 }
    }

    /// `YYYY-MM-DD`, where 1 BC is printed as year 1 and the caller appends the era.
    fn print(self, out: &mut String) -> fmt::Result {
        use fmt::Write;
        let year = if self.year > 0 { self.year } else { 1 - self.year };
        write!(out, "{year:04}-{:02}-{:02}", self.month, self.day)
    }

    fn era(self) -> &'static str {
        if self.year > 0 {
            ""
        } else {
            " BC"
        }
    }
}

/// Whole days and the microseconds left, for any timestamp.
#[inline]
#[must_use]
pub fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY), micros.rem_euclid(DAY))
}

/// A `date` as PostgreSQL prints it.
#[must_use]
pub fn print_date(days: i32) -> String {
    if let Some(infinite) = infinity(days == i32::MAX, days == i32::MIN) {
        return infinite;
    }
    let day = Day::anywhere(days.into());
    let mut out = String::new();
    let _ = day.print(&mut out);
    out + day.era()
}

/// A `timestamp`, or with the zone's seconds east of UTC a `timestamptz`, as PostgreSQL
/// prints it.
#[must_use]
pub fn print_timestamp(micros: i64, east: Option<i32>) -> String {
    if let Some(infinite) = infinity(micros == i64::MAX, micros == i64::MIN) {
        return infinite;
    }
    // Days apart from the time of day: adding an offset to the microseconds could overflow.
    let (days, of_day) = split(micros);
    let (carry, of_day) = split(of_day + i64::from(east.unwrap_or(0)) * 1_000_000);
    let day = Day::anywhere(days + carry);
    let mut out = String::new();
    let _ = day.print(&mut out);
    out.push(' ');
    out += &print_time(Clock::of(of_day), east);
    out + day.era()
}

/// A `time`, or with seconds east of UTC a `timetz`, as PostgreSQL prints it.
#[must_use]
pub fn print_time(clock: Clock, east: Option<i32>) -> String {
    use fmt::Write;
    let Clock { hour, minute, second, micro } = clock;
    let mut out = format!("{hour:02}:{minute:02}:{second:02}");
    out += &fraction(micro.into());
    if let Some(east) = east {
        let seconds = east.unsigned_abs();
        out.push(if east < 0 { '-' } else { '+' });
        let _ = write!(out, "{:02}", seconds / 3600);
        if seconds % 3600 != 0 {
            let _ = write!(out, ":{:02}", seconds / 60 % 60);
        }
        if seconds % 60 != 0 {
            let _ = write!(out, ":{:02}", seconds % 60);
        }
    }
    out
}

/// `.25` for 250000 microseconds, nothing for none.
pub(crate) fn fraction(micros: u64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

fn infinity(positive: bool, negative: bool) -> Option<String> {
    match (positive, negative) {
        (true, _) => Some("infinity".to_owned()),
        (_, true) => Some("-infinity".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u8, day: u8) -> Day {
        Day { year, month, day }
    }

    /// Days since 2000-01-01 by counting, the slow way.
    fn walk(from_year: i32, to_year: i32) -> impl Iterator<Item = Day> {
        (from_year..=to_year).flat_map(|year| {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                .into_iter()
                .zip(1..)
                .flat_map(move |(length, month)| (1..=length).map(move |d| day(year, month, d)))
        })
    }

    #[test]
    fn every_day_that_python_has() {
        let mut days = -730_119;
        for expected in walk(1, 9999) {
            assert_eq!(Day::in_python(days), Ok(expected));
            assert_eq!(Day::anywhere(days), expected);
            assert_eq!(expected.days(), days);
            let Day { year, month, day } = expected;
            assert_eq!(Day::new(year, month, day), Some(expected));
            days += 1;
        }
        assert_eq!(days, 2_921_940);
        assert_eq!(Day::in_python(days), Err(OutOfRange::TooLarge));
        assert_eq!(Day::in_python(-730_120), Err(OutOfRange::TooSmall));
        assert_eq!(Day::in_python(i64::MAX), Err(OutOfRange::TooLarge));
        assert_eq!(Day::in_python(i64::MIN), Err(OutOfRange::TooSmall));
    }

    #[test]
    fn days_that_do_not_exist() {
        for (year, month, day) in [
            (0, 1, 1),
            (10_000, 1, 1),
            (2024, 0, 1),
            (2024, 13, 1),
            (2024, 1, 0),
            (2024, 1, 32),
            (2024, 4, 31),
            (1900, 2, 29),
        ] {
            assert_eq!(Day::new(year, month, day), None);
        }
    }

    #[test]
    fn prints_as_postgresql_does() {
        assert_eq!(print_date(i32::MAX), "infinity");
        assert_eq!(print_date(2_921_940), "10000-01-01");
        assert_eq!(print_date(-730_120), "0001-12-31 BC");
        assert_eq!(print_date(-746_117), "0044-03-15 BC");
        assert_eq!(print_timestamp(i64::MIN, None), "-infinity");
        assert_eq!(print_timestamp(1_500_000, None), "2000-01-01 00:00:01.5");
        assert_eq!(print_timestamp(-730_120 * DAY, Some(0)), "0001-12-31 00:00:00+00 BC");
        assert_eq!(
            print_timestamp(0, Some(-(5 * 3600 + 50 * 60 + 36))),
            "1999-12-31 18:09:24-05:50:36"
        );
        assert_eq!(print_time(Clock::of(DAY), Some(19_800)), "24:00:00+05:30");
        let _ = print_timestamp(i64::MAX - 1, Some(86_399));
        let _ = print_timestamp(i64::MIN + 1, Some(-86_399));
    }

    #[test]
    fn times_stay_within_a_day() {
        assert_eq!(time(&DAY.to_be_bytes()).unwrap().hour, 24);
        assert!(time(&(DAY + 1).to_be_bytes()).is_err());
        assert!(time(&(-1_i64).to_be_bytes()).is_err());
        assert!(timetz(&[0; 11]).is_err());
    }
}
