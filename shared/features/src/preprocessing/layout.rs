//! Which output columns make which tensor of a model.

use serde::{Deserialize, Serialize};

use super::Output;
use crate::schema::Kind;

/// Names that an error lists.
const SHOWN: usize = 20;

/// A tensor of a model, and the columns that fill a row of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorColumns {
    /// The model's input.
    pub tensor: String,
    /// Output columns in the order of its elements.
    pub columns: Vec<String>,
}

/// What a model needs in one of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Name of the input.
    pub tensor: String,
    /// Whether its elements are texts.
    pub text: bool,
    /// Elements of a row; `None` where any number is taken.
    pub width: Option<usize>,
}

impl Need {
    /// Of an input of this shape, its first dimension the rows and -1 any size; `None` where the rank is not known.
    pub fn of(tensor: &str, text: bool, shape: Option<&[i64]>) -> Self {
        let row = shape.map(|shape| shape.iter().skip(1).map(|size| usize::try_from(*size).ok()));
        let width = row.and_then(|mut row| row.try_fold(1_usize, |all, size| all.checked_mul(size?)));
        Self { tensor: tensor.to_owned(), text, width }
    }
}

/// The columns of each input, in the inputs' order. `stated` decides where it is not empty. Else inputs that are called
/// after a column take it, and what is left of `features` (none: every feature that is no time) goes to the one input that
/// is left, or to the two that are left by texts and numbers; `main` names an input that is never called after a column.
///
/// # Errors
/// What cannot be told without doubt, or does not fit.
pub fn assign(
    outputs: &[Output],
    stated: &[TensorColumns],
    features: &[String],
    main: &str,
    needs: &[Need],
) -> Result<Vec<TensorColumns>, String> {
    let assigned = if stated.is_empty() {
        by_name(outputs, features, main, needs)?
    } else {
        let known = |tensor: &String| needs.iter().any(|need| need.tensor == *tensor);
        if let Some(odd) = stated.iter().find(|one| !known(&one.tensor)) {
            return Err(format!("the layout fills {:?}, which is no input of the model", odd.tensor));
        }
        let of = |need: &Need| {
            let found = stated.iter().find(|one| one.tensor == need.tensor);
            found.cloned().ok_or_else(|| format!("the layout leaves input {:?} empty", need.tensor))
        };
        needs.iter().map(of).collect::<Result<_, String>>()?
    };
    for (need, given) in needs.iter().zip(&assigned) {
        if let Some(name) = given.columns.iter().find(|name| find(outputs, name).is_none()) {
            return Err(format!("input {:?} takes column {name:?}, which does not come out", need.tensor));
        }
        if need.width.is_some_and(|width| width != given.columns.len()) {
            let (width, count) = (need.width.unwrap_or_default(), given.columns.len());
            return Err(format!(
                "input {:?} has {width} elements in a row, and {count} columns are to fill it: {}",
                need.tensor,
                listed(&given.columns)
            ));
        }
        let text = |name: &&String| find(outputs, name).is_some_and(is_text);
        if let Some(name) = given.columns.iter().find(|name| !need.text && text(name)) {
            return Err(format!(
                "input {:?} takes numbers, and column {name:?} is text or time",
                need.tensor
            ));
        }
    }
    Ok(assigned)
}

fn find<'a>(outputs: &'a [Output], name: &str) -> Option<&'a Output> {
    outputs.iter().find(|output| output.name == name)
}

fn is_text(output: &Output) -> bool {
    matches!(output.kind, Kind::Utf8 | Kind::Timestamp)
}

fn by_name(
    outputs: &[Output],
    features: &[String],
    main: &str,
    needs: &[Need],
) -> Result<Vec<TensorColumns>, String> {
    let usual = |output: &&Output| output.feature && output.kind != Kind::Timestamp;
    let mut left: Vec<String> = if features.is_empty() {
        outputs.iter().filter(usual).map(|output| output.name.clone()).collect()
    } else {
        features.to_vec()
    };
    let (mut assigned, mut open) = (Vec::new(), Vec::new());
    for need in needs {
        match left.iter().position(|name| *name == need.tensor && need.tensor != main) {
            Some(at) => {
                assigned.push(TensorColumns { tensor: need.tensor.clone(), columns: vec![left.remove(at)] })
            }
            None => open.push(need),
        }
    }
    let of_kind = |text: bool| -> Vec<String> {
        left.iter().filter(|name| find(outputs, name).is_some_and(is_text) == text).cloned().collect()
    };
    let mut fill = |need: &Need, columns: Vec<String>| {
        assigned.push(TensorColumns { tensor: need.tensor.clone(), columns });
    };
    match open[..] {
        [] => {}
        [only] if features.is_empty() && !only.text => fill(only, of_kind(false)),
        [only] => fill(only, left.clone()),
        [one, other] if one.text != other.text => {
            fill(one, of_kind(one.text));
            fill(other, of_kind(other.text));
        }
        _ => {
            let names: Vec<String> = open.iter().map(|need| need.tensor.clone()).collect();
            return Err(format!(
                "the inputs {} cannot share the columns {} without doubt: a layout must name the columns of each",
                listed(&names),
                listed(&left)
            ));
        }
    }
    let place = |given: &TensorColumns| needs.iter().position(|need| need.tensor == given.tensor);
    assigned.sort_by_key(place);
    Ok(assigned)
}

fn listed(names: &[String]) -> String {
    let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if SHOWN < names.len() {
        shown.push_str(", ...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str, kind: Kind, feature: bool) -> Output {
        Output { name: name.into(), kind, feature, missing_text: String::new() }
    }

    fn need(tensor: &str, text: bool, width: Option<usize>) -> Need {
        Need { tensor: tensor.into(), text, width }
    }

    fn outputs() -> Vec<Output> {
        vec![
            output("a", Kind::Float64, true),
            output("b", Kind::Int64, true),
            output("group", Kind::Utf8, false),
            output("t", Kind::Utf8, true),
            output("when", Kind::Timestamp, true),
        ]
    }

    fn told(features: &[&str], main: &str, needs: &[Need]) -> Result<Vec<String>, String> {
        let features: Vec<String> = features.iter().map(ToString::to_string).collect();
        let assigned = assign(&outputs(), &[], &features, main, needs)?;
        Ok(assigned.iter().map(|one| format!("{}:{}", one.tensor, one.columns.join("+"))).collect())
    }

    #[test]
    fn columns_go_where_only_they_can() {
        assert_eq!(told(&[], "", &[need("x", false, Some(2))]).unwrap(), ["x:a+b"]);
        assert_eq!(told(&["b", "a"], "", &[need("x", false, None)]).unwrap(), ["x:b+a"]);
        let two = [need("t", true, Some(1)), need("x", false, Some(2))];
        assert_eq!(told(&[], "", &two).unwrap(), ["t:t", "x:a+b"]);
        assert_eq!(
            told(&[], "", &[need("n", false, None), need("s", true, None)]).unwrap(),
            ["n:a+b", "s:t"]
        );
        assert_eq!(told(&["a", "b"], "a", &[need("a", false, Some(2))]).unwrap(), ["a:a+b"]);
    }

    #[test]
    fn doubt_and_misfit_are_errors() {
        let why = |features: &[&str], needs: &[Need]| told(features, "", needs).unwrap_err();
        assert!(why(&[], &[need("x", false, Some(3))]).contains("3 elements in a row, and 2 columns"));
        assert!(why(&[], &[need("x", false, None), need("y", false, None)]).contains("without doubt"));
        assert!(why(&["a", "t"], &[need("x", false, None)]).contains("\"t\" is text"));
        assert!(why(&["gone"], &[need("x", false, None)]).contains("does not come out"));
        let stated = [TensorColumns { tensor: "x".into(), columns: vec!["b".into()] }];
        assert!(
            assign(&outputs(), &stated, &[], "", &[need("y", false, None)]).unwrap_err().contains("no input")
        );
        assert_eq!(assign(&outputs(), &stated, &[], "", &[need("x", false, Some(1))]).unwrap(), stated);
    }
}
