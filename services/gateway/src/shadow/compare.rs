//! How one output of two versions differs, over all requests that both answered.

use std::collections::BTreeMap;

use engine::{Tensor, TensorData};

/// What was seen of one output.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutputTally {
    /// Requests whose outputs have one type and shape.
    pub requests: u64,
    /// Of these, requests whose outputs are equal bit for bit.
    pub equal_requests: u64,
    /// Requests whose outputs differ in type or shape, or where one version gave none.
    pub incomparable: u64,
    /// Elements of the comparable outputs.
    pub elements: u64,
    /// Of these, elements that are equal bit for bit.
    pub equal_elements: u64,
    /// Pairs of numbers whose difference is finite.
    pub numbers: u64,
    /// Pairs of numbers whose difference is not: one of them is infinite.
    pub not_finite: u64,
    /// Largest absolute difference of a pair.
    pub max_difference: f64,
    /// Sum of the absolute differences.
    pub sum_differences: f64,
    /// Labels that the output holds: values of a whole-number, `BOOL` or `BYTES` output with one value a row; the place of
    /// the largest value in each row of a floating-point output with two or more columns.
    pub labels: u64,
    /// Labels that both versions gave alike.
    pub agreed_labels: u64,
}

impl OutputTally {
    /// Counts what two versions gave for one request.
    pub fn count(&mut self, production: &Tensor, shadow: &Tensor) {
        if production.datatype() != shadow.datatype() || production.shape() != shadow.shape() {
            self.incomparable += 1;
            return;
        }
        let len = production.len() as u64;
        let equal = equal_elements(production, shadow);
        self.requests += 1;
        self.equal_requests += u64::from(equal == len);
        self.elements += len;
        self.equal_elements += equal;
        let (Ok(one), Ok(other)) = (production.to_f64(), shadow.to_f64()) else {
            // Text: equal or not, and nothing in between.
            if is_column(production.shape()) {
                self.labels += len;
                self.agreed_labels += equal;
            }
            return;
        };
        self.differences(&one, &other);
        if !production.datatype().is_float() {
            if is_column(production.shape()) {
                self.labels += len;
                self.agreed_labels += equal;
            }
        } else if let [rows, width] = *production.shape()
            && rows > 0
            && width > 1
        {
            let width = width as usize;
            let agreed = one.chunks_exact(width).zip(other.chunks_exact(width));
            self.labels += rows as u64;
            self.agreed_labels += agreed.filter(|(one, other)| largest(one) == largest(other)).count() as u64;
        }
    }

    /// Counts what another tally counted.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.equal_requests += other.equal_requests;
        self.incomparable += other.incomparable;
        self.elements += other.elements;
        self.equal_elements += other.equal_elements;
        self.numbers += other.numbers;
        self.not_finite += other.not_finite;
        self.max_difference = self.max_difference.max(other.max_difference);
        self.sum_differences += other.sum_differences;
        self.labels += other.labels;
        self.agreed_labels += other.agreed_labels;
    }

    /// Mean absolute difference; `None` without numbers.
    pub fn mean_difference(&self) -> Option<f64> {
        (self.numbers > 0).then(|| self.sum_differences / self.numbers as f64)
    }

    fn differences(&mut self, one: &[f64], other: &[f64]) {
        for (one, other) in one.iter().zip(other) {
            // Two infinities of one sign do not differ, though their difference is no number.
            let difference = if one.to_bits() == other.to_bits() { 0.0 } else { (one - other).abs() };
            if difference.is_finite() {
                self.numbers += 1;
                self.sum_differences += difference;
                self.max_difference = self.max_difference.max(difference);
            } else {
                self.not_finite += 1;
            }
        }
    }
}

/// Counts every output of a request into the tally of its name.
pub fn count(tallies: &mut BTreeMap<String, OutputTally>, production: &[Tensor], shadow: &[Tensor]) {
    let of = |name: &str, outputs: &[Tensor]| outputs.iter().position(|tensor| tensor.name() == name);
    for output in production {
        let tally = tallies.entry(output.name().to_owned()).or_default();
        match of(output.name(), shadow) {
            Some(at) => tally.count(output, &shadow[at]),
            None => tally.incomparable += 1,
        }
    }
    for output in shadow.iter().filter(|output| of(output.name(), production).is_none()) {
        tallies.entry(output.name().to_owned()).or_default().incomparable += 1;
    }
}

/// Elements that are equal bit for bit, of two tensors of one type and shape.
fn equal_elements(one: &Tensor, other: &Tensor) -> u64 {
    let equal = match (one.data(), other.data()) {
        (TensorData::Raw(a), TensorData::Raw(b)) if a == b => one.len(),
        (TensorData::Raw(a), TensorData::Raw(b)) => {
            let size = one.datatype().size().unwrap_or(1);
            a.chunks_exact(size).zip(b.chunks_exact(size)).filter(|(a, b)| a == b).count()
        }
        (TensorData::Strings(a), TensorData::Strings(b)) => a.iter().zip(b).filter(|(a, b)| a == b).count(),
        (TensorData::Raw(_), TensorData::Strings(_)) | (TensorData::Strings(_), TensorData::Raw(_)) => 0,
    };
    equal as u64
}

/// One value a row: `[]`, `[rows]` or `[rows, 1]`.
fn is_column(shape: &[i64]) -> bool {
    matches!(shape, [] | [_] | [_, 1])
}

/// Place of the largest value, the first of equal ones; NaN never wins.
fn largest(row: &[f64]) -> Option<usize> {
    let numbers = row.iter().enumerate().filter(|(_, value)| !value.is_nan());
    numbers
        .fold(None, |best, (at, value)| match best {
            Some((_, most)) if *value <= most => best,
            _ => Some((at, *value)),
        })
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(pairs: &[(Tensor, Tensor)]) -> OutputTally {
        let mut tally = OutputTally::default();
        for (one, other) in pairs {
            tally.count(one, other);
        }
        tally
    }

    #[test]
    fn numbers_labels_and_equality_are_counted_by_hand() {
        let scores = |values: &[f32]| Tensor::of("scores", vec![2, 2], values).unwrap();
        let seen = tally(&[
            (scores(&[0.25, 0.75, 0.5, 0.5]), scores(&[0.25, 0.75, 0.5, 0.5])),
            (scores(&[0.25, 0.75, 1.0, 0.0]), scores(&[0.5, 0.5, 0.0, 1.0])),
        ]);
        assert_eq!((seen.requests, seen.equal_requests, seen.elements, seen.equal_elements), (2, 1, 8, 4));
        assert_eq!((seen.max_difference, seen.mean_difference()), (1.0, Some(2.5 / 8.0)));
        assert_eq!((seen.labels, seen.agreed_labels), (4, 2), "equal scores: the first place wins");
    }

    #[test]
    fn whole_numbers_and_text_of_one_column_are_labels() {
        let labels = |values: &[i64]| Tensor::of("label", vec![3], values).unwrap();
        let seen = tally(&[(labels(&[1, 2, 3]), labels(&[1, 5, 3]))]);
        assert_eq!((seen.labels, seen.agreed_labels, seen.max_difference), (3, 2, 3.0));
        let text = |values: &[&str]| Tensor::of_text("label", vec![2, 1], values).unwrap();
        let seen = tally(&[(text(&["a", "b"]), text(&["a", "c"]))]);
        assert_eq!((seen.labels, seen.agreed_labels, seen.numbers), (2, 1, 0));
        assert_eq!(seen.mean_difference(), None);
    }

    #[test]
    fn other_types_and_shapes_are_not_compared() {
        let one = Tensor::of("x", vec![2], &[1.0_f32, 2.0]).unwrap();
        let long = Tensor::of("x", vec![3], &[1.0_f32, 2.0, 3.0]).unwrap();
        let wide = Tensor::of("x", vec![2], &[1.0_f64, 2.0]).unwrap();
        let seen = tally(&[(one.clone(), long), (one.clone(), wide)]);
        assert_eq!((seen.incomparable, seen.requests, seen.elements), (2, 0, 0));
        let mut tallies = BTreeMap::new();
        count(&mut tallies, std::slice::from_ref(&one), &[one.clone().named("y")]);
        assert_eq!((tallies["x"].incomparable, tallies["y"].incomparable), (1, 1));
    }

    #[test]
    fn infinity_is_counted_apart() {
        let of = |values: &[f64]| Tensor::of("x", vec![1, 2], values).unwrap();
        let seen = tally(&[(of(&[f64::INFINITY, 1.0]), of(&[f64::INFINITY, f64::INFINITY]))]);
        assert_eq!((seen.not_finite, seen.numbers, seen.max_difference), (1, 1, 0.0));
    }
}
