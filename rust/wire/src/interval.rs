//! `interval`: months, days and microseconds.

use crate::calendar::{fraction, DAY};
use crate::reader::{exactly, Malformed};

/// The three counters that PostgreSQL keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Months, years included.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds, hours included.
    pub micros: i64,
}

/// What a `timedelta` holds, days not yet limited to what it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Days of either sign.
    pub days: i64,
    /// 0 to 86399.
    pub seconds: i32,
    /// 0 to 999999.
    pub micros: i32,
}

/// `interval`.
///
/// # Errors
/// [`Malformed::Length`].
#[inline]
pub fn interval(data: &[u8]) -> Result<Interval, Malformed> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = exactly::<16>(data)?;
    Ok(Interval {
        micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        days: i32::from_be_bytes([i, j, k, l]),
        months: i32::from_be_bytes([m, n, o, p]),
    })
}

impl Interval {
    /// Either infinity, which PostgreSQL 17 and later have.
    #[inline]
    #[must_use]
    pub fn is_infinite(self) -> bool {
        matches!(
            (self.months, self.days, self.micros),
            (i32::MAX, i32::MAX, i64::MAX) | (i32::MIN, i32::MIN, i64::MIN)
        )
    }

    /// The length, a year being 365 days and a month 30.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn span(self) -> Span {
        let months = i64::from(self.months);
        let of_day = self.micros.rem_euclid(DAY);
        Span {
            days: months / 12 * 365
                + months % 12 * 30
                + i64::from(self.days)
                + self.micros.div_euclid(DAY),
            seconds: (of_day / 1_000_000) as i32,
            micros: (of_day % 1_000_000) as i32,
        }
    }

    /// As PostgreSQL prints it with `IntervalStyle` postgres.
    #[must_use]
    pub fn print(self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut after_negative = false;
        let fields = [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")];
        for (count, unit) in fields.into_iter().filter(|(count, _)| *count != 0) {
            let sign = if after_negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{sign}{count} {unit}{plural}"));
            after_negative = count < 0;
        }
        if self.micros != 0 || parts.is_empty() {
            let sign = match self.micros {
                ..=-1 => "-",
                _ if after_negative => "+",
                _ => "",
            };
            let micros = self.micros.unsigned_abs();
            let seconds = micros / 1_000_000;
            parts.push(format!(
                "{sign}{:02}:{:02}:{:02}{}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60,
                fraction(micros % 1_000_000),
            ));
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    #[test]
    fn years_and_months_have_fixed_lengths() {
        assert_eq!(of(14, 0, 0).span().days, 365 + 60);
        assert_eq!(of(-14, 1, 0).span().days, -365 - 60 + 1);
        let span = of(0, 0, -1).span();
        assert_eq!((span.days, span.seconds, span.micros), (-1, 86_399, 999_999));
        let _ = of(i32::MIN, i32::MIN, i64::MIN).span();
    }

    #[test]
    fn prints_as_postgresql_does() {
        assert_eq!(of(0, 0, 0).print(), "00:00:00");
        assert_eq!(of(14, -3, 14_706_789_000).print(), "1 year 2 mons -3 days +04:05:06.789");
        assert_eq!(of(-1, 1, -1).print(), "-1 mons +1 day -00:00:00.000001");
        assert_eq!(of(0, 999_999_999, DAY).print(), "999999999 days 24:00:00");
        let _ = of(i32::MIN, i32::MIN, i64::MIN).print();
    }

    #[test]
    fn only_the_extremes_are_infinite() {
        assert!(of(i32::MAX, i32::MAX, i64::MAX).is_infinite());
        assert!(of(i32::MIN, i32::MIN, i64::MIN).is_infinite());
        assert!(!of(i32::MAX, i32::MAX, 0).is_infinite());
        assert!(interval(&[0; 15]).is_err());
    }
}
