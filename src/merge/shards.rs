//! Whether shards are those of one job, each once and none missing.

use crate::error::{Error, Result};
use crate::job::manifest::{ENDING, Manifest, Part};
use crate::job::shard::{Shard, Share};
use std::path::{Path, PathBuf};

/// All shards of a job, in their order.
pub struct Shards(Vec<(PathBuf, Manifest)>);

impl Shards {
    /// Reads the manifests, which are named themselves or by the outputs that they lie beside.
    ///
    /// # Errors
    /// No shard; a manifest that cannot be read; shards of several jobs, doubled or missing ones;
    /// unless `mixed`, shards that different instruction sets computed.
    pub fn read(names: &[PathBuf], mixed: bool) -> Result<Self> {
        let mut shards: Vec<(PathBuf, Manifest)> = Vec::with_capacity(names.len());
        for name in names {
            let is_manifest = name.to_str().is_some_and(|name| name.ends_with(ENDING));
            let path = if is_manifest { name.clone() } else { Manifest::path_of(name) };
            let manifest = Manifest::read(&path)?;
            shards.push((path, manifest));
        }
        shards.sort_by_key(|(_, manifest)| manifest.shard.number);
        let Some(((first_path, first), others)) = shards.split_first() else {
            return Err(
                Error::usage("no shard to merge").remedy("name the manifests of all shards")
            );
        };
        for (path, other) in others {
            same_job(first_path, first, path, other)?;
            if !mixed && other.engine != first.engine {
                return Err(Error::new("shards were computed by different engines or processors")
                    .at(path)
                    .found(&other.engine)
                    .expected(format!("{}, as {}", first.engine, first_path.display()))
                    .remedy(
                        "run all with one --cpu-isa, or accept differences in the last bits: \
                         --allow-mixed-isa",
                    ));
            }
        }
        complete(&shards)?;
        Ok(Self(shards))
    }

    /// The manifest of the first shard.
    pub fn first(&self) -> &Manifest {
        &self.0[0].1
    }

    /// How many shards there are, and what they do together.
    pub fn job(&self) -> (u64, Share) {
        let (first, last) = (&self.0[0].1.share, &self.0[self.0.len() - 1].1.share);
        let shares = || self.0.iter().map(|(_, manifest)| &manifest.share);
        let begins = shares().map(|share| &share.begins).find(|text| !text.is_empty());
        let ends = shares().rev().map(|share| &share.ends).find(|text| !text.is_empty());
        let share = Share {
            unit: first.unit.clone(),
            from: first.from,
            to: last.to,
            of: first.of,
            begins: begins.cloned().unwrap_or_default(),
            ends: ends.cloned().unwrap_or_default(),
        };
        (self.first().shard.of, share)
    }

    /// The manifests.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }

    /// Where an output of each shard lies, by its number.
    pub fn parts(&self, number: usize) -> Vec<(PathBuf, &Part)> {
        let part = |(path, manifest): &'_ (PathBuf, Manifest)| {
            beside(path, &manifest.outputs[number].file)
        };
        self.0.iter().map(|shard| (part(shard), &shard.1.outputs[number])).collect()
    }
}

/// A file that a manifest names.
pub fn beside(manifest: &Path, file: &Path) -> PathBuf {
    manifest.parent().map_or_else(|| file.to_path_buf(), |folder| folder.join(file))
}

/// Two manifests must agree in all but their share.
fn same_job(first_path: &Path, first: &Manifest, path: &Path, other: &Manifest) -> Result<()> {
    let foreign = |what: &str, found: &str, expected: &str| {
        Err(Error::new(format!("a shard of another job: its {what} differs"))
            .at(path)
            .found(found)
            .expected(format!("{expected}, as {}", first_path.display()))
            .remedy("merge the shards of one command, which differ in --shard and outputs alone"))
    };
    if other.command != first.command {
        return foreign("command", &other.command, &first.command);
    }
    if other.version != first.version {
        return foreign("version of atrous", &other.version, &first.version);
    }
    const NONE: &str = "nothing";
    for name in first.settings.keys().chain(other.settings.keys()) {
        let [expected, found] =
            [first, other].map(|manifest| manifest.settings.get(name).map_or(NONE, String::as_str));
        if expected != found {
            return foreign(name, found, expected);
        }
    }
    if other.shard.of != first.shard.of {
        let counts = [other, first].map(|manifest| format!("{} shards", manifest.shard.of));
        return foreign("number of shards", &counts[0], &counts[1]);
    }
    let roles = |manifest: &Manifest| -> Vec<_> {
        manifest.outputs.iter().map(|part| part.role.clone()).collect()
    };
    if roles(other) != roles(first)
        || (&other.contigs, other.share.of) != (&first.contigs, first.share.of)
    {
        return foreign("work", &describe(other), &describe(first));
    }
    for (own, part) in first.outputs.iter().zip(&other.outputs) {
        if own.join.describe() != part.join.describe() {
            return foreign("format", part.join.describe(), own.join.describe());
        }
    }
    Ok(())
}

fn describe(manifest: &Manifest) -> String {
    let Share { of, unit, .. } = &manifest.share;
    format!("{} outputs of {of} {unit}", manifest.outputs.len())
}

/// Each shard must be there once, and their shares must be the whole.
fn complete(shards: &[(PathBuf, Manifest)]) -> Result<()> {
    for pair in shards.windows(2) {
        let [(one, a), (two, b)] = pair else { continue };
        if a.shard == b.shard {
            return Err(Error::new(format!("shard {} is there twice", a.shard))
                .at(two)
                .found(format!("also {}", one.display()))
                .remedy("name each shard once"));
        }
    }
    let of = shards[0].1.shard.of;
    let has = |shard: Shard| {
        shards.binary_search_by_key(&shard.number, |(_, found)| found.shard.number).is_ok()
    };
    const SHOWN: usize = 10;
    let missing: Vec<String> =
        Shard::all(of).filter(|&shard| !has(shard)).map(|shard| shard.to_string()).collect();
    if !missing.is_empty() {
        let more = match missing.len() {
            count if count > SHOWN => format!(" and {} more", count - SHOWN),
            _ => String::new(),
        };
        let listed = missing[..missing.len().min(SHOWN)].join(", ");
        let what = if missing.len() == 1 { "shard" } else { "shards" };
        return Err(Error::new(format!("{what} {listed}{more} missing"))
            .found(format!("{} of {of}", shards.len()))
            .remedy("run what is missing, and name the manifests of all shards"));
    }
    let mut next = 0;
    for (path, Manifest { shard, share, .. }) in shards {
        if share.from != next || share.to < share.from {
            return Err(Error::new(format!(
                "shard {shard} does not go on where the one before ends"
            ))
            .at(path)
            .found(format!("{} {} to {}", share.unit, share.from, share.to))
            .expected(format!("from {next}"))
            .remedy("run all shards again with one version of atrous"));
        }
        next = share.to;
    }
    if next != shards[0].1.share.of {
        return Err(Error::new("the shards are not the whole job")
            .found(format!("{next} {}", shards[0].1.share.unit))
            .expected(shards[0].1.share.of));
    }
    Ok(())
}
