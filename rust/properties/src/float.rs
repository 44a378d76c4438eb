//! `float8` bit by bit; `float4` through the shortest decimal that identifies it.

use wire::float;

pub fn any_bytes(data: &[u8]) {
    if let Ok(value) = float::float8(data) {
        let sent = f64::from_be_bytes(data.try_into().unwrap());
        assert!(value.to_bits() == sent.to_bits() || (value.is_nan() && sent.is_nan()));
    }
    if let Ok(value) = float::float4(data) {
        float4(f32::from_be_bytes(data.try_into().unwrap()), value);
    }
}

#[allow(clippy::cast_possible_truncation)]
fn float4(sent: f32, value: f64) {
    if sent.is_nan() {
        return assert!(value.is_nan());
    }
    assert_eq!((value as f32).to_bits(), sent.to_bits());
    if value != f64::from(sent) {
        shortest(sent.abs(), value.abs());
    }
}

/// No decimal with fewer digits lies inside of the rounding interval, and none with as
/// many is nearer. The interval's bounds are exact in an f64.
fn shortest(sent: f32, value: f64) {
    let exact = f64::from(sent);
    let below = f64::midpoint(exact, sent.next_down().into());
    let above = match sent.next_up() {
        f32::INFINITY => 2.0 * exact - below,
        next => f64::midpoint(exact, next.into()),
    };
    let inside = |decimal: f64| below < decimal && decimal < above;
    let nearest = |digits: usize| format!("{exact:.*e}", digits - 1).parse().unwrap();
    let digits = significant(&format!("{value:e}"));
    assert!(digits <= 9 && inside(value), "{value:e} for {exact:e}");
    let shorter = (1..digits).map(nearest).find(|decimal| inside(*decimal));
    assert_eq!(shorter, None, "shorter than {value:e} for {exact:e}");
    let (error, least) = ((value - exact).abs(), (nearest(digits) - exact).abs());
    assert!(!inside(nearest(digits)) || error <= least * 1.000_001);
}

fn significant(text: &str) -> usize {
    let mantissa = text.split('e').next().unwrap();
    mantissa.bytes().filter(u8::is_ascii_digit).count()
}
