//! Which columns go into which input tensor: as the interface says, otherwise worked out from the signature. A guess is
//! made only where no other one could be meant.

use super::Layout;
use crate::{Error, plan::Plan, table::Table};
use engine::{DataType, ModelSignature, TensorSpec};

/// Names that an error lists.
const SHOWN: usize = 40;

/// Maps a table's columns to a model's inputs. What the interface leaves open is worked out: inputs that are called after a
/// column take it; a lone tensor takes all feature columns in the dataset's order; several share them by width or by kind.
///
/// # Errors
/// [`Error::DoesNotFit`] that names the input and the columns.
pub fn resolve(signature: &ModelSignature, plan: &Plan, table: &Table) -> Result<Layout, Error> {
    let mut layout = Layout::default();
    for (spec, columns) in assign(signature, plan, table)? {
        for column in &columns {
            table.required(column, &format!("feature column of input {}", spec.name))?;
            if *column == plan.label_column {
                return Err(Error::unfit(
                    format!("input {}", spec.name),
                    "the label column would be a feature",
                ));
            }
        }
        layout.add(spec, columns)?;
    }
    Ok(layout)
}

type Assigned<'a> = Vec<(&'a TensorSpec, Vec<String>)>;

fn assign<'a>(signature: &'a ModelSignature, plan: &Plan, table: &Table) -> Result<Assigned<'a>, Error> {
    let inputs = &signature.inputs;
    if inputs.is_empty() {
        return Err(Error::unfit(
            "model",
            "it has no inputs: nothing that is in a row can change its answer",
        ));
    }
    let features = &plan.features;
    let named = |spec: &TensorSpec| is_called_after(spec, plan, table);
    if !plan.input_tensor.is_empty() {
        let main = inputs.iter().find(|spec| spec.name == plan.input_tensor).ok_or_else(|| {
            let known: Vec<&str> = inputs.iter().map(|spec| spec.name.as_str()).collect();
            Error::unfit(
                format!("input tensor {:?}", plan.input_tensor),
                format!("the model takes {}", known.join(", ")),
            )
        })?;
        if inputs.iter().all(|spec| spec.name == main.name || table.column(&spec.name).is_some()) {
            return around(inputs, main, plan, table);
        }
        return sharing(inputs, plan, table);
    }
    if inputs.iter().all(named) {
        return Ok(inputs.iter().map(|spec| (spec, vec![spec.name.clone()])).collect());
    }
    match (&inputs[..], features.is_empty()) {
        ([only], true) => Ok(vec![(only, fitting(only, plan, table)?)]),
        ([only], false) => Ok(vec![(only, features.clone())]),
        (several, false) if several.len() == features.len() => {
            Ok(several.iter().zip(features).map(|(spec, column)| (spec, vec![column.clone()])).collect())
        }
        _ => sharing(inputs, plan, table),
    }
}

fn is_called_after(spec: &TensorSpec, plan: &Plan, table: &Table) -> bool {
    let known = table.column(&spec.name).is_some() && spec.name != plan.label_column;
    known && (plan.features.is_empty() || plan.features.contains(&spec.name))
}

/// The main tensor takes the features that no other input is called after.
fn around<'a>(
    inputs: &'a [TensorSpec],
    main: &'a TensorSpec,
    plan: &Plan,
    table: &Table,
) -> Result<Assigned<'a>, Error> {
    let others = inputs.iter().filter(|spec| spec.name != main.name);
    let mut assigned: Assigned<'a> = others.map(|spec| (spec, vec![spec.name.clone()])).collect();
    let columns = if plan.features.is_empty() {
        fitting(main, plan, table)?
    } else {
        let taken = |name: &String| assigned.iter().any(|(_, columns)| columns.contains(name));
        plan.features.iter().filter(|name| !taken(name)).cloned().collect()
    };
    assigned.push((main, columns));
    Ok(assigned)
}

/// Elements of a row; `None` where a size is open.
fn width(spec: &TensorSpec) -> Option<usize> {
    spec.dims.as_ref()?;
    let row: Option<Vec<usize>> =
        spec.shape().into_iter().skip(1).map(|size| usize::try_from(size).ok()).collect();
    Some(row?.into_iter().product())
}

fn takes_text(spec: &TensorSpec) -> bool {
    spec.datatype == DataType::Bytes
}

/// Columns that are no label, group or key.
fn candidates(plan: &Plan, table: &Table) -> Vec<String> {
    let feature = |name: &String| !plan.not_features.contains(name) && !plan.keys.contains(name);
    table.columns().iter().map(|column| column.name.clone()).filter(feature).collect()
}

fn of_kind(columns: &[String], table: &Table, text: bool) -> Vec<String> {
    let fits = |name: &&String| table.column(name).is_some_and(|column| column.cells.is_numeric() != text);
    columns.iter().filter(fits).cloned().collect()
}

fn listed(columns: &[String]) -> String {
    let mut shown = columns.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if SHOWN < columns.len() {
        shown.push_str(", ...");
    }
    shown
}

/// Several tensors share the features: those that are called after one take it; the others take the next ones by their
/// width where the interface gives the order and every width is known, or else the numbers and the texts.
fn sharing<'a>(inputs: &'a [TensorSpec], plan: &Plan, table: &Table) -> Result<Assigned<'a>, Error> {
    let mut left = if plan.features.is_empty() { candidates(plan, table) } else { plan.features.clone() };
    let mut assigned: Assigned<'a> = Vec::new();
    let mut open: Vec<&'a TensorSpec> = Vec::new();
    for spec in inputs {
        if width(spec) == Some(1) && is_called_after(spec, plan, table) {
            left.retain(|name| *name != spec.name);
            assigned.push((spec, vec![spec.name.clone()]));
        } else {
            open.push(spec);
        }
    }
    let shared = if plan.features.is_empty() {
        for spec in &open {
            certain(spec, plan, table)?;
        }
        by_kind(&open, &left, table)
    } else {
        by_width(&open, &left, table).or_else(|| by_kind(&open, &left, table))
    };
    let shared = shared.ok_or_else(|| {
        let tensors = open.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let why = format!(
            "they cannot share the columns {} without doubt: name feature_columns in the model's interface, in the order of the inputs",
            listed(&left)
        );
        Error::unfit(format!("inputs {tensors}"), why)
    })?;
    assigned.extend(shared);
    // Samples are laid out in the model's order.
    let place = |spec: &TensorSpec| inputs.iter().position(|one| one.name == spec.name);
    assigned.sort_by_key(|(spec, _)| place(spec));
    Ok(assigned)
}

/// The columns in order, as many as each tensor is wide.
fn by_width<'a>(open: &[&'a TensorSpec], columns: &[String], table: &Table) -> Option<Assigned<'a>> {
    let widths: Vec<usize> = open.iter().map(|spec| width(spec)).collect::<Option<_>>()?;
    if widths.iter().sum::<usize>() != columns.len() {
        return None;
    }
    let (mut rest, mut assigned) = (columns, Vec::new());
    for (spec, width) in open.iter().zip(widths) {
        let (own, after) = rest.split_at(width);
        if !takes_text(spec) && of_kind(own, table, false).len() < own.len() {
            return None;
        }
        assigned.push((*spec, own.to_vec()));
        rest = after;
    }
    Some(assigned)
}

/// The numbers for the one tensor of numbers, the texts for the one of texts; all columns are used.
fn by_kind<'a>(open: &[&'a TensorSpec], columns: &[String], table: &Table) -> Option<Assigned<'a>> {
    let mut assigned = Vec::new();
    for text in [false, true] {
        let own = of_kind(columns, table, text);
        let tensors: Vec<&&'a TensorSpec> = open.iter().filter(|spec| takes_text(spec) == text).collect();
        match (&tensors[..], own.is_empty()) {
            ([], true) => {}
            ([spec], false) if width(spec).is_none_or(|width| width == own.len()) => {
                assigned.push((**spec, own))
            }
            _ => return None,
        }
    }
    Some(assigned)
}

/// A tensor whose columns nobody names must not be one that could take others than those that are guessed.
fn certain(spec: &TensorSpec, plan: &Plan, table: &Table) -> Result<(), Error> {
    let refuse = |columns: &[String], why: &str| {
        let why = format!("{why} ({}): name feature_columns in the model's interface", listed(columns));
        Err(Error::unfit(format!("input {spec}"), why))
    };
    let there: Vec<String> = plan.doubtful().filter(|name| table.column(name).is_some()).cloned().collect();
    let doubtful = of_kind(&there, table, takes_text(spec));
    if !doubtful.is_empty() {
        return refuse(&doubtful, "group or key columns of the input may be among its columns or not");
    }
    Ok(())
}

/// The columns that a lone tensor can take: all that are no label, group or key; of its kind if that fits better.
fn fitting(spec: &TensorSpec, plan: &Plan, table: &Table) -> Result<Vec<String>, Error> {
    certain(spec, plan, table)?;
    let all = candidates(plan, table);
    let own = of_kind(&all, table, takes_text(spec));
    let width = width(spec);
    let choices = if width.is_some() || own.len() == all.len() { vec![own.clone(), all] } else { Vec::new() };
    let holds = |columns: &Vec<String>| width.is_none_or(|width| width == columns.len());
    if let Some(choice) = choices.into_iter().find(|choice| !choice.is_empty() && holds(choice)) {
        return Ok(choice);
    }
    let wanted = width.map_or("any number of".to_owned(), |width| width.to_string());
    let why = format!(
        "it takes {wanted} columns of {}, the split has {} that are no label, group or key: {}; name feature_columns in the model's interface",
        if takes_text(spec) { "text" } else { "numbers" },
        own.len(),
        listed(&own)
    );
    Err(Error::unfit(format!("input {spec}"), why))
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
