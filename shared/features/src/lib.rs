//! Schemas, fitted transforms and column sketches as kernels over Arrow arrays.
