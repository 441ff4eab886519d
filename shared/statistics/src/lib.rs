//! Metrics, intervals, tests, sketches, drift, fairness: values in, numbers out.
