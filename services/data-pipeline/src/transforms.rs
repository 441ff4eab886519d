//! The transforms of a plan as operations, and what is wrong with their parameters.

use contracts::pipeline::v1::TransformRule;
use contracts::pipeline::v1::transform_rule::Kind;
use features::Operation;
use features::transform::{DatePart, Form};

use crate::parse::Fields;

/// Parts of a time by the names that a plan gives them.
const PARTS: [DatePart; 6] =
    [DatePart::Year, DatePart::Month, DatePart::Day, DatePart::Weekday, DatePart::Hour, DatePart::Minute];

/// A transform as an operation. Parameters that are left out are those of the contract.
pub fn operation(rule: &TransformRule) -> Option<Operation> {
    let name = rule.column.clone();
    let number = |at: usize| rule.parameters.get(at).copied();
    let count = |default: usize| number(0).map_or(default, |it| it as usize);
    Some(match rule.kind() {
        Kind::Unspecified => return None,
        Kind::Standardise => Operation::Standardise(name),
        Kind::MinMax => Operation::MinMax(name),
        Kind::OneHot => Operation::OneHot(name),
        Kind::Ordinal => Operation::Ordinal(name),
        Kind::Lowercase => Operation::Lowercase(name),
        Kind::Tokenise => Operation::Tokenise(name, count(0)),
        Kind::Robust => Operation::Robust(name),
        Kind::Log1p => Operation::Log1p(name),
        Kind::Bucketise => Operation::Bucketise(name, count(10)),
        Kind::Frequency => Operation::Frequency(name),
        Kind::Hash => Operation::Hash(name, count(1024)),
        Kind::Clip => Operation::ClipTo(name, number(0)?, number(1)?),
        Kind::Nfc => Operation::Unicode(name, Form::Nfc),
        Kind::Nfkc => Operation::Unicode(name, Form::Nfkc),
        Kind::TokenisePattern => Operation::TokenisePattern(name, rule.texts.first()?.clone(), count(0)),
        Kind::WordPiece => Operation::WordPiece(name, rule.texts.clone(), count(128)),
        Kind::DateParts => {
            let part = |text: &String| PARTS.into_iter().find(|part| part.as_str() == text);
            Operation::DateParts(name, rule.texts.iter().map(part).collect::<Option<_>>()?)
        }
    })
}

/// Looks at a transform's parameters and texts.
pub fn check(fields: &mut Fields, at: &str, rule: &TransformRule) {
    let finite = rule.parameters.iter().all(|it| it.is_finite());
    fields.require(finite, &format!("{at}.parameters"), "must be finite numbers");
    let clip = rule.kind() == Kind::Clip;
    let counts = clip || rule.parameters.iter().all(|it| 0.0 <= *it);
    fields.require(counts, &format!("{at}.parameters"), "must be zero or more");
    let bounds = matches!(rule.parameters[..], [low, high] if low <= high);
    fields.require(!clip || bounds, &format!("{at}.parameters"), "CLIP takes a lower and an upper bound");
    let takes = matches!(rule.kind(), Kind::TokenisePattern | Kind::WordPiece | Kind::DateParts);
    let why = "only TOKENISE_PATTERN, WORD_PIECE and DATE_PARTS take texts";
    fields.require(takes || rule.texts.is_empty(), &format!("{at}.texts"), why);
    let texts = match rule.kind() {
        Kind::TokenisePattern => rule.texts.len() == 1,
        Kind::WordPiece => !rule.texts.is_empty(),
        Kind::DateParts => {
            let known = |text: &String| PARTS.iter().any(|part| part.as_str() == text);
            !rule.texts.is_empty() && rule.texts.iter().all(known)
        }
        _ => true,
    };
    let why = match rule.kind() {
        Kind::TokenisePattern => "must be one regular expression",
        Kind::DateParts => "must be of year, month, day, weekday, hour, minute",
        _ => "must be a vocabulary with [UNK] and [PAD]",
    };
    fields.require(texts, &format!("{at}.texts"), why);
}
