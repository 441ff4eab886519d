//! The classification extension: of an output its largest values, each with its place and name, in place of all numbers.
//!
//! An element is the text `value:index`, or `value:index:label` where the class has a name; values are written as C's `%f`
//! and `%d` write them, as Triton does.

use std::collections::BTreeMap;

use contracts::inference::InferParameter;
use contracts::inference::infer_parameter::ParameterChoice;
use engine::{DataType, Element, EngineError, FieldError, ModelSignature, Tensor, TensorData, element_count};
use half::{bf16, f16};

use super::shown;
use crate::Error;

/// The parameter of a requested output.
pub const CLASSIFICATION: &str = "classification";
/// Classes of one row at most: each is text, many times as large as the number that it is made of.
const MOST: u64 = 10_000;
/// Classes of one output in an answer at most.
const MOST_OF_ALL: usize = 1_000_000;

/// An output that is asked for as classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Name of the output.
    pub output: String,
    /// So many of each row, 1 or more.
    pub most: usize,
}

/// How many classes a parameter asks for; none for 0, which asks for the numbers.
///
/// # Errors
/// What the parameter must be.
pub(super) fn asked(parameter: &InferParameter) -> Result<Option<usize>, String> {
    let most = match parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(most)) => u64::try_from(most).ok(),
        Some(ParameterChoice::Uint64Param(most)) => Some(most),
        _ => None,
    };
    match most.filter(|most| *most <= MOST) {
        Some(most) => Ok((most > 0).then_some(most as usize)),
        None => Err(format!("must be a number of classes, 0 to {MOST}")),
    }
}

/// The outputs that have no classes, because they are no numbers, and those that would have too many in so many rows.
pub fn faults<'a>(
    classes: &'a [Classes],
    of: &'a ModelSignature,
    rows: usize,
) -> impl Iterator<Item = FieldError> + 'a {
    let wrong = move |one: &Classes| {
        let spec = of.output(&one.output)?;
        let field = || format!("outputs[{}].parameters[{CLASSIFICATION}]", shown(&one.output));
        if matches!(spec.datatype, DataType::Bytes | DataType::Bool) {
            return Some(FieldError {
                field: field(),
                description: format!("{} has no classes", spec.datatype),
            });
        }
        // A size that the signature leaves open may be any.
        let width = element_count(spec.shape().get(1..).unwrap_or_default()).unwrap_or(usize::MAX);
        let all = one.most.min(width).saturating_mul(rows);
        (all > MOST_OF_ALL).then(|| FieldError {
            field: field(),
            description: format!("{all} classes in {rows} rows, required at most {MOST_OF_ALL}"),
        })
    };
    classes.iter().filter_map(wrong)
}

/// The tensors of an answer, those that are asked for as classes replaced by them: `[rows, classes]`, or `[classes]` of an
/// output that has no rows.
///
/// # Errors
/// [`Error::Engine`] if the model made an output that cannot be read so.
pub fn classified(
    tensors: Vec<Tensor>,
    asked: &[Classes],
    has_rows: impl Fn(&str) -> bool,
    labels: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<Tensor>, Error> {
    if asked.is_empty() {
        return Ok(tensors);
    }
    let one = |tensor: Tensor| {
        let Some(classes) = asked.iter().find(|one| one.output == tensor.name()) else { return Ok(tensor) };
        let names = labels.get(tensor.name()).map_or(&[][..], Vec::as_slice);
        let made = replaced(&tensor, classes.most, has_rows(tensor.name()), names);
        made.map_err(|why| EngineError::ModelFault(why).into())
    };
    tensors.into_iter().map(one).collect()
}

fn replaced(tensor: &Tensor, most: usize, has_rows: bool, labels: &[String]) -> Result<Tensor, String> {
    let rows = tensor.shape().first().filter(|_| has_rows).map(|_| tensor.rows());
    let of_one = if rows.is_some() { &tensor.shape()[1..] } else { tensor.shape() };
    let width = element_count(of_one).map_err(|error| error.to_string())?;
    let count = most.min(width);
    let texts = match tensor.datatype() {
        DataType::Uint8 => best::<u8>(tensor, width, count, labels),
        DataType::Uint16 => best::<u16>(tensor, width, count, labels),
        DataType::Uint32 => best::<u32>(tensor, width, count, labels),
        DataType::Uint64 => best::<u64>(tensor, width, count, labels),
        DataType::Int8 => best::<i8>(tensor, width, count, labels),
        DataType::Int16 => best::<i16>(tensor, width, count, labels),
        DataType::Int32 => best::<i32>(tensor, width, count, labels),
        DataType::Int64 => best::<i64>(tensor, width, count, labels),
        DataType::Fp16 => best::<f16>(tensor, width, count, labels),
        DataType::Bf16 => best::<bf16>(tensor, width, count, labels),
        DataType::Fp32 => best::<f32>(tensor, width, count, labels),
        DataType::Fp64 => best::<f64>(tensor, width, count, labels),
        datatype @ (DataType::Bool | DataType::Bytes) => return Err(format!("{datatype} has no classes")),
    };
    let shape = rows.map(|rows| rows as i64).into_iter().chain([count as i64]).collect();
    Tensor::of_text(tensor.name(), shape, &texts).map_err(|error| error.to_string())
}

/// A number that stands for how well a class fits.
trait Score: Element {
    fn order(self, other: Self) -> std::cmp::Ordering;
    fn text(self) -> String;
}

macro_rules! whole {
    ($($type:ty)+) => {$(
        impl Score for $type {
            fn order(self, other: Self) -> std::cmp::Ordering {
                self.cmp(&other)
            }
            fn text(self) -> String {
                self.to_string()
            }
        }
    )+};
}
whole!(u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! float {
    ($($type:ty)+) => {$(
        impl Score for $type {
            fn order(self, other: Self) -> std::cmp::Ordering {
                // Adding 0 makes one of both zeros.
                (f64::from(self) + 0.0).total_cmp(&(f64::from(other) + 0.0))
            }
            fn text(self) -> String {
                format!("{:.6}", f64::from(self))
            }
        }
    )+};
}
float!(f16 bf16 f32 f64);

/// The `count` largest of each `width` elements, the largest first; of those that are alike the one that stands first.
fn best<T: Score>(tensor: &Tensor, width: usize, count: usize, labels: &[String]) -> Vec<String> {
    let TensorData::Raw(raw) = tensor.data() else { return Vec::new() };
    if count == 0 {
        return Vec::new();
    }
    let mut texts = Vec::new();
    let mut places: Vec<usize> = Vec::with_capacity(width);
    for row in raw.chunks_exact(width * size_of::<T>()) {
        let value = |at: usize| T::get(&row[at * size_of::<T>()..(at + 1) * size_of::<T>()]);
        let order = |a: &usize, b: &usize| value(*b).order(value(*a)).then(a.cmp(b));
        places.clear();
        places.extend(0..width);
        if count < width {
            places.select_nth_unstable_by(count - 1, order);
        }
        places[..count].sort_unstable_by(order);
        texts.extend(places[..count].iter().map(|at| {
            let text = value(*at).text();
            labels.get(*at).map_or_else(|| format!("{text}:{at}"), |label| format!("{text}:{at}:{label}"))
        }));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classes(tensor: Tensor, most: usize, has_rows: bool, labels: &[&str]) -> (Vec<i64>, Vec<String>) {
        let labels = [("y".to_owned(), labels.iter().map(|&label| label.to_owned()).collect())].into();
        let asked = [Classes { output: "y".into(), most }];
        let made = classified(vec![tensor], &asked, |_| has_rows, &labels).unwrap().remove(0);
        let texts = made.elements().unwrap().iter().map(|text| String::from_utf8(text.to_vec()).unwrap());
        (made.shape().to_vec(), texts.collect())
    }

    #[test]
    fn the_largest_come_first_with_their_places_and_names() {
        let scores = || Tensor::of("y", vec![2, 3], &[0.25_f32, 0.5, 0.25, -1.0, 1e-7, 2e9]).unwrap();
        let (shape, texts) = classes(scores(), 2, true, &["cat", "dog"]);
        assert_eq!(shape, [2, 2]);
        assert_eq!(texts, ["0.500000:1:dog", "0.250000:0:cat", "2000000000.000000:2", "0.000000:1:dog"]);
        let (shape, texts) = classes(scores(), 1, false, &[]);
        assert_eq!((shape, texts), (vec![1], vec!["2000000000.000000:5".to_owned()]));
        let (shape, texts) = classes(scores(), 9, true, &[]);
        assert_eq!(shape, [2, 3], "no more than there are");
        assert_eq!(texts[3..], ["2000000000.000000:2", "0.000000:1", "-1.000000:0"]);
    }

    #[test]
    fn every_number_is_written_as_c_writes_it() {
        let first = |tensor| classes(tensor, 1, true, &[]).1.remove(0);
        assert_eq!(first(Tensor::of("y", vec![1, 2], &[-5_i8, -7]).unwrap()), "-5:0");
        assert_eq!(first(Tensor::of("y", vec![1, 2], &[1, u64::MAX]).unwrap()), format!("{}:1", u64::MAX));
        assert_eq!(first(Tensor::of("y", vec![1, 2], &[0.1_f64, -3.0]).unwrap()), "0.100000:0");
        assert_eq!(first(Tensor::of("y", vec![1, 2], &[0.1_f32, -3.0]).unwrap()), "0.100000:0");
        assert_eq!(first(Tensor::of("y", vec![1], &[f16::from_f32(1.5)]).unwrap()), "1.500000:0");
        assert_eq!(first(Tensor::of("y", vec![1], &[f32::INFINITY]).unwrap()), "inf:0");
        assert_eq!(first(Tensor::of("y", vec![1, 2], &[-0.0_f32, 0.0]).unwrap()), "-0.000000:0");
    }

    #[test]
    fn outputs_without_elements_or_dimensions_are_no_fault() {
        assert_eq!(classes(Tensor::of::<f32>("y", vec![0, 3], &[]).unwrap(), 2, true, &[]).0, [0, 2]);
        assert_eq!(classes(Tensor::of::<f32>("y", vec![2, 0], &[]).unwrap(), 2, true, &[]).0, [2, 0]);
        let scalar = Tensor::of("y", vec![], &[7_i64]).unwrap();
        assert_eq!(classes(scalar, 2, true, &[]), (vec![1], vec!["7:0".to_owned()]));
    }

    #[test]
    fn a_parameter_is_a_number_of_classes() {
        let of = |choice| asked(&InferParameter { parameter_choice: choice });
        assert_eq!(of(Some(ParameterChoice::Int64Param(3))), Ok(Some(3)));
        assert_eq!(of(Some(ParameterChoice::Uint64Param(3))), Ok(Some(3)));
        assert_eq!(of(Some(ParameterChoice::Int64Param(0))), Ok(None));
        for wrong in [
            Some(ParameterChoice::Int64Param(-1)),
            Some(ParameterChoice::Uint64Param(u64::MAX)),
            Some(ParameterChoice::StringParam("3".into())),
            None,
        ] {
            assert!(of(wrong.clone()).unwrap_err().contains("number of classes"), "{wrong:?}");
        }
    }

    proptest! {
        /// As a stable sort of all would have it.
        #[test]
        fn the_best_are_those_of_a_sort(values in proptest::collection::vec(-3_i16..3, 1..40), most in 1_usize..50) {
            let mut all: Vec<_> = values.iter().copied().enumerate().collect();
            all.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
            let wanted: Vec<_> = all.iter().take(most).map(|(at, value)| format!("{value}:{at}")).collect();
            let tensor = Tensor::of("y", vec![1, values.len() as i64], &values).unwrap();
            prop_assert_eq!(classes(tensor, most, true, &[]).1, wanted);
        }
    }
}
