//! Watches windows, alerts, drift and canaries.
