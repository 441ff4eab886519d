//! Counts and bounds the messages of a file before any of them is built.
//!
//! A parsed message takes a hundred times the two bytes that an empty one takes in a file. This walk follows the same
//! fields as [`super::proto`] over the raw bytes, with its own stack, so that depth costs no stack of ours.

use super::{InspectError, Limits};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Element,
    Training,
    Function,
    Leaf,
}

/// The kind of message in a field of another, `None` if it is a number or text.
fn child(parent: Kind, field: u64) -> Option<Kind> {
    Some(match (parent, field) {
        (Kind::Model, 7) | (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => Kind::Graph,
        (Kind::Model, 8 | 14) | (Kind::Tensor, 3 | 13) | (Kind::Function, 9) | (Kind::Shape, 1) => Kind::Leaf,
        (Kind::Model, 20) => Kind::Training,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::ValueInfo,
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
        (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
        (Kind::ValueInfo, 2) | (Kind::Attribute, 14) | (Kind::Element, 1 | 2) => Kind::Type,
        (Kind::Type, 1 | 8) => Kind::TensorType,
        (Kind::Type, 4 | 5 | 9) => Kind::Element,
        (Kind::TensorType, 2) => Kind::Shape,
        // Names and text parts are counted too: each costs a string.
        (Kind::Node, 1 | 2) | (Kind::Tensor, 6) | (Kind::Attribute, 9) | (Kind::Function, 4 | 5) => {
            Kind::Leaf
        }
        _ => return None,
    })
}

/// Refuses what is too deep, too many or cut.
pub(super) fn scan(file: &[u8], limits: &Limits) -> Result<(), InspectError> {
    let cut = || InspectError::NotOnnx("a field is cut or has no valid form".into());
    let (mut nodes, mut messages) = (0_u64, 0_u64);
    let mut stack = vec![(Kind::Model, 0_usize, file.len())];
    while let Some((kind, at, end)) = stack.pop() {
        if at == end || kind == Kind::Leaf {
            continue;
        }
        let (tag, after) = varint(file, at, end).ok_or_else(cut)?;
        let next = match tag & 7 {
            0 => varint(file, after, end).ok_or_else(cut)?.1,
            1 => after + 8,
            5 => after + 4,
            2 => {
                let (length, start) = varint(file, after, end).ok_or_else(cut)?;
                let stop = usize::try_from(length)
                    .ok()
                    .and_then(|length| start.checked_add(length))
                    .ok_or_else(cut)?;
                if stop > end {
                    return Err(cut());
                }
                stack.push((kind, stop, end));
                if let Some(inner) = child(kind, tag >> 3) {
                    messages += 1;
                    nodes += u64::from(inner == Kind::Node);
                    stack.push((inner, start, stop));
                }
                bound(limits, nodes, messages, stack.len())?;
                continue;
            }
            _ => return Err(cut()),
        };
        if next > end {
            return Err(cut());
        }
        stack.push((kind, next, end));
    }
    Ok(())
}

fn bound(limits: &Limits, nodes: u64, messages: u64, depth: usize) -> Result<(), InspectError> {
    if nodes > limits.nodes {
        return Err(InspectError::TooMany { what: "nodes", limit: limits.nodes });
    }
    if messages > limits.messages {
        return Err(InspectError::TooMany { what: "messages", limit: limits.messages });
    }
    // The stack holds one entry for each message that is open.
    if depth > limits.depth as usize {
        return Err(InspectError::TooDeep { limit: limits.depth });
    }
    Ok(())
}

fn varint(file: &[u8], mut at: usize, end: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *file.get(at).filter(|_| at < end)?;
        value |= u64::from(byte & 0x7f) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}
