//! Which transcripts of a gene count (formats.md 6).

use super::Transcript;
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// How the rows of genes are made from transcripts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneOptions {
    /// Which transcripts count.
    pub choice: Choice,
    /// A row for each of them instead of their union.
    pub per_transcript: bool,
}

/// Which transcripts of a gene count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// One per gene: tagged `MANE_Select`, else `Ensembl_canonical`, else `basic`; then the one
    /// with the longest coding sequence, the most exonic bases, the lowest start, the lowest
    /// identifier.
    #[default]
    Canonical,
    /// Every transcript.
    All,
    /// Those that have a tag.
    Tag(String),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            None if text == "canonical" => Ok(Self::Canonical),
            None if text == "all" => Ok(Self::All),
            Some(("tag", name)) if !name.is_empty() => Ok(Self::Tag(name.to_owned())),
            _ => Err(Error::usage("no such choice of transcripts")
                .found(text)
                .expected("canonical, all or tag=NAME")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canonical => f.write_str("canonical"),
            Self::All => f.write_str("all"),
            Self::Tag(name) => write!(f, "tag={name}"),
        }
    }
}

impl Choice {
    /// The transcripts that count of each gene; genes without any are left out.
    ///
    /// # Errors
    /// A tag that no transcript has.
    pub(super) fn keep<'a>(
        &self,
        genes: Vec<Vec<&'a Transcript>>,
    ) -> Result<Vec<Vec<&'a Transcript>>> {
        match self {
            Self::All => Ok(genes),
            Self::Canonical => Ok(genes.iter().filter_map(|g| canonical(g)).collect()),
            Self::Tag(name) => {
                let had_any = !genes.is_empty();
                let tagged = |gene: Vec<&'a Transcript>| -> Vec<_> {
                    gene.into_iter().filter(|transcript| has_tag(transcript, name)).collect()
                };
                let kept: Vec<_> =
                    genes.into_iter().map(tagged).filter(|gene| !gene.is_empty()).collect();
                if kept.is_empty() && had_any {
                    return Err(Error::new(format!("no transcript has the tag `{name}`"))
                        .remedy("choose another tag, or --transcripts canonical or all"));
                }
                Ok(kept)
            }
        }
    }
}

fn canonical<'a>(gene: &[&'a Transcript]) -> Option<Vec<&'a Transcript>> {
    let best = gene.iter().min_by_key(|transcript| {
        let untagged =
            ["MANE_Select", "Ensembl_canonical", "basic"].map(|tag| !has_tag(transcript, tag));
        let exonic: u64 = transcript.exons.iter().map(|(start, end)| end - start).sum();
        let start = transcript.exons.first().map(|exon| exon.0);
        (untagged, Reverse(transcript.coding_bases()), Reverse(exonic), start, &transcript.id)
    });
    best.map(|best| vec![*best])
}

/// Some sources write tags with blanks (`MANE Select`), others with underscores.
fn has_tag(transcript: &Transcript, name: &str) -> bool {
    let same = |tag: &str| tag == name || tag.replace(' ', "_") == name.replace(' ', "_");
    transcript.tags.iter().any(|tag| same(tag))
}
