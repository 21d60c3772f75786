#!/usr/bin/env python3
"""Largest errors of atrous and of PyTorch, both in 32 bits, on published splice weights.

  python benches/errors.py --atrous target/release/atrous --shared ../shared

Both are held against the float64 outputs of $ATROUS_SHARED/conformance/tracks, whose README says how
they and the 32-bit ones of PyTorch were made. Needs numpy. Prints a table of docs/benchmarks.md.
"""
import argparse, glob, os, subprocess, tempfile
import numpy as np


def predicted(a, model, golden, region, folder):
    """What atrous writes for the channels and positions of a golden file, to nine digits."""
    start, end, strand = int(golden["start"]), int(golden["end"]), str(golden["strand"])
    fasta = "edge.fa" if region.startswith("edge") else "hg38_1m.fa.gz"
    names = [str(name) for name in golden["channels"]]
    flags = [flag for name in names for flag in ("--track", name)]
    subprocess.run([a.atrous, "predict", "-q", "-m", model, "-r", os.path.join(a.shared, "conformance", fasta),
                    "--region", f"{golden['chrom']}:{start + 1}-{end}", "--strand", strand, *flags,
                    "--decimals", "9", "-o", os.path.join(folder, "out.bedGraph")], check=True)
    values = np.zeros((len(names), end - start))
    for name, row in zip(names, values):
        [path] = [path for path in glob.glob(os.path.join(folder, "out*.bedGraph"))
                  if len(names) == 1 or f".{name}." in os.path.basename(path)]
        with open(path) as lines:
            for _, first, last, value in (line.split() for line in lines):
                row[int(first) - start:int(last) - start] = float(value)
        os.remove(path)
    return values


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--atrous", default="target/release/atrous")
    ap.add_argument("--shared", default=os.environ.get("ATROUS_SHARED", "../shared"))
    a = ap.parse_args()
    weights = {os.path.basename(path): path for kind in ("h5", "pt", "v2")
               for path in glob.glob(os.path.join(a.shared, "weights", "**", "*." + kind), recursive=True)}
    worst = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(glob.glob(os.path.join(a.shared, "conformance/tracks/*.float64.npz"))):
            weight_set, region = os.path.basename(path).split(".")[:2]
            exact, single = np.load(path), np.load(path.replace(".float64.", ".float32."))
            model = os.path.join(folder, weight_set + ".safetensors")
            if not os.path.exists(model):
                files = [weights[str(name)] for name in exact["files"]]
                subprocess.run([a.atrous, "import", "-q", "auto", *files, "-o", model], check=True)
            ours = predicted(a, model, exact, region, folder)
            errors = [float(np.abs(values - exact["mean"]).max()) for values in (single["mean"], ours)]
            members, count, so_far = worst.get(weight_set, (0, 0, [0.0, 0.0]))
            worst[weight_set] = (len(exact["files"]), count + exact["mean"].shape[1],
                                 [max(pair) for pair in zip(so_far, errors)])
    print("| weights | members | positions | PyTorch | atrous | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (members, count, (single, ours)) in worst.items():
        print(f"| {name} | {members} | {count:,} | {single:.1e} | {ours:.1e} | {ours / single:.1f} |")


if __name__ == "__main__":
    main()
