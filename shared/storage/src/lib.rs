//! What a repository needs: databases, audit log, idempotency, operations, key-value store, blobs.
