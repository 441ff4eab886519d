//! The harness: the mesh in one process, and the mesh as processes.
