//! Foreign data and models, where `../shared` is present: taken as they are, told what they are. Nothing is copied.

mod evaluated;
mod hostile;
