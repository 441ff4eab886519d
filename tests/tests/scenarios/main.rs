//! The procedure through the mesh, phase by phase, on a manual clock with the fake engine: what must work does, what must
//! not is refused with the clause, what was required and what was observed.

mod data;
mod plan;
mod training;
mod versions;
