//! Tests of the library in one program: linking one for each file took minutes.
//!
//! Apart stand those that count what a whole process allocates.

mod accept;
mod commit;
mod common;
mod gate;
mod guests;
mod handover;
mod lifecycle;
mod links;
mod pressure;
mod rotation;
mod secure;
mod secure_stalls;
mod stalls;
mod stored;
mod strangers;
mod streams;
mod weaknesses;
