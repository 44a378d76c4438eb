//! Points, and shapes made of points, printed as PostgreSQL prints them.

use crate::reader::{Malformed, Reader};
use crate::shortest::print8;

/// `point`.
///
/// # Errors
/// [`Malformed`] unless there are two numbers.
pub fn point(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    points(Reader::new(data), 1, ("", ""), out)
}

/// `lseg`: two points.
///
/// # Errors
/// [`Malformed`] unless there are four numbers.
pub fn lseg(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    points(Reader::new(data), 2, ("[", "]"), out)
}

/// `box`: two corners.
///
/// # Errors
/// As [`lseg`].
pub fn rectangle(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    points(Reader::new(data), 2, ("", ""), out)
}

/// `path`: whether it is closed, then its points.
///
/// # Errors
/// [`Malformed`] when there are not as many points as it says.
pub fn path(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    let around = if reader.u8()? == 0 { ("[", "]") } else { ("(", ")") };
    let count = reader.count("points of a path", 16)?;
    points(reader, count, around, out)
}

/// `polygon`: its points.
///
/// # Errors
/// As [`path`].
pub fn polygon(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    let count = reader.count("points of a polygon", 16)?;
    points(reader, count, ("(", ")"), out)
}

/// `line`: the three factors of its equation.
///
/// # Errors
/// [`Malformed`] unless there are three numbers.
pub fn line(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    out.push(b'{');
    numbers(&mut reader, 3, out)?;
    out.push(b'}');
    reader.end()
}

/// `circle`: its centre and its radius.
///
/// # Errors
/// [`Malformed`] unless there are three numbers.
pub fn circle(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    out.extend_from_slice(b"<(");
    numbers(&mut reader, 2, out)?;
    out.extend_from_slice(b"),");
    numbers(&mut reader, 1, out)?;
    out.push(b'>');
    reader.end()
}

fn points(
    mut reader: Reader<'_>,
    count: usize,
    (before, after): (&str, &str),
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    out.extend_from_slice(before.as_bytes());
    for index in 0..count {
        out.extend_from_slice(if index > 0 { b",(" } else { b"(" });
        numbers(&mut reader, 2, out)?;
        out.push(b')');
    }
    out.extend_from_slice(after.as_bytes());
    reader.end()
}

fn numbers(reader: &mut Reader<'_>, count: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        print8(reader.f64()?, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    fn bytes(numbers: &[f64]) -> Vec<u8> {
        let bytes = numbers.iter().map(|number| number.to_be_bytes());
        bytes.flatten().collect()
    }

    #[test]
    fn shapes_have_their_brackets() {
        let four = bytes(&[1.5, -2.0, 0.0, 1e20]);
        assert_eq!(printed(point, &four[..16]), "(1.5,-2)");
        assert_eq!(printed(lseg, &four), "[(1.5,-2),(0,1e+20)]");
        assert_eq!(printed(rectangle, &four), "(1.5,-2),(0,1e+20)");
        assert_eq!(printed(line, &four[..24]), "{1.5,-2,0}");
        assert_eq!(printed(circle, &four[..24]), "<(1.5,-2),0>");
        let counted = [&[0, 0, 0, 2][..], &four].concat();
        assert_eq!(printed(polygon, &counted), "((1.5,-2),(0,1e+20))");
        let open = [&[0][..], &counted].concat();
        assert_eq!(printed(path, &open), "[(1.5,-2),(0,1e+20)]");
        let closed = [&[1][..], &counted].concat();
        assert_eq!(printed(path, &closed), "((1.5,-2),(0,1e+20))");
    }

    #[test]
    fn lengths_are_checked() {
        let two = bytes(&[1.0, 2.0]);
        for shape in [lseg, rectangle, path, polygon, line, circle] {
            assert!(shape(&two, &mut Vec::new()).is_err());
        }
        assert!(point(&two[..15], &mut Vec::new()).is_err());
        let missing = [&[0, 0, 0, 2][..], &two].concat();
        assert!(polygon(&missing, &mut Vec::new()).is_err());
    }
}
