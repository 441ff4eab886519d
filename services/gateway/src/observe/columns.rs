//! The columns of a request's tensors. Each tensor is converted once, however many columns it holds.

use std::cell::OnceCell;
use std::collections::HashMap;

use engine::{DataType, Tensor};

use super::reference::Place;

/// Longest text that is looked at, bytes.
const LONGEST: usize = 256;

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Column {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Column {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// Every `width`th value from `at` on.
    fn pick(&self, at: usize, width: usize) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(values.iter().skip(at).step_by(width).copied().collect()),
            Self::Texts(values) => Self::Texts(values.iter().skip(at).step_by(width).cloned().collect()),
        }
    }
}

/// The first rows of tensors, by name.
pub(super) struct Columns<'a> {
    tensors: HashMap<&'a str, (&'a Tensor, OnceCell<Option<Column>>)>,
    most: usize,
}

impl<'a> Columns<'a> {
    /// Of the first `most` rows.
    pub(super) fn of(tensors: &'a [Tensor], most: usize) -> Self {
        let tensors = tensors.iter().map(|tensor| (tensor.name(), (tensor, OnceCell::new()))).collect();
        Self { tensors, most }
    }

    /// The rows of one column; `None` if the tensor is not there or has another width than the reference.
    pub(super) fn at(&self, place: &Place) -> Option<Column> {
        let (tensor, cells) = self.tensors.get(place.tensor.as_str())?;
        if place.width == 0 || tensor.len() != tensor.rows().checked_mul(place.width)? {
            return None;
        }
        let cells = cells.get_or_init(|| cells_of(tensor, self.most)).as_ref()?;
        Some(cells.pick(place.at, place.width))
    }
}

/// All values of the first rows.
fn cells_of(tensor: &Tensor, most: usize) -> Option<Column> {
    let head = head(tensor, most)?;
    if tensor.datatype() == DataType::Bytes {
        return Some(Column::Texts(head.elements().ok()?.iter().map(|text| cut(text)).collect()));
    }
    head.to_f64().ok().map(Column::Numbers)
}

/// The first rows of a tensor.
pub(super) fn head(tensor: &Tensor, most: usize) -> Option<Tensor> {
    let rows = tensor.rows();
    if rows <= most {
        return Some(tensor.clone());
    }
    tensor.split(&[most, rows - most]).ok()?.into_iter().next()
}

/// A text of bounded length.
pub(super) fn cut(text: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn place(tensor: &str, width: usize, at: usize) -> Place {
        Place { tensor: tensor.into(), width, at }
    }

    #[test]
    fn a_column_is_every_row_at_its_place() {
        let numbers = Tensor::of("x", vec![3, 2], &[1_i64, 2, 3, 4, 5, 6]).unwrap();
        let texts = Tensor::of_text("t", vec![2], &["a", "b"]).unwrap();
        let inputs = [numbers, texts];
        let columns = Columns::of(&inputs, 2);
        assert_eq!(columns.at(&place("x", 2, 0)), Some(Column::Numbers(vec![1.0, 3.0])));
        assert_eq!(columns.at(&place("x", 2, 1)), Some(Column::Numbers(vec![2.0, 4.0])));
        assert_eq!(columns.at(&place("t", 1, 0)), Some(Column::Texts(vec!["a".into(), "b".into()])));
        for missing in [place("x", 3, 0), place("x", 0, 0), place("y", 1, 0)] {
            assert_eq!(columns.at(&missing), None, "{missing:?}");
        }
    }

    /// Eight thousand columns of two million values: converted for each column anew they would take a quarter of a minute.
    #[test]
    fn a_wide_tensor_is_converted_once() {
        let (rows, width) = (256_usize, 8_000_usize);
        let values: Vec<f32> = (0..rows * width).map(|cell| (cell % width) as f32).collect();
        let wide = [Tensor::of("x", vec![rows as i64, width as i64], &values).unwrap()];
        let (begun, columns) = (Instant::now(), Columns::of(&wide, rows));
        for at in 0..width {
            assert_eq!(columns.at(&place("x", width, at)), Some(Column::Numbers(vec![at as f64; rows])));
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}
