//! Tensors that a configuration has in another shape than the file (`reshape`): the elements are the same, and only what is
//! said of their shape changes on the way to the model and back.

use contracts::inference::ModelTensorReshape;
use engine::{Tensor, TensorData};

use super::Stated;

impl Stated {
    /// Inputs in the shapes that the file has.
    pub fn for_model(&self, inputs: Vec<Tensor>) -> Vec<Tensor> {
        let shape = |name: &str| {
            let input = self.config.input.iter().find(|input| input.name == name)?;
            input.reshape.as_ref().map(|ModelTensorReshape { shape }| shape.as_slice())
        };
        self.shaped(inputs, shape)
    }

    /// Outputs in the shapes that the configuration has.
    pub fn for_caller(&self, outputs: Vec<Tensor>) -> Vec<Tensor> {
        let shape = |name: &str| {
            let output = self.config.output.iter().find(|output| output.name == name)?;
            output.reshape.as_ref().map(|_| output.dims.as_slice())
        };
        self.shaped(outputs, shape)
    }

    /// Tensors with another shape behind their rows, of which `shape` knows; the others as they are.
    fn shaped<'a>(&self, tensors: Vec<Tensor>, shape: impl Fn(&str) -> Option<&'a [i64]>) -> Vec<Tensor> {
        let one = |tensor: Tensor| match shape(tensor.name()) {
            None => tensor,
            Some(tail) => {
                let rows = tensor.shape().first().copied().filter(|_| self.is_batched());
                let whole = rows.into_iter().chain(tail.iter().copied()).collect();
                let made = match tensor.data() {
                    TensorData::Raw(data) => {
                        Tensor::raw(tensor.name(), tensor.datatype(), whole, data.clone())
                    }
                    TensorData::Strings(elements) => Tensor::strings(tensor.name(), whole, elements.clone()),
                };
                // A model whose output has another size than its file says is answered as it is.
                made.unwrap_or(tensor)
            }
        };
        tensors.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::parsed;
    use engine::ModelSignature;

    fn stated(text: &str) -> Stated {
        Stated { config: parsed(text), signature: ModelSignature::default() }
    }

    #[test]
    fn elements_stay_and_shapes_change() {
        let rows = stated(
            "max_batch_size: 4 input [ { name: \"x\" dims: [ 4 ] reshape { shape: [ 2, 2 ] } }, { name: \"z\" dims: 4 } ]
             output [ { name: \"y\" dims: [ 1 ] reshape { shape: [ ] } } ]",
        );
        let tensor = |name: &str, shape: &[i64]| {
            let count: i64 = shape.iter().product();
            Tensor::of(name, shape.to_vec(), &(0..count).collect::<Vec<_>>()).unwrap()
        };
        let inputs = rows.for_model(vec![tensor("x", &[3, 4]), tensor("z", &[3, 4])]);
        assert_eq!((inputs[0].shape(), inputs[1].shape()), (&[3, 2, 2][..], &[3, 4][..]));
        assert_eq!(inputs[0].data(), tensor("x", &[3, 4]).data());
        assert_eq!(rows.for_caller(vec![tensor("y", &[3])])[0].shape(), [3, 1]);
        let texts = Tensor::of_text("y", vec![2], &["a", "b"]).unwrap();
        assert_eq!(rows.for_caller(vec![texts])[0].shape(), [2, 1]);
        assert_eq!(rows.for_caller(vec![tensor("y", &[3, 2])])[0].shape(), [3, 2], "not what was said");
        let alone = stated("input [ { name: \"x\" dims: [ 1, 4 ] reshape { shape: [ 2, 2 ] } } ]");
        assert_eq!(alone.for_model(vec![tensor("x", &[1, 4])])[0].shape(), [2, 2]);
    }
}
