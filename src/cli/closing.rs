//! How a run over variants or changes ends: its summary, its last lines in the log.

use super::args::RunArgs;
use super::engine::measured;
use atrous::Result;
use atrous::engine::Engine;
use atrous::genome::Reference;
use atrous::job::summary::{ModelUsed, Written};
use atrous::job::{OutputFile, Summary};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What a run worked with ([`RunArgs::ran`]).
pub struct Ran<'a> {
    run: &'a RunArgs,
    output: &'a Path,
    reference: &'a Reference,
    engine: &'a dyn Engine,
    threads: usize,
    start: Instant,
}

impl RunArgs {
    /// What a run worked with, on so many threads since some time.
    pub fn ran<'a>(
        &'a self,
        output: &'a Path,
        reference: &'a Reference,
        engine: &'a dyn Engine,
        (threads, start): (usize, Instant),
    ) -> Ran<'a> {
        Ran { run: self, output, reference, engine, threads, start }
    }
}

impl Ran<'_> {
    /// The summary of what was done, without what only some commands count.
    pub fn record(
        &self,
        mut settings: BTreeMap<String, serde_json::Value>,
        models: Vec<ModelUsed>,
        skipped: &BTreeMap<&'static str, u64>,
        outputs: &[Written],
    ) -> Summary {
        settings.extend(measured(self.engine));
        Summary {
            sample: self.run.sample(Some(self.output)),
            settings,
            models,
            reference: Some(self.reference.describe()),
            engine: self.engine.describe(),
            threads: self.threads,
            skipped: skipped.iter().map(|(&code, &number)| (code.to_owned(), number)).collect(),
            outputs: outputs.to_vec(),
            ..Summary::new()
        }
    }

    /// Takes the readings, has them said, and writes the summary where one is wanted.
    pub fn end(
        &self,
        mut record: Summary,
        summary: Option<OutputFile>,
        say: impl FnOnce(&Summary),
    ) -> Result<()> {
        record.measure(self.start);
        say(&record);
        summary.map_or(Ok(()), |file| record.write(file))
    }
}
