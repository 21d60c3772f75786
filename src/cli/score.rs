//! `atrous score`: variants in, the same with scores out.

mod command;
pub(super) mod track;

use super::args::{Chosen, ModelArgs, ReferenceArgs, RunArgs, ShardArgs, count, files_read};
use super::engine::EngineArgs;
use super::plan::without_shard;
use anyhow::Result;
use atrous::effect::annotate::share::sections;
use atrous::effect::annotate::{Report, Request, annotate};
use atrous::effect::{Mask, Reading, RefMismatch, Rules, Scorer, Settings, Skip, Text};
use atrous::genome::genes::{Choice, GeneOptions};
use atrous::genome::variants::{OnBadRecord, Schema, VariantReader};
use atrous::genome::{Genes, Resolver, Strand};
use atrous::job::distinct::refuse_shared;
use atrous::job::journal::Settings as Identity;
use atrous::job::output::append;
use atrous::job::progress::rate;
use atrous::job::shard::Share;
use atrous::job::{OutputFile, Summary, signal};
use atrous::track::Style;
use atrous::{Error, Result as Checked};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use track::{CompareFlags, TrackFlags};

/// Score what variants do to splicing, or to signals.
///
/// Splice models give the scores of the published programs, by gene; models of profiles and counts
/// (or any with --scheme tracks) compare counts and profiles before and after. Every record of the input is in the output; an allele without a score has a reason instead.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    #[command(flatten)]
    variants: VariantArgs,
    #[command(flatten)]
    genes: GeneArgs,
    #[command(flatten)]
    scores: ScoreFlags,
    #[command(flatten)]
    tracks: TrackFlags,
    #[command(flatten)]
    compare: CompareFlags,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What is scored.
#[derive(Debug, Args)]
#[command(next_help_heading = "Variants")]
struct VariantArgs {
    /// VCF or BCF, or a table (tabs or commas) with the columns chrom, pos, ref and alt; plain,
    /// gzip or bgzip; `-` for stdin.
    #[arg(value_name = "IN", required_unless_present = "variant")]
    input: Option<PathBuf>,
    /// A variant, such as chr1:69511:A:G, POS from 1; repeatable.
    #[arg(long, value_name = "CHROM:POS:REF:ALT", conflicts_with = "input")]
    variant: Vec<String>,
    /// Read a table without a header, `-` for an allele without bases: chrombpnet (chr pos allele1
    /// allele2 id), original (chr pos id allele1 allele2), plink (chr id . pos allele1 allele2),
    /// plink2 (chr id pos allele1 allele2), bed (chr start end allele1 allele2 id). For signals.
    #[arg(long, value_name = "NAME", requires = "input", value_parser = str::parse::<Schema>)]
    schema: Option<Schema>,
    /// What a record does that cannot be read: `error` stops, `skip` leaves it out and counts it.
    #[arg(long, value_name = "WAY", default_value = "error", value_parser = str::parse::<OnBadRecord>)]
    on_bad_record: OnBadRecord,
    /// What a record does whose REF is not in the reference: `skip` (no score), `error`, or
    /// `use-vcf` (REF is put into the sequence).
    #[arg(long, value_name = "WAY", default_value = "skip", value_parser = str::parse::<RefMismatch>)]
    ref_mismatch: RefMismatch,
    /// Longest ALT that is scored, in letters.
    #[arg(long, value_name = "LETTERS", default_value_t = 10_000, hide_short_help = true)]
    max_alt: usize,
    /// Accept that there is no variant at all.
    #[arg(long)]
    allow_empty: bool,
}

/// Where the genes are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Genes")]
pub(super) struct GeneArgs {
    /// GTF, GFF3, or a table #NAME CHROM STRAND TX_START TX_END EXON_START EXON_END (starts
    /// 0-based). Without it the sequence around a variant is read as it is.
    #[arg(short, long, value_name = "GENES")]
    annotation: Option<PathBuf>,
    /// Which transcripts make a gene: canonical (MANE Select, else Ensembl canonical, else the
    /// longest), all, or tag=NAME. Rows of a table are genes as they are.
    #[arg(long, value_name = "CHOICE", default_value = "canonical", value_parser = str::parse::<Choice>)]
    transcripts: Choice,
    /// Score each transcript for itself instead of their union.
    #[arg(long, requires = "annotation")]
    per_transcript: bool,
    /// Without --annotation, the strand that is read: +, - or both.
    #[arg(
        long,
        value_name = "STRAND",
        default_value = "+",
        value_parser = parse_strands,
        conflicts_with = "annotation",
        allow_hyphen_values = true
    )]
    strand: Strands,
}

/// Strands that are read one by one.
#[derive(Debug, Clone)]
struct Strands(Vec<Strand>);

impl fmt::Display for Strands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0[..] {
            [strand] => write!(f, "{}", strand.symbol()),
            _ => f.write_str("both"),
        }
    }
}

/// What a score is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scores")]
struct ScoreFlags {
    /// How tracks become scores: splice-delta or splice-usage, with tracks of your own as in
    /// splice-delta:ACCEPTOR,DONOR, or tracks; default: as the model file says.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    /// Bases on either side of POS that are looked at, up to 4999.
    #[arg(short, long, value_name = "BASES", default_value_t = 50)]
    distance: usize,
    /// Which changes count: none (no mask), nearest (no gain at the nearest exon boundary and no
    /// loss elsewhere), all (the same for every exon boundary); several give a set of scores each.
    #[arg(long, value_name = "MASK,…", value_delimiter = ',', value_parser = str::parse::<Mask>)]
    mask: Vec<Mask>,
    /// Let the start and the end of a transcript count as exon boundaries of mask `all`.
    #[arg(long)]
    mask_tss: bool,
    /// Whose rules say what is scored and how it is printed: atrous, spliceai, openspliceai,
    /// pangolin.
    #[arg(long, value_name = "RULES", default_value = "atrous", value_parser = str::parse::<Rules>)]
    rules: Rules,
    /// Digits after the decimal point in INFO; default: 4, of other rules 2.
    #[arg(long, value_name = "N")]
    decimals: Option<u8>,
}

/// What is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// .vcf, .vcf.gz (BGZF), .bcf, or .tsv, .tsv.gz (a row per allele and gene, full precision);
    /// `-` for stdout, in the format of the input.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Make an index of .vcf.gz or .bcf; the input must be sorted.
    #[arg(long)]
    write_index: bool,
    /// Replace scores that the input has already.
    #[arg(long)]
    overwrite_info: bool,
    /// List the alleles without a score: contig, pos, ref, alt, line, reason, detail.
    #[arg(long, value_name = "FILE.tsv[.gz]")]
    skipped: Option<PathBuf>,
    /// Continue an interrupted run from its partial outputs.
    #[arg(long)]
    resume: bool,
    /// Write the tracks around the strongest variants, before, after and their difference, as
    /// bedGraph files into this folder.
    #[arg(long, value_name = "FOLDER")]
    delta_tracks: Option<PathBuf>,
    /// Draw the same as pictures (SVG), with the exons, into this folder.
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
    /// How many variants, those with the largest scores, --delta-tracks and --plot show.
    #[arg(long, value_name = "N", default_value_t = 20)]
    strongest: usize,
}

const EXAMPLES: &str = "\
Examples:
  atrous score -m spliceai.safetensors -r hg38.fa.gz -a genes.gtf.gz in.vcf.gz -o scored.vcf.gz
  atrous score -m spliceai.safetensors -r hg38.fa.gz -a genes.gtf.gz --variant chr1:69511:A:G -o -
  atrous score -m pangolin.safetensors -r hg38.fa.gz -a genes.gtf.gz in.vcf -o scores.tsv \\
    --distance 500 --mask none,all --skipped skipped.tsv
  atrous score -m spliceai.safetensors -r hg38.fa.gz -a genes.gtf.gz in.vcf -o - --plot pictures
  atrous score -m fold0.safetensors -m fold1.safetensors -r hg38.fa.gz in.vcf -o effects.tsv \\
    --without-bias --peaks peaks.narrowPeak --null 10

POS is 1-based as in VCF. DP of the scores counts bases from POS, positive towards higher positions.";

/// Refuses what cannot be meant, scores, and says what was done.
pub fn run(args: &ScoreArgs) -> Result<()> {
    let start = Instant::now();
    let threads = args.run.start_threads()?;
    signal::install()?;
    signal::end_within_grace()?;
    args.refuse_shared_outputs()?;
    let (model, used) = args.model.read()?;
    if track::scores_tracks(&model, args.scores.scheme.as_deref()) {
        return args.run_tracks((model, used), threads, start);
    }
    let schema = args.variants.schema.map(|_| "--schema");
    let given = args.tracks.given().or(args.compare.given()).or(schema);
    track::refuse(given, "splice scores")?;
    let scheme = Reading::choose_scheme(&model, args.scores.scheme.as_deref())?;
    let reading = Reading::new(&model, &scheme, args.model.member.as_deref())?;
    let settings = args.settings().checked(&scheme, args.genes.annotation.is_some())?;
    let summary = args.shard.summary(args.run.summary.as_deref());
    let summary = summary.as_deref().map(OutputFile::create).transpose()?;
    let (mut reference, resolver) = args.reference.open()?;
    let genes = args.genes.read(&resolver)?;
    let mut reader = args.variants.open(&resolver)?;
    let engine = args.engine.build(&model, reading.tracks())?;
    let chosen = Chosen::new(model, used, reading.tracks().to_vec());
    let scorer = Scorer::new(&reading, engine.as_ref(), genes.as_ref(), settings)?;
    tracing::info!(
        "{} ({}): {} on {}, {}",
        chosen.model.name,
        count(chosen.used.iter().map(|file| file.members.len() as u64).sum(), "member"),
        scheme.name(),
        engine.describe(),
        count(threads as u64, "thread"),
    );
    let hash = genes.as_ref().map(|genes| genes.sha256(&resolver));
    let hashes: Vec<String> = chosen.used.iter().map(|file| file.sha256.clone()).collect();
    let text = Text::new(scorer.reading(), scorer.settings());
    let header = text.header(&hashes, hash.as_deref());
    let request = args.request(header, &chosen, hash.as_deref());
    let progress = args.run.progress();
    let report = annotate(&mut reader, &mut reference, &scorer, &request, &progress)?;

    let ran = args.run.ran(&args.output.output, &reference, engine.as_ref(), (threads, start));
    let settings = args.settings_used(&chosen, scorer.settings(), hash);
    let record = ran.record(settings, chosen.used, &report.skipped, &report.outputs);
    ran.end(record, summary, |record| say(record, &report))?;
    Ok(())
}

impl ScoreArgs {
    /// Cores that are used.
    pub fn threads(&self) -> u64 {
        self.run.threads()
    }

    /// What each shard does.
    pub fn shares(&self, of: u64) -> Checked<Vec<Share>> {
        without_shard(self.shard.shard)?;
        let (_, resolver) = self.reference.open()?;
        let reader = self.variants.open(&resolver)?;
        Ok(sections(&reader, of)?.into_iter().map(|section| section.share).collect())
    }

    fn settings(&self) -> Settings {
        Settings {
            distance: self.scores.distance,
            masks: self.scores.mask.clone(),
            mask_tss: self.scores.mask_tss,
            rules: self.scores.rules,
            ref_mismatch: self.variants.ref_mismatch,
            max_alt: self.variants.max_alt,
            strands: self.genes.strand.0.clone(),
            decimals: self.scores.decimals,
        }
    }

    fn request(&self, mut header: Vec<String>, chosen: &Chosen, genes: Option<&str>) -> Request {
        header.push(format!("##atrousVersion={}", env!("CARGO_PKG_VERSION")));
        header.push(format!("##atrousCommand={}", self.command()));
        Request {
            output: self.shard.place(&self.output.output),
            write_index: self.output.write_index,
            overwrite_info: self.output.overwrite_info,
            skipped: self.output.skipped.as_deref().map(|path| self.shard.place(path)),
            delta_tracks: self.output.delta_tracks.clone(),
            plots: self.output.plot.clone(),
            strongest: self.output.strongest,
            style: Style::default(),
            allow_empty: self.variants.allow_empty,
            shard: self.shard.shard,
            resume: self.output.resume,
            identity: self.identity(chosen, genes),
            header,
        }
    }

    /// What decides the numbers, for the journal and the manifest.
    fn identity(&self, chosen: &Chosen, genes: Option<&str>) -> Identity {
        let mut identity = self.model.identity(chosen);
        identity.insert("command".into(), self.command());
        identity.insert("annotation".into(), genes.unwrap_or("none").into());
        identity
    }

    /// Refuses to write over what is read, before any work.
    fn refuse_shared_outputs(&self) -> Checked<()> {
        let OutputArgs { output, skipped, write_index, .. } = &self.output;
        let manifest = self.shard.manifest_of(output);
        let indexes = [".tbi", ".csi"].map(|ending| append(output, ending));
        let indexes = indexes.iter().filter(|_| *write_index);
        let outputs: Vec<&Path> = std::iter::once(output)
            .chain(skipped)
            .chain(&self.run.summary)
            .chain(indexes)
            .chain(&manifest)
            .map(PathBuf::as_path)
            .collect();
        let read = files_read(&self.model, &self.reference);
        let inputs: Vec<&Path> = read
            .iter()
            .chain(&self.genes.annotation)
            .chain(&self.variants.input)
            .chain(self.compare.inputs())
            .map(PathBuf::as_path)
            .collect();
        refuse_shared(&outputs, &inputs)
    }

    /// What decides the numbers, for the summary.
    fn settings_used(
        &self,
        chosen: &Chosen,
        settings: &Settings,
        genes: Option<String>,
    ) -> BTreeMap<String, serde_json::Value> {
        let mut used = self.model.settings(chosen);
        let masks: Vec<&str> = settings.masks.iter().map(|mask| mask.name()).collect();
        used.insert("distance".into(), settings.distance.into());
        used.insert("mask".into(), masks.into());
        used.insert("mask_tss".into(), settings.mask_tss.into());
        used.insert("rules".into(), settings.rules.name().into());
        used.insert("ref_mismatch".into(), settings.ref_mismatch.name().into());
        used.insert("max_alt".into(), settings.max_alt.into());
        used.insert("decimals".into(), settings.decimals().into());
        used.insert("annotation".into(), genes.into());
        used
    }
}

impl GeneArgs {
    /// The file of genes, if there is one.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.annotation.as_ref()
    }

    /// The strands that are read without genes.
    pub(super) fn strands(&self) -> &[Strand] {
        &self.strand.0
    }

    pub(super) fn read(&self, resolver: &Resolver) -> Checked<Option<Genes>> {
        let Some(path) = &self.annotation else {
            tracing::info!(
                "no --annotation: the sequence around a variant is read as it is, on the strand of \
                 --strand"
            );
            return Ok(None);
        };
        let options =
            GeneOptions { choice: self.transcripts.clone(), per_transcript: self.per_transcript };
        let genes = Genes::read(path, resolver, &options)?;
        tracing::info!("{}: {}", path.display(), count(genes.list().len() as u64, "gene"));
        Ok(Some(genes))
    }
}

impl VariantArgs {
    fn open(&self, resolver: &Resolver) -> Checked<VariantReader> {
        match &self.input {
            Some(path) => match self.schema {
                Some(schema) => {
                    VariantReader::open_table(path, resolver, self.on_bad_record, schema)
                }
                None => VariantReader::open(path, resolver, self.on_bad_record),
            },
            None => VariantReader::of_list(&self.variant, resolver),
        }
    }
}

fn parse_strands(text: &str) -> Checked<Strands> {
    match text {
        "+" | "plus" => Ok(Strands(vec![Strand::Plus])),
        "-" | "minus" => Ok(Strands(vec![Strand::Minus])),
        "both" => Ok(Strands(vec![Strand::Plus, Strand::Minus])),
        _ => {
            Err(Error::usage("no such strand").found(text).expected("+ (plus), - (minus) or both"))
        }
    }
}

/// The last lines of the log: what has no score and why, where the rest is, how fast it went.
fn say(record: &Summary, report: &Report) {
    for (&code, &number) in &report.skipped {
        let known = Skip::ALL.into_iter().find(|skip| skip.code() == code);
        match known {
            Some(skip) => tracing::info!(
                "{} without a score: {code}, {}",
                count(number, "allele"),
                skip.explain()
            ),
            None => tracing::warn!("{} left out: {code}", count(number, "record")),
        }
    }
    for (code, number) in &report.warnings {
        tracing::info!("{} with a warning: {code}", count(*number, "allele"));
    }
    for output in record.outputs.iter().filter(|output| output.path != Path::new("-")) {
        match output.path.extension().is_some_and(|ending| ending == "svg") {
            true => tracing::debug!("{}", output.path.display()),
            false => {
                tracing::info!("{}: {}", output.path.display(), count(output.records, "line"));
            }
        }
    }
    let speed = rate(report.scored as f64 / record.seconds.max(f64::MIN_POSITIVE));
    tracing::info!(
        "{} of {} in {} scored: {:.2} s on {}, {}: {speed} alleles/s",
        count(report.scored, "allele"),
        report.alleles,
        count(report.records, "record"),
        record.seconds,
        record.engine,
        count(record.threads as u64, "thread"),
    );
}
