use super::*;
use crate::genome::Resolver;
use crate::genome::variants::{OnBadRecord, VariantReader};
use crate::job::output::commit_all;
use noodles::bgzf;
use noodles::bgzf::io::Seek as _;
use noodles::core::Region;
use noodles::csi::BinningIndex;
use noodles::tabix;
use std::fs::{self, File};
use std::io::{BufRead, Read};
use std::path::PathBuf;
use tempfile::TempDir;

fn contigs() -> Contigs {
    Contigs::new(vec![("chr1".into(), 100_000), ("chr2".into(), 100_000)])
}

/// Copies VCF text through reader and writer and returns where the copy is.
fn copy(folder: &TempDir, text: &[u8], name: &str, write_index: bool) -> Result<PathBuf> {
    let input = folder.path().join("in.vcf");
    fs::write(&input, text).unwrap();
    let resolver = Resolver::new(&contigs(), None)?;
    let mut reader = VariantReader::open(&input, &resolver, OnBadRecord::Error)?;
    let output = folder.path().join(name);
    let format = VariantFormat::of(&output)?.unwrap();
    let indexing = if write_index { Indexing::Index } else { Indexing::None };
    let mut sink = create(&output, format, reader.header(), &contigs(), indexing, None)?;
    while let Some(record) = reader.next_record()? {
        sink.write(&record, &record.text)?;
    }
    sink.finish()?;
    commit_all(sink.into_files())?;
    Ok(output)
}

const HEADER: &str = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

#[test]
fn what_is_not_annotated_is_copied_byte_for_byte() {
    let folder = TempDir::new().unwrap();
    let lf = b"##x=\xe9\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS 1\tS2\n\
        9\t5\t.\ta\tC\t1e3\tq\t\xe9;;=\tGT\t0/1\t./.\n1\t5\t.\tA\t.\t.\t.\t.\tGT\t0\n";
    let crlf: Vec<u8> =
        lf.iter().flat_map(|&b| if b == b'\n' { vec![13, 10] } else { vec![b] }).collect();
    for text in [lf.to_vec(), crlf, HEADER.as_bytes().to_vec()] {
        let plain = copy(&folder, &text, "out.vcf", false).unwrap();
        assert_eq!(fs::read(plain).unwrap(), text);
        let zipped = copy(&folder, &text, "out.vcf.gz", false).unwrap();
        let mut unzipped = Vec::new();
        bgzf::io::Reader::new(File::open(zipped).unwrap()).read_to_end(&mut unzipped).unwrap();
        assert_eq!(unzipped, text);
    }
}

#[test]
fn an_index_finds_the_records_of_a_stretch() {
    let folder = TempDir::new().unwrap();
    let mut text = HEADER.to_owned();
    for chrom in ["2", "chr1"] {
        for pos in (0..90_000).step_by(30) {
            let info = if pos == 600 { "DB;END=70000" } else { "." };
            text += &format!("{chrom}\t{pos}\t.\tACGTA\tC\t.\t.\t{info}\n");
        }
    }
    let output = copy(&folder, text.as_bytes(), "out.vcf.gz", true).unwrap();
    let index = tabix::fs::read(folder.path().join("out.vcf.gz.tbi")).unwrap();
    let names = index.header().unwrap().reference_sequence_names();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2", "chr1"]);
    let mut reader = bgzf::io::Reader::new(File::open(output).unwrap());
    let region: Region = "chr1:60032-60034".parse().unwrap();
    let chunks = index.query(1, region.interval()).unwrap();
    let mut found = Vec::new();
    for chunk in chunks {
        reader.seek_to_virtual_position(chunk.start()).unwrap();
        let mut line = String::new();
        while reader.virtual_position() < chunk.end() && reader.read_line(&mut line).unwrap() > 0 {
            let columns: Vec<&str> = line.trim_end().split('\t').collect();
            let pos: u64 = columns[1].parse().unwrap();
            let end = if columns[7] == "." { pos + 4 } else { 70_000 };
            if columns[0] == "chr1" && pos <= 60_034 && end >= 60_032 {
                found.push(pos);
            }
            line.clear();
        }
    }
    assert_eq!(found, [600, 60_030]);
}

#[test]
fn bcf_holds_what_the_text_holds() {
    let folder = TempDir::new().unwrap();
    let text = "##fileformat=VCFv4.2\n##contig=<ID=2,length=100000>\n##contig=<ID=chr1>\n\
        ##FILTER=<ID=q,Description=\"x\">\n##INFO=<ID=END,Number=1,Type=Integer,Description=\"x\">\n\
        ##INFO=<ID=S,Number=.,Type=String,Description=\"x, IDX=1\">\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n\
        2\t5\trs1\tA\tC,<DEL>\t29.5\tq\tEND=900;S=a%3Bb|c\tGT\t0/1\t1|.\n\
        2\t5\t.\tac\t.\t.\tPASS\t.\tGT\t.\t./.\nchr1\t700\t.\tN\t*\t1e-7\t.\tS=x\tGT\t0\t1\n";
    let bcf = copy(&folder, text.as_bytes(), "out.bcf", true).unwrap();
    assert!(folder.path().join("out.bcf.csi").exists());
    let resolver = Resolver::new(&contigs(), None).unwrap();
    let mut reader = VariantReader::open(&bcf, &resolver, OnBadRecord::Error).unwrap();
    let mut lines = reader.header().lines.clone();
    while let Some(record) = reader.next_record().unwrap() {
        lines.push(record.text);
    }
    assert_eq!(String::from_utf8(lines.join(&b'\n')).unwrap() + "\n", text);

    let bytes = fs::read(&bcf).unwrap();
    let cut = folder.path().join("cut.bcf");
    fs::write(&cut, &bytes[..bytes.len() - 60]).unwrap();
    let mut reader = match VariantReader::open(&cut, &resolver, OnBadRecord::Skip) {
        Ok(reader) => reader,
        Err(error) => panic!("{error}"),
    };
    let error = std::iter::from_fn(|| reader.next_record().transpose())
        .find_map(std::result::Result::err)
        .unwrap();
    assert!(error.to_string().contains("truncated"), "{error}");
}

#[test]
fn an_index_of_unsorted_records_or_plain_text_is_refused() {
    let folder = TempDir::new().unwrap();
    let text = format!("{HEADER}1\t9\t.\tA\tC\t.\t.\t.\n1\t5\t.\tA\tC\t.\t.\t.\n");
    let error = copy(&folder, text.as_bytes(), "out.vcf.gz", true).unwrap_err().to_string();
    assert!(error.contains("found 1:5 (line 4) after 1:9 (line 3)"), "{error}");
    assert!(!folder.path().join("out.vcf.gz").exists());
    let error = copy(&folder, text.as_bytes(), "out.vcf", true).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn the_ending_names_the_format() {
    let of = |name: &str| VariantFormat::of(Path::new(name));
    assert_eq!(of("a.b.vcf.gz").unwrap(), Some(VariantFormat::Vcf { bgzip: true }));
    assert_eq!(of("a.tsv").unwrap(), Some(VariantFormat::Table { bgzip: false }));
    assert_eq!(of("-").unwrap(), None);
    for bad in ["a.txt", ".vcf", "vcf", "a.gz"] {
        assert_eq!(of(bad).unwrap_err().exit_code(), 2, "{bad}");
    }
}

#[test]
fn tables_quote_only_what_would_break_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.tsv");
    let columns = ["a", "b"].map(str::to_owned);
    let mut table =
        AlleleTable::create(&path, false, &[b"##note".to_vec()], &columns, None).unwrap();
    table.write(&["x\ty", "say \"z\""]).unwrap();
    assert_eq!(table.rows(), 1);
    table.finish().unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "##note\na\tb\n\"x\ty\"\tsay \"z\"\n");
}
