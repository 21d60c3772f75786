use super::*;
use crate::genome::Contigs;
use std::io::Cursor;
use std::path::PathBuf;

fn resolver() -> Resolver {
    let list = [("chr1", 1_000_000), ("chr10", 110_000)];
    let contigs = Contigs::new(list.map(|(name, length)| (name.into(), length)).into());
    Resolver::new(&contigs, None).unwrap()
}

fn read(text: &str, options: &GeneOptions) -> Result<Genes> {
    let lines = Lines::from_reader(Cursor::new(text.as_bytes().to_vec()), Path::new("x"))?;
    Genes::from_lines(lines, &resolver(), options)
}

/// A file of the shared data, or `None` with the reason printed.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ATROUS_SHARED").map_or("../shared".into(), PathBuf::from);
    let path = folder.join("conformance").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there (set ATROUS_SHARED)", path.display());
        return None;
    }
    Some(path)
}

const TABLE: &str = "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n";

/// GTF rows of one transcript: gene, symbol, transcript, strand, tags, exons and coding sequence
/// (1-based, closed).
fn transcript(
    (gene, symbol, id, strand): (&str, &str, &str, char),
    tags: &[&str],
    exons: &[(u64, u64)],
    coding: &[(u64, u64)],
) -> String {
    let tags: String = tags.iter().map(|tag| format!(" tag \"{tag}\";")).collect();
    let line = |kind, start, end| {
        format!(
            "1\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t.\tgene_id \"{gene}\"; \
             transcript_id \"{id}\"; gene_name \"{symbol}\";{tags}\n"
        )
    };
    let exons = exons.iter().map(|(start, end)| line("exon", start, end));
    exons.chain(coding.iter().map(|(start, end)| line("CDS", start, end))).collect()
}

#[test]
fn gtf_and_table_of_one_gene_give_the_same_row() {
    for name in ["grch38_or4f5", "grch38_wash7p", "grch37_tubb8"] {
        let files = [shared(&format!("{name}.gtf")), shared(&format!("{name}.tsv"))];
        let [Some(gtf), Some(table)] = files else { return };
        let [gtf, table] = [gtf, table].map(|path| {
            let genes = Genes::read(&path, &resolver(), &GeneOptions::default()).unwrap();
            let sha256 = genes.sha256(&resolver());
            (genes.list, sha256)
        });
        let transcripts = gtf.0[0].transcripts.clone();
        assert_eq!(gtf.0, [Gene { transcripts, ..table.0[0].clone() }], "{name}");
        assert_eq!(gtf.1, table.1);
    }
}

#[test]
fn the_canonical_transcript_is_chosen_by_tag_then_coding_then_exons_then_place() {
    let gene = |id| ("G", "SYM", id, '+');
    let plain = transcript(gene("a"), &[], &[(101, 400)], &[(101, 400)]);
    let basic = transcript(gene("b"), &["basic"], &[(101, 200)], &[(101, 110)]);
    let longer = transcript(gene("c"), &["CCDS", "basic"], &[(101, 150)], &[(101, 130)]);
    let canonical = transcript(gene("d"), &["Ensembl_canonical"], &[(101, 110)], &[]);
    let mane = transcript(gene("e"), &["MANE Select"], &[(101, 110)], &[]);
    let noncoding = transcript(gene("f"), &[], &[(101, 401)], &[]);
    let earlier = transcript(gene("z"), &[], &[(100, 400)], &[]);
    let same = transcript(gene("y"), &[], &[(100, 400)], &[]);
    for (list, chosen) in [
        (vec![&plain, &basic], "b"),
        (vec![&plain, &basic, &longer], "c"),
        (vec![&longer, &canonical, &basic], "d"),
        (vec![&mane, &canonical, &plain], "e"),
        (vec![&noncoding, &plain], "a"),
        (vec![&noncoding, &earlier], "z"),
        (vec![&earlier, &same], "y"),
    ] {
        let text: String = list.into_iter().map(String::as_str).collect();
        let genes = read(&text, &GeneOptions::default()).unwrap();
        assert_eq!(genes.list().len(), 1);
        assert_eq!(genes.list()[0].transcripts, [chosen]);
    }
}

#[test]
fn a_row_is_the_union_of_kept_transcripts_or_one_of_them() {
    let text = transcript(("G1", "S", "a", '-'), &["t"], &[(101, 200), (301, 400)], &[])
        + &transcript(("G1", "S", "b", '-'), &[], &[(151, 250), (301, 380), (451, 460)], &[])
        + &transcript(("G2", "S", "c", '-'), &["t"], &[(131, 140)], &[]);
    let rows = |choice: &str, per_transcript| {
        let options = GeneOptions { choice: choice.parse().unwrap(), per_transcript };
        let genes = read(&text, &options).unwrap();
        let row =
            |gene: &Gene| (gene.name.clone(), (gene.span.start, gene.span.end), gene.exons.clone());
        genes.list().iter().map(row).collect::<Vec<_>>()
    };
    let row = |name: &str, exons: &[(u64, u64)]| {
        (name.to_owned(), (exons[0].0, exons[exons.len() - 1].1), exons.to_vec())
    };
    let (a, b) = ([(100, 200), (300, 400)], [(150, 250), (300, 380), (450, 460)]);
    let both = [(100, 250), (300, 400), (450, 460)];
    let other = row("S", &[(130, 140)]);
    assert_eq!(rows("all", false), [row("S", &both), other.clone()], "symbols are kept apart");
    assert_eq!(rows("tag=t", false), [row("S", &a), other]);
    let each = [row("S:a", &a), row("S:b", &b), row("S:c", &[(130, 140)])];
    assert_eq!(rows("all", true), each);
    let options = GeneOptions { choice: "tag=u".parse().unwrap(), per_transcript: false };
    let error = read(&text, &options).unwrap_err().to_string();
    assert!(error.contains("no transcript has the tag `u`"), "{error}");
    assert_eq!("longest".parse::<Choice>().unwrap_err().exit_code(), 2);
}

#[test]
fn genes_are_found_by_their_bases_in_annotation_order() {
    let text = TABLE.to_owned()
        + "late\t1\t-\t150\t300\t150,250,\t200,300,\n"
        + "early\tchr1\t+\t100\t200\t100\t200\n"
        + "elsewhere\t7\t+\t100\t200\t100\t200\n"
        + "late\t1\t+\t150\t151\t150,\t151,\n";
    let genes = read(&text, &GeneOptions::default()).unwrap();
    let at =
        |position| genes.at(ContigId(0), position).map(|g| g.name.as_str()).collect::<Vec<_>>();
    assert_eq!(at(99), [""; 0]);
    assert_eq!(at(100), ["early"]);
    assert_eq!(at(150), ["late", "early", "late"]);
    assert_eq!(at(199), ["late", "early"]);
    assert_eq!(at(200), ["late"]);
    assert_eq!(at(300), [""; 0]);
    assert!(genes.has_contig(ContigId(0)) && !genes.has_contig(ContigId(1)));
    assert_eq!(genes.skipped.get("UNKNOWN_CONTIG"), Some(&1));
}

#[test]
fn bad_tables_are_refused_with_their_line() {
    for (row, message) in [
        ("G 1 + 1 2 1, 2,", "x:2: too few columns in a gene table (found 1"),
        ("G\t1\t.\t1\t2\t1,\t2,", "x:2: STRAND is neither + nor - (found ."),
        ("G\t1\t+\t-1\t2\t1,\t2,", "x:2: TX_START is not a position (found -1"),
        ("G\t1\t+\t2\t2\t1,\t2,", "x:2: TX_START is not before TX_END (found 2 and 2"),
        ("G\t1\t+\t1\t20\t1,5,\t3,", "found 2 starts and 1 ends"),
        ("G\t1\t+\t1\t20\t,\t,", "x:2: EXON_START is not a position"),
        ("G\t1\t+\t1\t20\t1,8\t5,8", "x:2: EXON_START is not before EXON_END (found 8 and 8"),
        ("G\t1\t+\t1\t20\t1,10\t5,21", "x:2: an exon outside its gene (found 10-21"),
        ("G\t1\t+\t1\t1000001\t1\t5", "x:2: gene `G` ends past its contig (found end 1000001"),
        ("G\tNC_1\t+\t1\t20\t1\t5", "x: no contig of this file is in the reference (found NC_1"),
        ("", "x: no gene in the table"),
    ] {
        let text = format!("{TABLE}{row}\n");
        let error = read(&text, &GeneOptions::default()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n  should have {message}");
    }
}
