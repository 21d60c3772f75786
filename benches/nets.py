#!/usr/bin/env python3
"""Turn the networks that torch_bpnet.py dumps into model files, so that both programs do the same work.

  python torch_bpnet.py --net bpnet64 --dump work/       # work/bpnet64.safetensors: weights, inputs, outputs
  benches/nets.py work/bpnet64.safetensors               # work/bpnet64.model.safetensors, .fa, .bed
  cargo bench --bench nets -- work/bpnet64.safetensors   # outputs against its float64 ones, CPU seconds

Needs numpy and safetensors. The networks are described in torch_bpnet.py ($ATROUS_SHARED/bench).
"""
import json, os, sys
from safetensors import safe_open
from safetensors.numpy import save_file


class Graph:
    """Nodes as the model file lists them; a node is known by its index."""

    def __init__(self):
        self.nodes = [{"name": "input", "op": {"kind": "input"}}]

    def add(self, name, inputs, **op):
        self.nodes.append({"name": name, "op": op, "inputs": inputs})
        return len(self.nodes) - 1

    def conv(self, name, x, channels, kernel, dilation=1, padding="none"):
        return self.add(name, [x], kind="conv", channels=channels, kernel=kernel, dilation=dilation,
                        left=(kernel - 1) * dilation // 2, bias=True, padding=padding)

    def relu(self, name, x):
        return self.add(name, [x], kind="activation", function="relu")


def profile(w, same):
    """Stem, residual units, a profile of 1000 positions, log counts from the mean of what it reads."""
    g, padding = Graph(), "zero" if same else "none"
    channels, _, kernel = w["stem.weight"].shape
    x = g.relu("stem.act", g.conv("stem", 0, channels, kernel, padding=padding))
    layers = sum(name.startswith("dil.") and name.endswith(".weight") for name in w)
    for i in range(layers):
        y = g.relu(f"dil.{i}.act", g.conv(f"dil.{i}", x, channels, 3, 2 ** (i + 1), padding))
        x = g.add(f"dil.{i}.add", [x, y], kind="add")
    if same:
        x = g.add("inner", [x], kind="crop", left=520, right=520)
    mean = g.add("mean", [x], kind="mean")
    g.conv("counts", mean, 1, 1)
    g.conv("profile", x, 1, w["profile.weight"].shape[2])
    return g, {"in": 2114, "out": 1000, "anchor": 1057}


def long(w):
    """Units x + conv1(ReLU(conv3(ReLU(x)))), three outputs at every position of the window."""
    g = Graph()
    channels = w["stem.weight"].shape[0]
    x = g.conv("stem", 0, channels, 1)
    for i in range(sum(name.startswith("point.") and name.endswith(".weight") for name in w)):
        y = g.conv(f"dil.{i}", g.relu(f"dil.{i}.before", x), channels, 3, 2 ** i, "zero")
        y = g.conv(f"point.{i}", g.relu(f"point.{i}.before", y), channels, 1)
        x = g.add(f"point.{i}.add", [x, y], kind="add")
    g.conv("head", x, 3, 1)
    return g, {"in": 131072, "out": 131072, "anchor": 65536}


def main():
    dump = sys.argv[1]
    base = dump.removesuffix(".safetensors")
    net = os.path.basename(base)
    with safe_open(dump, "numpy") as f:
        w = {name: f.get_tensor(name) for name in f.keys()}
    g, window = long(w) if net == "long128" else profile(w, net == "bpnet64")
    outputs = {"profile": "profile"} if "profile64" in w else {f"output{i}": f"output {i}" for i in range(3)}
    source = lambda channel: [{"member": 0, "channel": channel}]
    document = {
        "version": 1, "name": net, "window": window, "letters": "ACGT", "unknown_base": "zero",
        "tracks": [{"name": name, "unit": "logit", "description": f"The {text}.", "strand": "none",
                    "default": True, "sources": source(i)} for i, (name, text) in enumerate(outputs.items())],
        "members": [{"name": net, "network": 0}], "networks": [g.nodes],
        "provenance": {"family": "torch_bpnet", "licence": "random numbers", "sources": [], "unread": [],
                       "record": "benches/nets.py"}}
    if "counts64" in w:
        document["scalars"] = [{"name": "log_counts", "unit": "ln(count)", "description": "The log count.",
                                "sources": source(0)}]
        document["profiles"] = [{"tracks": ["profile"], "log_count": "log_counts"}]
    tensors = {f"member.0.{name}": value for name, value in w.items()
               if name.endswith((".weight", ".bias")) and value.dtype == "float32"}
    counts = "member.0.counts.weight"
    if counts in tensors:
        tensors[counts] = tensors[counts][:, :, None]
    save_file(tensors, base + ".model.safetensors", {"atrous": json.dumps(document)})
    first = (window["in"] - window["out"]) // 2
    with open(base + ".fa", "w") as fasta, open(base + ".bed", "w") as bed:
        for i, codes in enumerate(w["input"]):
            print(f">s{i}", "".join("ACGTN"[c] for c in codes), sep="\n", file=fasta)
            print(f"s{i}", first, first + window["out"], sep="\t", file=bed)


if __name__ == "__main__":
    main()
