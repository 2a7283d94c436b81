# SPDX-License-Identifier: Apache-2.0
"""Layers and networks: what is read from the layer sets of bench/layers, and the sizes that follow."""
import csv
import dataclasses
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "layers"

PAD = 16  # floats: leading dimensions of the library (native/src/backend/layout.h)


def padded(n):
    return (n + PAD - 1) // PAD * PAD


@dataclasses.dataclass(frozen=True)
class Layer:
    """A dense layer or a square convolution, with the columns of the CSV that matter here."""

    name: str
    kind: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    height: int = 1
    width: int = 1
    bias: int = 0

    def __post_init__(self):
        if self.kind not in ("dense", "conv"):
            raise ValueError(f"layer {self.name}: kind is {self.kind}, allowed is dense or conv")
        for field in ("inputs", "outputs", "kernel", "stride", "groups", "height", "width"):
            if getattr(self, field) < 1:
                raise ValueError(f"layer {self.name}: {field} is {getattr(self, field)}, allowed is 1 or more")

    @property
    def positions(self):
        """Output positions of a sample: rows of the factors."""
        if self.kind == "dense":
            return self.height * self.width
        return self._side(self.height) * self._side(self.width)

    def _side(self, size):
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def d(self):
        """Columns of the first factor, of one group, bias included."""
        return self.inputs // self.groups * self.kernel**2 + self.bias

    @property
    def parameters(self):
        return self.outputs * self.d

    @property
    def multiply_adds(self):
        """Of the forward pass, for one sample."""
        return self.positions * self.parameters

    def first(self, largest):
        """Sizes of the diagonal blocks of the first factor, of all groups; largest 0: one block."""
        return blocks(self.d, largest) * self.groups

    def second(self, largest):
        return blocks(self.outputs // self.groups, largest) * self.groups


def blocks(size, largest):
    largest = min(size, largest) if largest > 0 else size
    full, rest = divmod(size, largest)
    return [largest] * full + ([rest] if rest else [])


@dataclasses.dataclass(frozen=True)
class Network:
    name: str
    layers: tuple
    other_parameters: int = 0  # of normalisation: in the gradients, in no factor
    other_tensors: int = 0
    sample: str = "sample"
    rows: int = 1  # rows of the output layer in a sample: 32 of a sentence of 32 tokens
    plain: tuple = ()  # names of layers without factors

    @property
    def parameters(self):
        return sum(layer.parameters for layer in self.layers) + self.other_parameters

    @property
    def tensors(self):
        return sum(1 + layer.bias for layer in self.layers) + self.other_tensors

    @property
    def multiply_adds(self):
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def convolutional(self):
        return any(layer.kind == "conv" for layer in self.layers)

    @property
    def factored(self):
        return tuple(layer for layer in self.layers if layer.name not in self.plain)

    @property
    def plain_tensors(self):
        return self.tensors - sum(1 + layer.bias for layer in self.factored)

    def without(self, name):
        """The same network, but the layer `name` is trained without factors."""
        if name not in [layer.name for layer in self.layers]:
            raise ValueError(f"{self.name} has no layer {name}")
        return dataclasses.replace(self, plain=(*self.plain, name))


def layer(row):
    """A layer of a row of a CSV, or of an object of the JSON of measurements: columns that are absent have their defaults."""
    known = {field.name for field in dataclasses.fields(Layer)}
    text = {"name", "kind"}
    return Layer(**{k: v if k in text else int(v) for k, v in row.items() if k in known})


def read(name):
    with open(FOLDER / f"{name}.csv", newline="", encoding="utf-8") as file:
        return tuple(layer(row) for row in csv.DictReader(file))


def normalised(layers):
    """Parameters and tensors of a batch normalisation after each convolution without bias."""
    channels = [layer.outputs for layer in layers if layer.kind == "conv" and not layer.bias]
    return 2 * sum(channels), 2 * len(channels)


def resnet50():
    layers = read("resnet50-imagenet")
    return Network("ResNet-50", layers, *normalised(layers), sample="image")


def transformer_big():
    """One dictionary of 32,768 for both sides and the output, all tied: `output` holds the only copy of the embeddings."""
    width, norms = 1024, 6 * 2 + 6 * 3  # two a layer of the encoder, three of the decoder: scale and shift each
    return Network("Transformer-Big", read("transformer-big"), norms * 2 * width, norms * 2, "sentence", 32)


def by_name(name):
    if name == "resnet50-imagenet":
        return resnet50()
    if name == "transformer-big":
        return transformer_big()
    if not (FOLDER / f"{name}.csv").exists():
        sets = sorted(path.stem for path in FOLDER.glob("*.csv"))
        raise ValueError(f"network is {name}, allowed is one of {', '.join(sets)}, or a list of layers")
    layers = read(name)
    return Network(name, layers, *normalised(layers))
