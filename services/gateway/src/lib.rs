//! Serves inference by the Open Inference Protocol.
