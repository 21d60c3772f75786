//! `--engine torch`, `--device` and `--precision`, in builds with libtorch and without.

use super::*;

const REGION: [&str; 4] = ["-r", YEAST, "--region", "chrI:5,001-9,000"];

/// What `predict` into a new folder says; nothing may be left there.
fn refused(arguments: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("out.bedGraph"));
    let all = predict(&[&REGION, arguments, &["--track", "donor", "-o", &output]].concat());
    let (code, message) = outcome(atrous(&strs(&all)).env("CUDA_VISIBLE_DEVICES", ""));
    assert_eq!(code, 2, "{arguments:?}: {message}");
    assert!(listing(folder.path()).is_empty(), "{arguments:?} left a file");
    message
}

#[cfg(not(feature = "torch"))]
#[test]
fn a_build_without_libtorch_says_how_to_get_one() {
    for arguments in [["--engine", "torch"], ["--device", "cuda"], ["--precision", "bf16"]] {
        let message = refused(&arguments);
        assert!(message.contains("make torch"), "{message}");
    }
}

#[cfg(feature = "torch")]
mod torch {
    use super::*;

    #[test]
    fn a_gpu_that_is_not_there_is_refused_with_what_was_looked_for() {
        for device in ["cuda", "cuda:1"] {
            let message = refused(&["--device", device]);
            for part in ["no GPU", "CUDA_VISIBLE_DEVICES: \"\"", "--device cpu", "install.md"] {
                assert!(message.contains(part), "{message:?} should say {part:?}");
            }
            let driver = message.contains("driver: ") || message.contains("devices: 0");
            assert!(driver, "{message:?} should say what the driver answers");
        }
        assert!(refused(&["--engine", "torch", "--precision", "tf32"]).contains("GPU"));
    }

    #[test]
    fn a_card_that_cannot_be_used_is_named_and_the_cpu_computes() {
        // a driver that knows of a card, which no library can then use
        let folder = TempDir::new().unwrap();
        let source = folder.path().join("driver.c");
        let code = "#include <string.h>\n\
            int cuInit(unsigned flags) { return 0; }\n\
            int cuDeviceGetCount(int *n) { *n = 1; return 0; }\n\
            int cuDeviceGet(int *device, int i) { *device = i; return 0; }\n\
            int cuDeviceGetName(char *s, int n, int d) { strcpy(s, \"Card\"); return 0; }\n\
            int cuDeviceTotalMem_v2(unsigned long *n, int d) { *n = 1ul << 33; return 0; }\n";
        fs::write(&source, code).unwrap();
        let library = folder.path().join("libcuda.so.1");
        let compiled = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status()
            .unwrap();
        assert!(compiled.success());
        let output = path_text(&folder.path().join("out.bedGraph"));
        let run = |arguments: &[&str]| {
            let fixed = ["--track", "donor", "-o", &output];
            let all = predict(&[&REGION, arguments, &fixed].concat());
            outcome(atrous(&strs(&all)).env("LD_LIBRARY_PATH", folder.path()))
        };
        let (code, message) = run(&[]);
        assert_eq!(code, 0, "{message}");
        assert!(message.contains("warning: the GPU cannot be used (devices: 1"), "{message}");
        assert!(message.contains("computing on the CPU"), "{message}");
        let (code, message) = run(&["--device", "cuda"]);
        assert_eq!(code, 2, "{message}");
        let reasons = ["libtorch_cuda.so is neither on", "libtorch can use 0 of them"];
        assert!(reasons.iter().any(|reason| message.contains(reason)), "{message}");
    }

    #[test]
    fn libtorch_on_the_cpu_writes_what_the_cpu_engine_writes() {
        let numbers = |engine: &str, device: &str| -> Vec<(u64, f64)> {
            let bytes =
                predicted(&[&REGION[..], &["--engine", engine, "--device", device]].concat());
            let lines = std::str::from_utf8(&bytes).unwrap().lines();
            let fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
            fields
                .filter(|fields| fields.len() == 4)
                .flat_map(|fields| {
                    let value = fields[3].parse().unwrap();
                    let span: [u64; 2] = [1, 2].map(|i: usize| fields[i].parse().unwrap());
                    (span[0]..span[1]).map(move |position| (position, value))
                })
                .collect()
        };
        let (got, expected) = (numbers("torch", "cpu"), numbers("cpu", "auto"));
        assert_eq!(expected.len(), 4_000);
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            // both are rounded to four digits
            assert!(
                got.0 == expected.0 && (got.1 - expected.1).abs() < 1.5e-4,
                "{got:?} {expected:?}"
            );
        }
    }

    #[test]
    fn coarse_arithmetic_is_measured_in_the_log_and_the_summary() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| path_text(&folder.path().join(name));
        let (output, summary) = (at("out.bedGraph"), at("run.json"));
        let coarse = ["--engine", "torch", "--device", "cpu", "--precision", "bf16"];
        let outputs = ["--track", "donor", "-o", &output, "--summary", &summary];
        let message = succeeds(&strs(&predict(&[&REGION[..], &coarse, &outputs].concat())));
        assert!(message.contains("differ from 32-bit arithmetic by up to"), "{message}");
        let summary: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
        let check = &summary["settings"]["precision_check"];
        assert!(check["positions"].as_u64().is_some_and(|n| (1..=4_000).contains(&n)), "{check}");
        let error = check["largest_difference"].as_f64().unwrap();
        assert!(error > 1e-6 && error < check["largest_value"].as_f64().unwrap(), "{check}");
        assert!(summary["engine"].as_str().unwrap().contains("bf16"), "{summary}");
    }
}
