//! Scenarios through the mesh, processes over TCP, clients in other languages.
