"""Makes the Keras-like files of this folder with h5py (python3 make.py): kernels in gzip + shuffle
chunks, names as fixed texts in a split list (earliest.h5) or as variable-length texts in the newest
layout (latest.h5). Every number is its count in file order / 64, from 1/64 on."""
import itertools
import json

import h5py
import numpy as np

C = 2
count = itertools.count(1)
layers, weights = [], {}


def numbers(*shape):
    size = int(np.prod(shape))
    return np.array([next(count) / 64 for _ in range(size)], np.float32).reshape(shape)


def add(kind, name, config, inputs, tensors=()):
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    layers.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": nodes})
    weights[name] = tensors
    return name


def conv(name, source, width, kernel, dilation, filters, activation="linear"):
    config = {"filters": filters, "kernel_size": [kernel], "dilation_rate": [dilation],
              "strides": [1], "padding": "same", "use_bias": True, "activation": activation}
    tensors = [("kernel:0", numbers(kernel, width, filters)), ("bias:0", numbers(filters))]
    return add("Conv1D", name, config, [source], tensors)


def norm_act(name, source):
    config = {"axis": [2], "epsilon": 0.001, "scale": True, "center": True}
    roles = ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]
    norm = add("BatchNormalization", f"norm{name}", config, [source], [(r, numbers(C)) for r in roles])
    return add("Activation", f"act{name}", {"activation": "relu"}, [norm])


add("InputLayer", "bases", {"batch_input_shape": [None, None, 4]}, [])
x = conv("stem", "bases", 4, 1, 1, C)
total = conv("skip0", x, C, 1, 1, C)
y = conv("conv1", norm_act(1, x), C, 5, 2, C)
y = conv("conv2", norm_act(2, y), C, 5, 2, C)
x = add("Add", "unit", {}, [y, x])
total = add("Add", "sum", {}, [conv("skip1", x, C, 1, 1, C), total])
conv("head", add("Cropping1D", "crop", {"cropping": [8, 8]}, [total]), C, 1, 1, 3, "softmax")
model = json.dumps({"class_name": "Functional", "config": {
    "name": "m", "layers": layers,
    "input_layers": [["bases", 0, 0]], "output_layers": [["head", 0, 0]]}})


def write(path, version, variable):
    def texts(items):
        return np.array(items, h5py.string_dtype()) if variable else np.array(items, "S")

    with h5py.File(path, "w", libver=version) as file:
        file.attrs["model_config"] = model if variable else np.bytes_(model)
        group = file.create_group("model_weights")
        names = [layer["name"] for layer in layers]
        if variable:
            group.attrs["layer_names"] = texts(names)
        else:
            group.attrs["layer_names0"], group.attrs["layer_names1"] = texts(names[:5]), texts(names[5:])
        for name in names:
            layer = group.create_group(name)
            paths = [f"{name}/{role}" for role, _ in weights[name]]
            layer.attrs["weight_names"] = texts(paths) if paths else np.zeros(0)
            for role, values in weights[name]:
                packed = {"compression": "gzip", "shuffle": True} if values.ndim == 3 else {}
                layer.create_dataset(f"{name}/{role}", data=values, **packed)


write("earliest.h5", "earliest", variable=False)
write("latest.h5", "latest", variable=True)
