//! ONNX Runtime behind one trait; inspection of ONNX files without it.
