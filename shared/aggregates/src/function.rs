//! A sketch as an aggregate function: one implementation for all sketches.

use std::any::type_name;
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, not_impl_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use statistics::state::State;

/// What an aggregate keeps of the rows that it saw.
pub trait Sketch: State + Debug + Send + Sync + 'static {
    /// Name of the function in plans.
    const NAME: &'static str;

    /// Whether it takes any number of columns, and not just one.
    const OF_ROWS: bool = false;

    /// Whether it takes columns of this type.
    fn takes(data_type: &DataType) -> bool;

    /// A sketch that has seen nothing.
    /// # Errors
    /// Where its settings are impossible.
    fn empty() -> Result<Self>;

    /// Takes the rows of a batch.
    /// # Errors
    /// Values that cannot be read.
    fn see(&mut self, columns: &[ArrayRef]) -> Result<()>;

    /// Adds what another has seen.
    /// # Errors
    /// Sketches that do not belong together.
    fn join(&mut self, other: Self) -> Result<()>;

    /// About the bytes that it holds.
    fn size(&self) -> usize;
}

/// The aggregate of a sketch. Its answer is the sketch's state, never missing: of no rows it is the empty sketch's.
pub fn function<S: Sketch>() -> AggregateUDF {
    AggregateUDF::new_from_impl(Function::<S> { signature: signature::<S>(), sketch: PhantomData })
}

fn signature<S: Sketch>() -> Signature {
    if S::OF_ROWS {
        Signature::variadic_any(Volatility::Immutable)
    } else {
        Signature::any(1, Volatility::Immutable)
    }
}

struct Function<S> {
    signature: Signature,
    sketch: PhantomData<fn() -> S>,
}

impl<S: Sketch> Debug for Function<S> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.debug_struct(S::NAME).finish_non_exhaustive()
    }
}

// There is one function of a sketch: two of the same type are equal.
impl<S> PartialEq for Function<S> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<S> Eq for Function<S> {}

impl<S> Hash for Function<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        type_name::<S>().hash(state);
    }
}

impl<S: Sketch> AggregateUDFImpl for Function<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.iter().find(|data_type| !S::takes(data_type)) {
            Some(data_type) => plan_err!("{} takes no column of type {data_type}", S::NAME),
            None => Ok(DataType::Binary),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return not_impl_err!("{} of distinct values", S::NAME);
        }
        Ok(Box::new(Seen(S::empty()?)))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "sketch");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Seen<S>(S);

impl<S: Sketch> Accumulator for Seen<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.see(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.0.to_bytes())))
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first().and_then(|states| states.as_binary_opt::<i32>()) else {
            return exec_err!("{}: states are not bytes", S::NAME);
        };
        if states.null_count() > 0 {
            return exec_err!("{}: a state is missing", S::NAME);
        }
        for bytes in states.iter().flatten() {
            self.0.join(S::from_bytes(bytes).map_err(external)?)?;
        }
        Ok(())
    }
}

/// An error of the sketches as one of the engine.
pub fn external(error: statistics::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{BinaryArray, Int64Array, StringArray};
    use statistics::distinct::DistinctSketch;
    use statistics::quantiles::QuantileSketch;
    use statistics::row_digest::RowDigest;

    fn seen<S: Sketch>(columns: &[ArrayRef]) -> Seen<S> {
        let mut seen = Seen(S::empty().unwrap());
        seen.update_batch(columns).unwrap();
        seen
    }

    #[test]
    fn states_of_parts_merge_to_the_whole() {
        let part = |range| -> ArrayRef { Arc::new(Int64Array::from_iter_values(range)) };
        let states: Vec<Vec<u8>> = [part(0..700), part(500..900), part(0..0)]
            .into_iter()
            .map(|part| seen::<DistinctSketch>(&[part]).0.to_bytes())
            .collect();
        let states: ArrayRef = Arc::new(BinaryArray::from_iter_values(states));
        let mut merged = Seen(DistinctSketch::empty().unwrap());
        merged.merge_batch(&[states]).unwrap();
        assert_eq!(merged.0, seen::<DistinctSketch>(&[part(0..900)]).0);
    }

    #[test]
    fn wrong_states_and_types_are_errors() {
        let mut sketch = Seen(QuantileSketch::empty().unwrap());
        let other = Seen(DistinctSketch::empty().unwrap()).evaluate().unwrap();
        for states in [other, ScalarValue::Binary(Some(vec![1, 2])), ScalarValue::Binary(None)] {
            assert!(sketch.merge_batch(&[states.to_array().unwrap()]).is_err());
        }
        assert!(sketch.merge_batch(&[Arc::new(StringArray::from(vec!["Q"]))]).is_err());
        assert!(sketch.merge_batch(&[]).is_err());
        assert!(function::<QuantileSketch>().return_type(&[DataType::Utf8]).is_err());
        let list = DataType::new_list(DataType::Int64, true);
        let error = function::<RowDigest>().return_type(&[DataType::Int64, list]).unwrap_err();
        assert!(error.to_string().contains("row_digest takes no column of type List"), "{error}");
    }

    #[test]
    fn a_digest_sees_values_and_not_their_widths() {
        let digest = |columns: &[ArrayRef]| seen::<RowDigest>(columns).0;
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(5)]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some(""), None]));
        let whole = digest(&[wide.clone(), text.clone()]);
        for data_type in [DataType::Int8, DataType::UInt64] {
            let narrow = datafusion::arrow::compute::cast(&wide, &data_type).unwrap();
            assert_eq!(digest(&[narrow, text.clone()]), whole);
        }
        let texts = datafusion::arrow::compute::cast(&text, &DataType::Utf8View).unwrap();
        assert_eq!(digest(&[wide.clone(), texts]), whole);
        assert_ne!(digest(&[text.clone(), wide.clone()]), whole);
        let filled: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some(""), Some("")]));
        assert_ne!(digest(&[wide, filled]), whole);
        assert_eq!(whole.rows(), 3);
    }
}
