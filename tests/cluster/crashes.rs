//! Runs that are killed, two at once, full disks: nothing that looks complete, and a way to go on.

use super::{Bench, FLY, GENES, HUMAN, MODEL, VARIANTS, atrous, exists, outcome, succeeds};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A run that is slow enough to be caught in the middle: plain loops, one thread.
const SLOW: [&str; 11] =
    ["predict", "-m", MODEL, "-r", FLY, "--engine", "oracle", "--tile", "20000", "--threads", "1"];

fn start(arguments: &[&str], more: &[&str]) -> Child {
    let mut command = atrous(arguments);
    command.args(more).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Numbers that look random and are the same in each run of a test.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// Kills runs of a command at random moments, 20 times, each going on where the last was; then lets
/// it end. None of the killed ones may leave an output that is not whole.
fn kill_and_go_on(command: &[&str], (output, whole): (&Path, &Path), longest: u64) {
    let mut numbers = Numbers(9);
    let mut killed = 0;
    for _ in 0..20 {
        let mut child = start(command, &["--resume"]);
        sleep(Duration::from_millis(numbers.below(longest)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        killed += usize::from(!status.success());
        if exists(output) {
            let left = fs::read(output).unwrap();
            assert!(left == fs::read(whole).unwrap(), "a part of {} is left", output.display());
        }
        if status.success() {
            // it was done before: begin again
            fs::remove_file(output).unwrap();
        }
    }
    assert!(killed >= 10, "only {killed} of 20 runs were caught");
    succeeds(command, &["--resume".to_owned()]);
}

#[test]
fn a_shard_killed_at_random_moments_goes_on_to_the_same_bytes() {
    let bench = Bench::new();
    let (whole, part) = (bench.at("whole.bedGraph.gz"), bench.at("part.bedGraph.gz"));
    let own = ["--track", "acceptor", "--shard", "1/2", "--table"];
    let command = [&SLOW[..], &own].concat();
    let (table, part_table) = (bench.at("whole.tsv"), bench.at("part.tsv"));
    succeeds(&[&command[..], &[&table, "-o", &whole]].concat(), &[]);
    let outputs = (Path::new(&part), Path::new(&whole));
    kill_and_go_on(&[&command[..], &[&part_table, "-o", &part]].concat(), outputs, 900);
    for name in ["bedGraph.gz", "bedGraph.gz.groups", "tsv"] {
        assert!(
            bench.bytes(&format!("whole.{name}")) == bench.bytes(&format!("part.{name}")),
            "{name}"
        );
    }
    let left: Vec<String> =
        bench.names().into_iter().filter(|n| n.contains(".part.") || n.ends_with("lock")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn scores_killed_at_random_moments_go_on_to_the_same_text() {
    let bench = Bench::new();
    // enough records for several chunks of a thousand
    let text = fs::read_to_string(VARIANTS).unwrap();
    let (header, records): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with('#'));
    let many: Vec<&str> = records.iter().flat_map(|line| [*line; 150]).collect();
    fs::write(bench.path("in.vcf"), [header, many].concat().join("\n") + "\n").unwrap();
    let input = bench.at("in.vcf");
    let command = ["score", "-m", MODEL, "-r", HUMAN, "-a", GENES, "--scheme", "splice-delta"];
    let command = [&command[..], &["--threads", "1", "--write-index", &input]].concat();
    for ending in ["vcf.gz", "bcf"] {
        let [whole, part] = ["whole", "part"].map(|run| bench.at(&format!("{run}.{ending}")));
        let [list, part_list] =
            ["whole", "part"].map(|run| bench.at(&format!("{run}.{ending}.tsv")));
        succeeds(&[&command[..], &["--skipped", &list, "-o", &whole]].concat(), &[]);
        let killed = [&command[..], &["--skipped", &part_list, "-o", &part]].concat();
        // stopped after its first chunk for certain
        let mut child = start(&killed, &[]);
        wait_for_checkpoint(&mut child, &bench.at(&format!("part.{ending}.part.journal")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!exists(Path::new(&part)));
        let message = succeeds(&killed, &["--resume".to_owned()]);
        assert!(message.contains("resuming after "), "{message}");
        let index = if ending == "bcf" { "csi" } else { "tbi" };
        for name in [ending, &format!("{ending}.tsv"), &format!("{ending}.{index}")] {
            let [whole, part] = ["whole", "part"].map(|run| bench.bytes(&format!("{run}.{name}")));
            assert!(whole == part, "{name}");
        }
    }
}

/// Waits until a run has written its journal's first checkpoint.
fn wait_for_checkpoint(child: &mut Child, journal: &str) {
    while fs::read_to_string(journal).map_or(0, |text| text.lines().count()) < 2 {
        assert!(child.try_wait().unwrap().is_none(), "ended before its first checkpoint");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn changes_stopped_by_a_signal_go_on_to_the_same_table() {
    let bench = Bench::new();
    let (whole, part) = (bench.at("whole.tsv.gz"), bench.at("part.tsv.gz"));
    let command = ["mutate", "-m", MODEL, "-r", HUMAN, "--deletions", "--threads", "1", "--region"];
    let command = [&command[..], &["hg19_1_860260_879955:1001-6000"]].concat();
    succeeds(&[&command[..], &["-o", &whole]].concat(), &[]);
    let stopped = [&command[..], &["-o", &part]].concat();
    let mut child = start(&stopped, &[]);
    wait_for_checkpoint(&mut child, &format!("{part}.part.journal"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let message = succeeds(&stopped, &["--resume".to_owned()]);
    assert!(message.contains("resuming after "), "{message}");
    assert!(bench.bytes("whole.tsv.gz") == bench.bytes("part.tsv.gz"));
}

fn terminate(child: &Child) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_ends_a_long_piece_of_work_within_seconds() {
    let bench = Bench::new();
    let output = bench.at("x.bedGraph");
    // one tile: nothing is finished for a long time
    let command = ["predict", "-m", MODEL, "-r", FLY, "--engine", "oracle", "--threads", "1"];
    let command =
        [&command[..], &["--tile", "100000000", "--track", "donor", "-o", &output]].concat();
    let mut child = start(&command, &[]);
    while !exists(&bench.path("x.bedGraph.part.journal")) {
        assert!(child.try_wait().unwrap().is_none(), "ended too soon");
        sleep(Duration::from_millis(1));
    }
    terminate(&child);
    // the oracle needs longer than the five seconds of grace, or stops by itself
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!exists(Path::new(&output)));
}

#[test]
fn a_second_run_of_a_shard_is_refused_and_hears_who_does_the_first() {
    let bench = Bench::new();
    let output = bench.at("x.bedGraph.gz");
    let command = [&SLOW[..], &["--track", "donor", "--shard", "1/1", "-o", &output]].concat();
    let mut first = start(&command, &[]);
    wait_for_checkpoint(&mut first, &format!("{output}.part.journal"));
    let (code, message) = outcome(&mut atrous(&command));
    assert_eq!(code, Some(1), "{message}");
    let holder = format!("process {} on ", first.id());
    assert!(message.contains("another run is writing this output"), "{message}");
    assert!(message.contains(&holder), "{message}");
    assert!(first.try_wait().unwrap().is_none(), "the first run ended");
    first.kill().unwrap();
    first.wait().unwrap();
    // the lock of the dead run is there and does not count
    assert!(exists(&bench.path("x.bedGraph.gz.lock")));
    succeeds(&command, &["--resume".to_owned()]);
    assert!(!exists(&bench.path("x.bedGraph.gz.lock")));
}

/// A small disk, or a read-only view of a folder, mounted for a test.
#[cfg(target_os = "linux")]
struct Mount(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Mount {
    /// None, with a reason, where this user may not mount.
    fn new(at: &Path, arguments: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        match Command::new("mount").args(arguments).arg(at).output() {
            Ok(output) if output.status.success() => Some(Self(at.into())),
            _ => {
                eprintln!("skipped: this user may not mount");
                None
            }
        }
    }

    fn again(&self, options: &str) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", options]).arg(&self.0).status().unwrap().success());
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_shard_on_a_full_disk_goes_on_when_there_is_room() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    let tmpfs = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    let Some(mount) = Mount::new(&disk, &tmpfs) else { return };
    let (whole, part) = (bench.at("whole.bedGraph.gz"), bench.at("disk/x.bedGraph.gz"));
    let command = ["predict", "-m", MODEL, "-r", FLY, "--track", "donor", "--shard", "1/2"];
    succeeds(&[&command[..], &["-o", &whole]].concat(), &[]);
    assert!(bench.bytes("whole.bedGraph.gz").len() > 1 << 20, "does not fill the disk");
    let full = [&command[..], &["-o", &part]].concat();
    let (code, message) = outcome(&mut atrous(&full));
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("No space left") && message.contains("--resume"), "{message}");
    assert!(!exists(Path::new(&part)));
    mount.again("remount,size=64m");
    let message = succeeds(&full, &["--resume".to_owned()]);
    assert!(message.contains("resuming after "), "{message}");
    assert!(bench.bytes("whole.bedGraph.gz") == bench.bytes("disk/x.bedGraph.gz"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_merge_on_a_full_disk_leaves_nothing() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    let tmpfs = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    let Some(mount) = Mount::new(&disk, &tmpfs) else { return };
    let command = ["predict", "-m", MODEL, "-r", FLY, "--track", "donor"];
    let flags = [("-o", "x.bedGraph.gz")];
    bench.run_both(&command, &flags, 2);
    let output = bench.at("disk/x.bedGraph.gz");
    let merge = [bench.manifests(2, "x.bedGraph.gz"), vec!["-o".into(), output]].concat();
    let (code, message) = outcome(atrous(&["merge"]).args(&merge));
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("No space left"), "{message}");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
    mount.again("remount,size=64m");
    succeeds(&["merge"], &merge);
    assert!(bench.bytes("whole.x.bedGraph.gz") == bench.bytes("disk/x.bedGraph.gz"));
}

#[cfg(target_os = "linux")]
#[test]
fn inputs_in_a_folder_that_cannot_be_written_to_are_enough() {
    let bench = Bench::new();
    let inputs = bench.path("inputs");
    fs::create_dir(&inputs).unwrap();
    // without its index, which is then made in memory
    fs::copy(MODEL, inputs.join("m.safetensors")).unwrap();
    fs::copy(FLY, inputs.join("r.fa.gz")).unwrap();
    fs::copy(VARIANTS, inputs.join("v.vcf")).unwrap();
    fs::copy(HUMAN, inputs.join("h.fa.gz")).unwrap();
    let own = bench.at("inputs");
    let Some(mount) = Mount::new(&inputs, &["--bind", &own]) else { return };
    mount.again("remount,ro,bind");
    assert!(fs::write(inputs.join("x"), "").is_err(), "the folder can be written to");
    let at = |name: &str| bench.at(&format!("inputs/{name}"));
    let (model, reference) = (at("m.safetensors"), at("r.fa.gz"));
    let command = ["predict", "-m", &model, "-r", &reference, "--track", "donor"];
    let flags = [("-o", "x.bedGraph.gz")];
    bench.run_both(&command, &flags, 2);
    bench.merge(&flags, 2);
    assert!(bench.bytes("whole.x.bedGraph.gz") == bench.bytes("merged.x.bedGraph.gz"));
    let (human, variants) = (at("h.fa.gz"), at("v.vcf"));
    let score = ["score", "-m", &model, "-r", &human, "--scheme", "splice-delta", &variants];
    bench.run_both(&score, &[("-o", "v.vcf")], 2);
}
