//! What an answer is kept under: everything that it depends on, and nothing else.

use engine::{Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::backends::Backend;

/// SHA-256 of a model's digest, where it runs, the outputs asked for and the inputs.
///
/// Tensors are as they were read: whether they came typed or raw, and in which order, makes no difference. Id, priority,
/// timeout and routing key do not come in. Classes are made of the outputs that are kept, so neither do they.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) [u8; 32]);

impl Key {
    /// The key of a request to a version; `outputs` as they are asked of the model, none is all of the file.
    pub fn of(backend: &Backend, inputs: &[Tensor], outputs: &[String]) -> Self {
        let all = || backend.session.signature().outputs.iter().map(|spec| spec.name.as_str());
        let provider = backend.session.provider().as_str();
        if outputs.is_empty() {
            Self::made(&backend.artifact_digest, provider, inputs, all())
        } else {
            Self::made(&backend.artifact_digest, provider, inputs, outputs.iter().map(String::as_str))
        }
    }

    fn made<'a>(
        digest: &str,
        provider: &str,
        inputs: &[Tensor],
        outputs: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut hash = Fields(Sha256::new());
        hash.text(digest);
        hash.text(provider);
        let outputs: Vec<_> = outputs.collect();
        hash.number(outputs.len());
        outputs.into_iter().for_each(|name| hash.text(name));
        let mut sorted: Vec<_> = inputs.iter().collect();
        sorted.sort_by_key(|tensor| tensor.name());
        hash.number(sorted.len());
        for tensor in sorted {
            hash.text(tensor.name());
            hash.text(tensor.datatype().name());
            hash.number(tensor.shape().len());
            tensor.shape().iter().for_each(|size| hash.number(*size as usize));
            match tensor.data() {
                TensorData::Raw(data) => hash.bytes(data),
                TensorData::Strings(elements) => {
                    hash.number(elements.len());
                    elements.iter().for_each(|element| hash.bytes(element));
                }
            }
        }
        Self(hash.0.finalize().into())
    }

    /// As the store has it. Another version of the program may run another runtime, and keeps its answers apart.
    pub fn shared(&self) -> String {
        format!("cache/{}/{}", env!("CARGO_PKG_VERSION"), hex::encode(self.0))
    }
}

/// Fields of a hash, each with its length before it: no two lists of fields are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(inputs: &[Tensor], outputs: &[&str]) -> Key {
        Key::made("sha256:00", "cpu", inputs, outputs.iter().copied())
    }

    #[test]
    fn a_key_is_of_all_that_an_answer_depends_on() {
        let x = Tensor::of("x", vec![1, 2], &[1.0_f32, 2.0]).unwrap();
        let y = Tensor::of("y", vec![1], &[3_i64]).unwrap();
        let text = Tensor::of_text("y", vec![2], &["ab", "c"]).unwrap();
        let base = key(&[x.clone(), y.clone()], &["a"]);
        assert_eq!(base, key(&[y.clone(), x.clone()], &["a"]), "the order of inputs is none of it");
        let others = [
            key(&[x.clone(), y.clone()], &["b"]),
            key(&[x.clone(), y.clone()], &["a", "b"]),
            key(&[x.clone(), y.clone()], &["b", "a"]),
            key(std::slice::from_ref(&x), &["a"]),
            key(&[x.clone(), text], &["a"]),
            key(&[x.clone(), Tensor::of_text("y", vec![2], &["a", "bc"]).unwrap()], &["a"]),
            key(&[x.clone(), Tensor::of("y", vec![1, 1], &[3_i64]).unwrap()], &["a"]),
            key(&[x.clone(), Tensor::of("y", vec![1], &[3_u64]).unwrap()], &["a"]),
            key(&[x.clone(), y.clone().named("z")], &["a"]),
            key(&[Tensor::of("x", vec![1, 2], &[2.0_f32, 1.0]).unwrap(), y.clone()], &["a"]),
            Key::made("sha256:01", "cpu", &[x.clone(), y.clone()], ["a"].into_iter()),
            Key::made("sha256:00", "cuda", &[x, y], ["a"].into_iter()),
        ];
        for (at, one) in others.iter().enumerate() {
            assert_ne!(base, *one, "{at}");
            assert!(!others[..at].contains(one), "{at}");
        }
    }
}
