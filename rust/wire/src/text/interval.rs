//! `interval`, in the style "postgres".

use super::scan::Scan;
use crate::interval::Interval;
use crate::Malformed;

/// `interval`.
///
/// # Errors
/// [`Malformed::Text`].
#[inline]
pub fn interval(data: &[u8]) -> Result<Interval, Malformed> {
    parse(data).or_else(|| infinity(data)).ok_or(Malformed::Text("an interval of style postgres"))
}

#[inline]
fn parse(data: &[u8]) -> Option<Interval> {
    let mut scan = Scan::new(data);
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    loop {
        let negative = scan.sign();
        let number = scan.number()?;
        if scan.skip(b":") {
            micros = time(&mut scan, number, negative)?;
            break;
        }
        scan.byte(b' ')?;
        let number = if negative { -number } else { number };
        match scan.letters() {
            b"year" | b"years" => months = number.checked_mul(12)?,
            b"mon" | b"mons" => months = months.checked_add(number)?,
            b"day" | b"days" => days = number,
            _ => return None,
        }
        if scan.is_done() {
            break;
        }
        scan.byte(b' ')?;
    }
    scan.done()?;
    Some(Interval { months: i32::try_from(months).ok()?, days: i32::try_from(days).ok()?, micros })
}

/// The microseconds of `hours` and the `MM:SS.ffffff` that comes next.
#[inline]
fn time(scan: &mut Scan<'_>, hours: i64, negative: bool) -> Option<i64> {
    let minutes = scan.two_digits()?;
    scan.byte(b':')?;
    let seconds = scan.two_digits()?;
    let fraction = scan.fraction()?;
    let seconds = i64::from(minutes) * 60 + i64::from(seconds);
    let seconds = hours.checked_mul(3600)?.checked_add(seconds)?;
    // Unsigned: the most negative interval has no positive twin.
    let micros = u64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    let micros = micros.checked_add(fraction.into())?;
    if negative {
        0_i64.checked_sub_unsigned(micros)
    } else {
        i64::try_from(micros).ok()
    }
}

#[cold]
fn infinity(data: &[u8]) -> Option<Interval> {
    match data {
        b"infinity" => Some(Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX }),
        b"-infinity" => Some(Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DAY;
    use crate::text::refused;

    #[test]
    fn what_is_printed_comes_back() {
        for months in [0, 1, -1, 11, 12, 14, -14, 2_147_483_647, -2_147_483_648] {
            for days in [0, 1, -1, 5, i32::MIN, i32::MAX] {
                for micros in [0, 1, -1, 1_500_000, -DAY, DAY + 3, i64::MIN, i64::MAX] {
                    let value = Interval { months, days, micros };
                    let text = value.print();
                    assert_eq!(interval(text.as_bytes()), Ok(value), "{text}");
                }
            }
        }
        assert!(interval(b"infinity").unwrap().is_infinite());
        assert!(interval(b"-infinity").unwrap().is_infinite());
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            interval,
            &[
                b"",
                b"1",
                b"1 ",
                b"1 week",
                b"1 day ",
                b" 1 day",
                b"1 day00:00:00",
                b"00:00",
                b"00:00:00x",
                b"P1D",
                b"@ 1 day",
                b"00:00:00 1 day",
                b"1 day 1",
                b"999999999999 days",
                b"--1 days",
                b"9999999999999999:00:00",
            ],
        );
    }
}
