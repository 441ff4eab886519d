//! Generated protobuf contracts and their conversions to domain types.
