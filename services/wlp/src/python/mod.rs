//! The Python side of the demo: a virtual environment under the user's cache folder with generated stubs, and scripts that
//! train, audit and test as programs of other people would.

mod environment;
mod makers;
mod program;

pub use environment::Python;
pub use makers::PythonMakers;
pub(crate) use program::finished;
