//! BCF 2.2, the binary form of VCF, to lines of VCF and back.
//!
//! A codec of our own, and not that of noodles: noodles 0.119 goes through typed values, which
//! decodes the percent codes of strings (`%3B` comes out as `;`), and it panics on types that the
//! header does not lead it to expect. Here a value is text on one side and bytes on the other.
//!
//! Source: "The Variant Call Format Specification", section 6 (BCF specification v2.2).

mod decode;
mod dictionary;
mod encode;
mod value;

pub(super) use decode::{MAGIC, decode, header_lines};
pub use dictionary::{Dictionary, Needed, complete};
pub use encode::encode;

#[cfg(test)]
mod tests;
