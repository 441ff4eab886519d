//! The rules of WLP-MLDEV-001 as pure functions over the policy.
