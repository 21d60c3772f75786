#!/usr/bin/env python3
"""Measure atrous beside PyTorch: same weights, same bases, interleaved, CPU time, medians.

  benches/compare.py --atrous target/release/atrous --python VENV/bin/python --shared ../shared
  benches/compare.py --work snv ...      variants instead of a track
  benches/compare.py --work mutagenesis ...  every substitution of a window of two signal models
  benches/compare.py --work nets ...     three other networks, in windows
  benches/compare.py --work errors ...   rounding errors on published splice weights
  benches/compare.py --work start ...    start-up of atrous, and tiles of different lengths

VENV has torch, h5py, numpy and safetensors; the shared folder holds bench/torch_peer.py,
bench/torch_bpnet.py, the weights and the sequence. CPU seconds of atrous are those of the whole
process, start-up, reading and writing included, but for `nets`, where the engine alone is measured
(benches/nets.rs); those of PyTorch cover its forward passes alone. Prints a table of
docs/benchmarks.md.
"""
import argparse, datetime, gzip, json, os, platform, random, resource, statistics, subprocess, tempfile

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


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


def measure(cases, rounds, what):
    """Seconds of every case in every round; says where and when."""
    seconds = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            seconds[name].append(run())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    print(f"{processor()} ({os.cpu_count()} cores, {platform.machine()}), {datetime.date.today()}, "
          f"commit {commit.stdout.strip()}, load {os.getloadavg()[0]:.1f}, medians of {rounds} "
          f"interleaved rounds, {what}\n")
    return seconds


def import_model(a, folder, members):
    model = os.path.join(folder, "model.safetensors")
    files = [os.path.join(a.shared, f"weights/spliceai/spliceai{m + 1}.h5") for m in range(members)]
    subprocess.run([a.atrous, "import", "-q", "spliceai", *files, "-o", model], check=True)
    return model


def torch(a, *flags, env=None):
    weights = os.path.join(a.shared, "weights/spliceai/spliceai1.h5")
    peer = os.path.join(a.shared, "bench/torch_peer.py")
    command = [a.python, peer, "--weights", weights, *flags]
    return json.loads(cpu_seconds(command, env)[1])["cpu_s"]


def track(a, folder):
    """One member over 200 kb of one strand."""
    fasta = os.path.join(a.shared, "conformance/hg38_1m.fa.gz")
    region, bases = "chr1:600,001-800,000", 200_000
    model = import_model(a, folder, 1)

    def atrous(threads=1, isa="auto"):
        out = os.path.join(folder, "out.bedGraph")
        return cpu_seconds([a.atrous, "predict", "-q", "-m", model, "-r", fasta, "--region", region,
                            "--track", "acceptor", "-t", str(threads), "--cpu-isa", isa, "-o", out])[0]

    peer = lambda *flags, env=None: torch(a, "--bases", str(bases), *flags, env=env)
    cases = {
        "PyTorch eager": lambda: peer("--mode", "track"),
        "PyTorch tuned, valid": lambda: peer("--mode", "tuned", "--work", "track", "--valid"),
        "PyTorch eager, AVX2": lambda: peer("--mode", "track", env=AVX2),
        "atrous, AVX-512": lambda: atrous(),
        "atrous, AVX-512, 2 threads": lambda: atrous(threads=2),
        "atrous, AVX2": lambda: atrous(isa="avx2"),
        "atrous, portable": lambda: atrous(isa="portable"),
    }
    seconds = measure(cases, a.rounds, f"SpliceAI-10k, one member, {bases:,} bases, one strand")
    median = {name: statistics.median(s) for name, s in seconds.items()}
    print("| program | CPU s | µs per base | least to most | less CPU time than PyTorch eager |")
    print("|---|---:|---:|---:|---:|")
    for name, s in seconds.items():
        rival = "PyTorch eager, AVX2" if "AVX2" in name else "PyTorch eager"
        print(f"| {name} | {median[name]:.2f} | {median[name] / bases * 1e6:.2f} | "
              f"{min(s):.2f} to {max(s):.2f} | {median[rival] / median[name]:.1f}x |")
    two, one = median["atrous, AVX-512, 2 threads"], median["atrous, AVX-512"]
    print(f"\nCPU time at 2 threads: {two / one:.2f} x that at 1 thread.")


def variants(a, folder):
    """VCF files of substitutions: lone ones, 25 kb apart, and 1,000 within 100 kb."""
    with gzip.open(os.path.join(a.shared, "conformance/hg38_1m.fa.gz"), "rt") as lines:
        sequence = "".join(line.strip() for line in lines if not line.startswith(">")).upper()
    draw = random.Random(1)
    lone = [p for p in range(400_000, 900_000, 25_000) if "N" not in sequence[p - 6000:p + 6000]]
    dense = sorted(draw.sample(range(600_000, 700_000), 1000))
    files = {}
    for name, positions in (("lone", lone), ("dense", dense)):
        files[name] = os.path.join(folder, name + ".vcf"), len(positions)
        with open(files[name][0], "w") as out:
            out.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
            for p in positions:
                alt = draw.choice([letter for letter in "ACGT" if letter != sequence[p]])
                out.write(f"chr1\t{p + 1}\t.\t{sequence[p]}\t{alt}\t.\t.\t.\n")
    return files


def snv(a, folder):
    """Substitutions, 50 positions to either side, five members, one strand, no gene's mask."""
    members, peers = 5, 10
    model = import_model(a, folder, members)
    fasta = os.path.join(a.shared, "conformance/hg38_1m.fa.gz")
    files = variants(a, folder)
    peak = {}

    def peer(*flags):
        return torch(a, "--variants", str(peers), *flags) * members / peers

    def atrous(name, count, *command, threads=1):
        summary = os.path.join(folder, "run.json")
        spent, _ = cpu_seconds([a.atrous, *command, "-q", "-m", model, "-r", fasta, "--strand", "+",
                                "-t", str(threads), "--summary", summary])
        with open(summary) as run:
            peak[name] = round(json.load(run)["peak_memory_bytes"] / 1e6)
        return spent / count

    def score(name, load, threads=1):
        vcf, count = files[load]
        out = os.path.join(folder, "out.vcf")
        return name, lambda: atrous(name, count, "score", vcf, "-o", out, threads=threads)

    mutate = "atrous mutate, all 600 SNVs of 200 bases"
    region = ("mutate", "--region", "chr1:600,001-600,200", "-o", os.path.join(folder, "out.tsv"))
    cases = dict([
        ("PyTorch eager, x 5 members", lambda: peer("--mode", "snv")),
        ("PyTorch tuned, valid, x 5 members", lambda: peer("--mode", "tuned", "--work", "snv", "--valid")),
        score(f"atrous score, {files['lone'][1]} lone variants", "lone"),
        score("atrous score, 1,000 variants in 100 kb", "dense"),
        score("atrous score, 1,000 in 100 kb, 2 threads", "dense", 2),
        (mutate, lambda: atrous(mutate, 600, *region)),
    ])
    seconds = measure(cases, a.rounds, f"SpliceAI-10k, five members, windows of 101 outputs, one strand")
    median = {name: statistics.median(s) for name, s in seconds.items()}
    eager = next(iter(median.values()))
    print("| program | CPU ms per variant | least to most | variants per CPU s | peak MB | less CPU time than PyTorch eager |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, s in seconds.items():
        print(f"| {name} | {median[name] * 1e3:.1f} | {min(s) * 1e3:.1f} to {max(s) * 1e3:.1f} | "
              f"{1 / median[name]:.2f} | {peak.get(name, '')} | {eager / median[name]:.1f}x |")


# (network, windows at a time, repeats in PyTorch): the batches of torch_bpnet.py, and a small one
NETS = (("bpnet64", 64, 3), ("bpnet64", 4, 9), ("chrombpnet512", 8, 3), ("long128", 1, 1))


def nets(a, folder):
    """Networks of torch_bpnet.py with its weights, windows and batches, one thread."""
    peer = os.path.join(a.shared, "bench/torch_bpnet.py")
    here = os.path.dirname(os.path.abspath(__file__))
    for net in {net for net, _, _ in NETS}:
        subprocess.run([a.python, peer, "--net", net, "--dump", folder], check=True, capture_output=True)
        subprocess.run([a.python, os.path.join(here, "nets.py"), os.path.join(folder, net + ".safetensors")],
                       check=True)
    errors = {}

    def eager(net, batch, reps):
        command = [a.python, peer, "--net", net, "--batch", str(batch), "--reps", str(reps)]
        return lambda: json.loads(cpu_seconds(command)[1])["cpu_s_median"]

    def atrous(net, batch):
        def run():
            command = ["cargo", "bench", "-q", "--locked", "--bench", "nets", "--",
                       "--batch", str(batch), os.path.join(folder, net + ".safetensors")]
            found = json.loads(cpu_seconds(command)[1])
            errors.setdefault(net, found["errors"])
            return found["cpu_s_median"]
        return run

    cases = {}
    for net, batch, reps in NETS:
        cases |= {(net, batch, "PyTorch eager"): eager(net, batch, reps),
                  (net, batch, "atrous"): atrous(net, batch)}
    seconds = measure(cases, a.rounds, "networks of torch_bpnet.py, one thread")
    median = {case: statistics.median(s) for case, s in seconds.items()}
    print("| network | windows | program | CPU ms per window | least to most | less CPU time than PyTorch eager |")
    print("|---|---:|---|---:|---:|---:|")
    for (net, batch, program), s in seconds.items():
        each = lambda value: f"{value * 1e3 / batch:.2f}"
        ratio = median[net, batch, "PyTorch eager"] / median[net, batch, program]
        print(f"| {net} | {batch} | {program} | {each(median[net, batch, program])} | "
              f"{each(min(s))} to {each(max(s))} | {ratio:.1f}x |")
    print("\n| network | output | largest number | PyTorch | atrous | ratio |")
    print("|---|---|---:|---:|---:|---:|")
    for net, outputs in errors.items():
        for name, (largest, single, ours) in outputs.items():
            print(f"| {net} | {name} | {largest:.2f} | {single:.1e} | {ours:.1e} | {ours / single:.1f} |")


def start(a, folder):
    """What starting costs, and CPU time and memory by length of tile. No peer."""
    five, one = import_model(a, folder, 5), os.path.join(folder, "one.safetensors")
    weights = os.path.join(a.shared, "weights/spliceai/spliceai1.h5")
    subprocess.run([a.atrous, "import", "-q", "spliceai", weights, "-o", one], check=True)
    fasta = os.path.join(a.shared, "conformance/hg38_1m.fa.gz")
    nothing, out, summary = (os.path.join(folder, name) for name in ("none.bed", "out.bedGraph", "run.json"))
    open(nothing, "w").close()
    region, bases, peak = "chr1:100,001-900,000", 800_000, {}

    def predict(model, *flags):
        return cpu_seconds([a.atrous, "predict", "-q", "-m", model, "-r", fasta, "--track", "acceptor",
                            "-t", "1", "-o", out, "--summary", summary, *flags])[0]

    def tiled(length):
        seconds = predict(one, "--region", region, "--tile", str(length))
        with open(summary) as run:
            peak[length] = json.load(run)["peak_memory_bytes"] / 1e6
        return seconds

    tiles = [25_000, 50_000, 100_000, 200_000, 400_000, 800_000]
    cases = {"`atrous --help`": lambda: cpu_seconds([a.atrous, "--help"])[0],
             "`atrous predict` of no region, one member": lambda: predict(one, "--regions", nothing, "--allow-empty"),
             "`atrous predict` of no region, five members": lambda: predict(five, "--regions", nothing, "--allow-empty")}
    started = list(cases)
    cases |= {length: lambda length=length: tiled(length) for length in tiles}
    seconds = measure(cases, a.rounds, f"SpliceAI-10k; tiles: one member, {bases:,} bases, one thread")
    print("| what starts | CPU ms | least to most |\n|---|---:|---:|")
    for name in started:
        s = [second * 1e3 for second in seconds[name]]
        print(f"| {name} | {statistics.median(s):.0f} | {min(s):.0f} to {max(s):.0f} |")
    print("\n| bases per tile | µs per base | least to most | peak MB |\n|---:|---:|---:|---:|")
    for length in tiles:
        s = [second / bases * 1e6 for second in seconds[length]]
        print(f"| {length:,} | {statistics.median(s):.2f} | {min(s):.2f} to {max(s):.2f} | {peak[length]:.0f} |")


def errors(a, folder):
    """Rounding errors on published weights, by a script that needs numpy."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "errors.py")
    subprocess.run([a.python, script, "--atrous", a.atrous, "--shared", a.shared], check=True)


def mutagenesis(a, folder):
    """Every substitution of a window of 2,114 bases, one strand: the change of the log count."""
    peer = os.path.join(a.shared, "bench/torch_bpnet.py")
    nets = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nets.py")
    mutants, peak, cases = 3 * (2114 - 20), {}, {}  # 20 of its bases are N
    for net in ("bpnet64", "chrombpnet512"):
        subprocess.run([a.python, peer, "--net", net, "--dump", folder, "--dump-n", "1"], check=True,
                       capture_output=True)
        base = os.path.join(folder, net)
        subprocess.run([a.python, nets, base + ".safetensors"], check=True, capture_output=True)
        with open(base + ".fa") as lines:
            contig = lines.readline()[1:].split()[0]

        def eager(*flags, net=net):
            command = [a.python, peer, "--net", net, "--reps", "2", *flags]
            return 1 / json.loads(cpu_seconds(command)[1])["sequences_per_cpu_s"]

        def atrous(name, net=net, base=base, contig=contig):
            summary = os.path.join(folder, "run.json")
            spent, _ = cpu_seconds([a.atrous, "mutate", "-q", "-m", base + ".model.safetensors",
                                    "-r", base + ".fa", "--region", f"{contig}:1-2,114", "-t", "1",
                                    "--rc-average", "none", "-o", os.path.join(folder, "out.tsv"),
                                    "--summary", summary])
            with open(summary) as run:
                peak[name] = round(json.load(run)["peak_memory_bytes"] / 1e6)
            return spent / mutants

        cases[f"{net}: PyTorch eager"] = eager
        cases[f"{net}: PyTorch tuned"] = lambda eager=eager: eager("--tuned")
        name = f"{net}: atrous mutate"
        cases[name] = lambda name=name, atrous=atrous: atrous(name)
    seconds = measure(cases, a.rounds, "all 6,282 substitutions of 2,114 bases, one strand, one thread")
    median = {name: statistics.median(s) for name, s in seconds.items()}
    print("| network and program | CPU ms per mutant | least to most | mutants per CPU s | peak MB | less CPU time than PyTorch eager |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, s in seconds.items():
        rival = median[name.split(":")[0] + ": PyTorch eager"]
        print(f"| {name} | {median[name] * 1e3:.2f} | {min(s) * 1e3:.2f} to {max(s) * 1e3:.2f} | "
              f"{1 / median[name]:.1f} | {peak.get(name, '')} | {rival / median[name]:.1f}x |")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--atrous", default="target/release/atrous")
    ap.add_argument("--python", default="python3", help="a Python that has torch, h5py, numpy and safetensors")
    ap.add_argument("--shared", default=os.environ.get("ATROUS_SHARED", "../shared"))
    ap.add_argument("--work", choices=("track", "snv", "mutagenesis", "nets", "errors", "start"), default="track")
    ap.add_argument("--rounds", type=int, default=5)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"track": track, "snv": snv, "mutagenesis": mutagenesis, "nets": nets, "errors": errors, "start": start}[a.work](a, folder)


if __name__ == "__main__":
    main()
