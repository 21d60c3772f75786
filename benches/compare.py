#!/usr/bin/env python3
"""Measure atrous beside PyTorch: same weights, same bases, interleaved, CPU time, medians.

  benches/compare.py --atrous target/release/atrous --python VENV/bin/python --shared ../shared

VENV has torch, h5py and numpy; the shared folder holds bench/torch_peer.py, the weights and the
sequence. CPU seconds of atrous are those of the whole process, start-up, reading and writing
included; those of PyTorch cover its forward passes alone. Prints the table of docs/benchmarks.md.
"""
import argparse, datetime, json, os, platform, resource, statistics, subprocess, tempfile


def cpu_seconds(command, env=None):
    """User and system seconds of a command, its threads and children included; its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = sum(getattr(after, f) - getattr(before, f) for f in ("ru_utime", "ru_stime"))
    return spent, done.stdout


def processor():
    with open("/proc/cpuinfo") as lines:
        return next((l.split(":")[1].strip() for l in lines if l.startswith("model name")), "?")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--atrous", default="target/release/atrous")
    ap.add_argument("--python", default="python3", help="a Python that has torch, h5py and numpy")
    ap.add_argument("--shared", default=os.environ.get("ATROUS_SHARED", "../shared"))
    ap.add_argument("--rounds", type=int, default=5)
    a = ap.parse_args()
    shared = lambda *parts: os.path.join(a.shared, *parts)
    weights, fasta = shared("weights/spliceai/spliceai1.h5"), shared("conformance/hg38_1m.fa.gz")
    peer = shared("bench/torch_peer.py")
    region, bases = "chr1:600,001-800,000", 200_000
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.safetensors")
        subprocess.run([a.atrous, "import", "-q", "spliceai", weights, "-o", model], check=True)

        def atrous(threads=1, isa="auto"):
            out = os.path.join(folder, "out.bedGraph")
            return cpu_seconds([a.atrous, "predict", "-q", "-m", model, "-r", fasta, "--region", region,
                                "--track", "acceptor", "-t", str(threads), "--cpu-isa", isa, "-o", out])[0]

        def torch(*flags, env=None):
            command = [a.python, peer, "--weights", weights, "--bases", str(bases), *flags]
            return json.loads(cpu_seconds(command, env)[1])["cpu_s"]

        avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
        cases = {
            "PyTorch eager": lambda: torch("--mode", "track"),
            "PyTorch tuned, valid": lambda: torch("--mode", "tuned", "--work", "track", "--valid"),
            "PyTorch eager, AVX2": lambda: torch("--mode", "track", env=avx2),
            "atrous, AVX-512": lambda: atrous(),
            "atrous, AVX-512, 2 threads": lambda: atrous(threads=2),
            "atrous, AVX2": lambda: atrous(isa="avx2"),
            "atrous, portable": lambda: atrous(isa="portable"),
        }
        seconds = {name: [] for name in cases}
        for _ in range(a.rounds):
            for name, run in cases.items():
                seconds[name].append(run())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    print(f"{processor()} ({os.cpu_count()} cores, {platform.machine()}), {datetime.date.today()}, "
          f"commit {commit.stdout.strip()}, load {os.getloadavg()[0]:.1f}, medians of {a.rounds} "
          f"interleaved rounds, SpliceAI-10k, one member, {bases:,} bases, one strand\n")
    median = {name: statistics.median(s) for name, s in seconds.items()}
    print("| program | CPU s | µs per base | least to most | less CPU time than PyTorch eager |")
    print("|---|---:|---:|---:|---:|")
    for name, s in seconds.items():
        rival = "PyTorch eager, AVX2" if "AVX2" in name else "PyTorch eager"
        print(f"| {name} | {median[name]:.2f} | {median[name] / bases * 1e6:.2f} | "
              f"{min(s):.2f} to {max(s):.2f} | {median[rival] / median[name]:.1f}x |")
    two, one = median["atrous, AVX-512, 2 threads"], median["atrous, AVX-512"]
    print(f"\nCPU time at 2 threads: {two / one:.2f} x that at 1 thread.")


if __name__ == "__main__":
    main()
