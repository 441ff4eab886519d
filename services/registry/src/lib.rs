//! System of record: decides, with audit and proofs.
