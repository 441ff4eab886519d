//! The way of a run's tensors to where a session runs, and back.
//!
//! On the processors the runtime takes values where they lie. To a device it copies them, and from memory that the
//! operating system may move it does so twice, through pages of its own. [`Pinned`] lays the inputs out in pages that stay
//! in place, binds them to the device, and has the outputs put into such pages: one copy in each direction.

use std::fmt::Debug;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::PrimitiveTensorElementType;

use super::convert::{self, Memory, Value, Values};
use super::switch::Run;
use super::worker::fault;
use crate::{DataType, Element, EngineError, Tensor};

/// How the tensors of a session's runs travel; chosen when it is loaded.
pub(super) trait Transfer: Send {
    /// An input that owns a copy of the tensors' data, rows one after the other.
    fn input(&self, parts: &[&Tensor]) -> Result<Value, EngineError>;

    /// Runs the session once.
    fn run(
        &mut self,
        session: &mut Session,
        inputs: Values,
        wanted: &[String],
        run: &Run,
    ) -> Result<Vec<Tensor>, EngineError>;
}

/// Ordinary memory; what has to be copied the runtime copies.
pub(super) struct Ordinary;

impl Transfer for Ordinary {
    fn input(&self, parts: &[&Tensor]) -> Result<Value, EngineError> {
        convert::input(parts, &convert::Heap)
    }

    fn run(
        &mut self,
        session: &mut Session,
        inputs: Values,
        wanted: &[String],
        run: &Run,
    ) -> Result<Vec<Tensor>, EngineError> {
        let outputs = session.run_with_options(inputs, &run.options).map_err(|error| fault(&error))?;
        convert::outputs(&outputs, wanted)
    }
}

/// Pages of the host that a device reads and writes itself, and values that are bound to it.
pub(super) struct Pinned {
    pages: Pages,
    binding: IoBinding,
    /// Where the device puts outputs.
    to: MemoryInfo<'static>,
    /// Where outputs go that are no numbers: no device makes them.
    ordinary: MemoryInfo<'static>,
    /// Outputs that are no numbers.
    texts: Vec<String>,
}

/// The session's allocator of such pages, which keeps them for the next run.
struct Pages(Allocator);

impl Pinned {
    /// By the pages of a session's device.
    ///
    /// # Errors
    /// The runtime's own: the session has no such pages.
    pub fn new(session: &Session, pages: AllocationDevice<'_>, device: i32) -> Result<Self, ort::Error> {
        let to = MemoryInfo::new(pages, device, AllocatorType::Device, MemoryType::CPUOutput)?;
        let is_text = |kind: &ort::value::ValueType| {
            kind.tensor_type().and_then(convert::datatype).is_none_or(|datatype| datatype == DataType::Bytes)
        };
        let texts = session.outputs().iter().filter(|output| is_text(output.dtype()));
        Ok(Self {
            pages: Pages(Allocator::new(session, to.clone())?),
            binding: session.create_binding()?,
            to,
            ordinary: MemoryInfo::default(),
            texts: texts.map(|output| output.name().to_owned()).collect(),
        })
    }

    fn bound(
        &mut self,
        session: &mut Session,
        inputs: &Values,
        wanted: &[String],
        run: &Run,
    ) -> Result<Vec<Tensor>, EngineError> {
        let failed = |error: ort::Error| fault(&error);
        for (name, value) in inputs {
            self.binding.bind_input(name.as_str(), value).map_err(failed)?;
        }
        for name in wanted {
            let to = if self.texts.contains(name) { &self.ordinary } else { &self.to };
            self.binding.bind_output_to_device(name.as_str(), to).map_err(failed)?;
        }
        self.binding.synchronize_inputs().map_err(failed)?;
        let outputs = session.run_binding_with_options(&self.binding, &run.options).map_err(failed)?;
        self.binding.synchronize_outputs().map_err(failed)?;
        convert::outputs(&outputs, wanted)
    }
}

impl Transfer for Pinned {
    fn input(&self, parts: &[&Tensor]) -> Result<Value, EngineError> {
        convert::input(parts, &self.pages)
    }

    fn run(
        &mut self,
        session: &mut Session,
        inputs: Values,
        wanted: &[String],
        run: &Run,
    ) -> Result<Vec<Tensor>, EngineError> {
        // Outputs of an earlier run would be taken for the place of this one's, whatever their shapes. A run that panicked
        // left its own.
        self.binding.clear();
        let done = self.bound(session, &inputs, wanted, run);
        self.binding.clear();
        done
    }
}

impl Memory for Pages {
    fn numbers<T>(&self, parts: &[&Tensor]) -> Result<ort::value::Tensor<T>, EngineError>
    where
        T: Element + PrimitiveTensorElementType + Debug,
    {
        let none = |error: ort::Error| EngineError::Host(convert::text(error.message()));
        let mut tensor = ort::value::Tensor::<T>::new(&self.0, convert::shape(parts)).map_err(none)?;
        let (_, mut room) = tensor.try_extract_tensor_mut::<T>().map_err(none)?;
        for part in parts {
            room = part.copy_to(room).map_err(|error| convert::bad(part, error.to_string()))?;
        }
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::instance::Instance;
    use super::super::sample::{loaded, provider, rows};
    use super::*;
    use crate::Provider;

    /// The pages of the provider's device; of the processors, whose memory is pages as well.
    fn pinned(session: &Session) -> Pinned {
        let pages = match provider() {
            Provider::Cpu => AllocationDevice::CPU,
            Provider::Cuda | Provider::TensorRt => AllocationDevice::CUDA_PINNED,
        };
        Pinned::new(session, pages, 0).expect("pages")
    }

    fn run(
        way: &mut dyn Transfer,
        session: &mut Session,
        requests: &[&[Tensor]],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>, EngineError> {
        let run: Arc<Run> = Run::new(1)?;
        let inputs = convert::inputs(requests, |parts| way.input(parts))?;
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        way.run(session, inputs, &wanted, &run)
    }

    #[test]
    fn answers_are_the_same_by_either_way_whatever_ran_before() {
        let Some(mut session) = loaded().map(Instance::into_session) else { return };
        let mut pinned = pinned(&session);
        let (one, three) = (rows(1, 7), rows(3, 1));
        let sets: [(&[&[Tensor]], &[&str]); 5] = [
            (&[&one], &["y", "u", "c"]),
            (&[&one, &three], &["c", "y"]),
            (&[&three], &["u"]),
            (&[&rows(0, 0)], &["y", "u", "c"]),
            (&[&one], &["y", "c"]),
        ];
        for (requests, wanted) in sets {
            let plain = run(&mut Ordinary, &mut session, requests, wanted).unwrap();
            assert_eq!(run(&mut pinned, &mut session, requests, wanted).unwrap(), plain);
            assert_eq!(plain.iter().map(Tensor::name).collect::<Vec<_>>(), wanted);
        }
        let four = run(&mut pinned, &mut session, &[&one, &three], &["y"]).unwrap();
        let expected: Vec<f32> = [7, 8, 1, 2, 3, 4, 5, 6].map(|at: u8| f32::from(at) / -3.0).to_vec();
        assert_eq!(four[0].values::<f32>().unwrap(), expected);
    }

    /// The runtime looks at the types of what is bound, and not for what is missing: that the signature has said before.
    #[test]
    fn a_run_that_is_refused_leaves_nothing_behind() {
        let Some(mut session) = loaded().map(Instance::into_session) else { return };
        let mut pinned = pinned(&session);
        let one = rows(1, 7);
        let expected = run(&mut pinned, &mut session, &[&one], &["y"]).unwrap();
        let other_type = Tensor::of("x", vec![1, 2], &[1_i64, 2]).unwrap();
        for wrong in [
            vec![one[0].clone(), one[1].clone()],
            vec![one[0].clone().named("nobody"), one[1].clone(), one[2].clone()],
            vec![other_type.clone(), one[1].clone(), one[2].clone()],
        ] {
            assert!(run(&mut pinned, &mut session, &[&wrong], &["y", "c"]).is_err());
            assert_eq!(run(&mut pinned, &mut session, &[&one], &["y"]).unwrap(), expected);
        }
        let mistyped = vec![other_type, one[1].clone(), one[2].clone()];
        let error = run(&mut pinned, &mut session, &[&mistyped], &["y"]).unwrap_err();
        assert!(matches!(error, EngineError::BadInput(_)), "{error}");
    }

    /// Caught before they reach pages of the other's size.
    #[test]
    fn parts_of_different_types_are_not_laid_out_together() {
        let Some(session) = loaded().map(Instance::into_session) else { return };
        let pinned = pinned(&session);
        let (a, b) =
            (Tensor::of("x", vec![1], &[1.0_f32]).unwrap(), Tensor::of("x", vec![1], &[1_i64]).unwrap());
        assert!(matches!(pinned.input(&[&a, &b]), Err(EngineError::BadInput(_))));
        assert!(matches!(pinned.input(&[]), Err(EngineError::Host(_))));
    }
}
