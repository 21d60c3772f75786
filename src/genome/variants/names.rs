//! The contigs of a variant file, whose names come one by one.

use super::super::resolver::Resolver;
use crate::error::Result;
use crate::genome::ContigId;
use std::collections::HashMap;

/// Finds the reference's contig for each name and remembers it.
#[derive(Debug)]
pub struct ContigNames {
    resolver: Resolver,
    seen: HashMap<String, Option<ContigId>>,
}

impl ContigNames {
    /// For a file whose header lists these names, if it lists any: whether its numbers are Roman
    /// is told from them.
    pub fn new(resolver: &Resolver, listed: &[String]) -> Self {
        Self { resolver: resolver.for_names(listed), seen: HashMap::new() }
    }

    /// The contig that a name stands for; `None` if no rule knows it.
    ///
    /// # Errors
    /// Two contigs could be meant.
    pub fn find(&mut self, name: &str) -> Result<Option<ContigId>> {
        if let Some(found) = self.seen.get(name) {
            return Ok(*found);
        }
        let found = self.resolver.resolve(name)?;
        self.seen.insert(name.to_owned(), found);
        Ok(found)
    }

    /// The names that were looked up so far and what they stand for, in no order.
    pub fn seen(&self) -> impl Iterator<Item = (&str, Option<ContigId>)> {
        self.seen.iter().map(|(name, contig)| (name.as_str(), *contig))
    }

    /// The rules that names are found by.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }
}
