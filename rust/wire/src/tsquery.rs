//! `tsquery`, printed as PostgreSQL prints it.
//!
//! It comes as a tree in prefix order, the right operand before the left. Both passes, to
//! link the operands and to print them, keep their own stack: no tree is too deep.

use crate::reader::{Malformed, Reader};
use crate::tsvector::quote;

const LEXEME: u8 = 1;
const OPERATOR: u8 = 2;

#[derive(Clone, Copy)]
enum Item<'a> {
    Lexeme {
        text: &'a [u8],
        weights: u8,
        prefix: bool,
    },
    Not,
    And,
    Or,
    /// Followed by, so many words apart.
    Phrase(u16),
}

/// An item with its operands, by their places among the nodes.
struct Node<'a> {
    item: Item<'a>,
    left: usize,
    right: usize,
}

enum Step {
    /// Print the node at this place, in parentheses or not.
    Operand(usize, bool),
    Text(String),
}

/// `tsquery`.
///
/// # Errors
/// [`Malformed`] for an unknown operator, operands that are missing or left over, or a
/// length that does not match.
pub fn tsquery(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let nodes = nodes(data)?;
    let mut steps = Vec::new();
    if !nodes.is_empty() {
        steps.push(Step::Operand(nodes.len() - 1, false));
    }
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => out.extend_from_slice(text.as_bytes()),
            Step::Operand(place, enclosed) => {
                if enclosed {
                    out.extend_from_slice(b"( ");
                    steps.push(Step::Text(" )".to_owned()));
                }
                if let Some(node) = nodes.get(place) {
                    node.print(&nodes, &mut steps, out);
                }
            }
        }
    }
    Ok(())
}

/// The items from last to first, so that operands stand before their operator.
fn nodes(data: &[u8]) -> Result<Vec<Node<'_>>, Malformed> {
    let mut nodes = Vec::new();
    let mut free = Vec::new();
    for item in items(data)?.into_iter().rev() {
        let mut operand = || free.pop().ok_or_else(|| operands(0));
        let (right, left) = match item {
            Item::Lexeme { .. } => (0, 0),
            Item::Not => (operand()?, 0),
            Item::And | Item::Or | Item::Phrase(_) => (operand()?, operand()?),
        };
        free.push(nodes.len());
        nodes.push(Node { item, left, right });
    }
    if free.len() > 1 {
        return Err(operands(free.len()));
    }
    Ok(nodes)
}

#[cold]
fn operands(got: usize) -> Malformed {
    Malformed::Field {
        name: "operands of a tsquery",
        expected: "one for each place",
        got: got.try_into().unwrap_or(i64::MAX),
    }
}

fn items(data: &[u8]) -> Result<Vec<Item<'_>>, Malformed> {
    let mut reader = Reader::new(data);
    let count = reader.count("items of a tsquery", 2)?;
    let items: Result<Vec<_>, _> = (0..count).map(|_| Item::read(&mut reader)).collect();
    items.and_then(|items| reader.end().map(|()| items))
}

impl Node<'_> {
    /// Print what stands first, and leave the rest to steps (the last one comes first).
    fn print(&self, nodes: &[Self], steps: &mut Vec<Step>, out: &mut Vec<u8>) {
        let priority = self.item.priority();
        let binds_less = |place: usize| {
            let operand = nodes.get(place).map(|node| node.item.priority());
            operand.is_some_and(|operand| operand < priority)
        };
        let sign = match self.item {
            Item::Lexeme { text, weights, prefix } => return lexeme(text, weights, prefix, out),
            Item::Not => {
                out.push(b'!');
                return steps.push(Step::Operand(self.right, binds_less(self.right)));
            }
            Item::And => " & ".to_owned(),
            Item::Or => " | ".to_owned(),
            Item::Phrase(1) => " <-> ".to_owned(),
            Item::Phrase(distance) => format!(" <{distance}> "),
        };
        // Unlike the others, a phrase is not associative.
        let phrases = self.item.is_phrase()
            && nodes.get(self.right).is_some_and(|node| node.item.is_phrase());
        let enclosed = phrases || binds_less(self.right);
        steps.push(Step::Operand(self.right, enclosed));
        steps.push(Step::Text(sign));
        steps.push(Step::Operand(self.left, binds_less(self.left)));
    }
}

impl<'a> Item<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.u8()? {
            LEXEME => Ok(Self::Lexeme {
                weights: reader.u8()?,
                prefix: reader.u8()? != 0,
                text: reader.string()?,
            }),
            OPERATOR => Self::operator(reader),
            kind => Err(Malformed::Field {
                name: "kind of a tsquery item",
                expected: "1 or 2",
                got: kind.into(),
            }),
        }
    }

    fn operator(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.u8()? {
            1 => Ok(Self::Not),
            2 => Ok(Self::And),
            3 => Ok(Self::Or),
            4 => reader.u16().map(Self::Phrase),
            operator => Err(Malformed::Field {
                name: "tsquery operator",
                expected: "from 1 to 4",
                got: operator.into(),
            }),
        }
    }

    fn priority(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Phrase(_) => 3,
            Self::Not => 4,
            Self::Lexeme { .. } => 5,
        }
    }

    fn is_phrase(self) -> bool {
        matches!(self, Self::Phrase(_))
    }
}

fn lexeme(text: &[u8], weights: u8, prefix: bool, out: &mut Vec<u8>) {
    quote(text, out);
    if weights != 0 || prefix {
        out.push(b':');
    }
    out.extend(prefix.then_some(b'*'));
    let letters = (0..4).filter(|letter| weights & (8 >> letter) != 0);
    out.extend(letters.map(|letter| b'A' + letter));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    const A: &[u8] = b"\x01\x00\x00a\0";
    const B: &[u8] = b"\x01\x0a\x01b\0";
    const NOT: &[u8] = b"\x02\x01";
    const AND: &[u8] = b"\x02\x02";
    const OR: &[u8] = b"\x02\x03";
    const NEXT: &[u8] = b"\x02\x04\0\x01";
    const SECOND: &[u8] = b"\x02\x04\0\x02";

    fn query(items: &[&[u8]]) -> Vec<u8> {
        let count = u32::try_from(items.len()).unwrap().to_be_bytes();
        [&count[..], &items.concat()].concat()
    }

    #[test]
    fn operands_are_enclosed_where_they_bind_less() {
        for (items, text) in [
            (&[][..], ""),
            (&[A], "'a'"),
            (&[B], "'b':*AC"),
            (&[NOT, A], "!'a'"),
            (&[NOT, NOT, A], "!!'a'"),
            (&[NOT, AND, A, A], "!( 'a' & 'a' )"),
            (&[AND, OR, A, A, A], "'a' & ( 'a' | 'a' )"),
            (&[OR, A, AND, A, A], "'a' & 'a' | 'a'"),
            (&[NEXT, SECOND, A, A, A], "'a' <-> ( 'a' <2> 'a' )"),
            (&[NEXT, A, SECOND, A, A], "'a' <2> 'a' <-> 'a'"),
        ] {
            assert_eq!(printed(tsquery, &query(items)), text);
        }
    }

    #[test]
    fn operands_are_counted() {
        for items in [&[AND, A][..], &[NOT], &[A, A], &[b"\x03\x01"], &[b"\x02\x05"]] {
            assert!(tsquery(&query(items), &mut Vec::new()).is_err());
        }
        let deep = [vec![NOT; 100_000], vec![A]].concat();
        assert_eq!(printed(tsquery, &query(&deep)).len(), 100_003);
    }
}
