# SPDX-License-Identifier: Apache-2.0
"""What cifar10.py does with its time, and what it writes: runs, schedule, epochs that fit, JSON lines. Needs no PyTorch."""
import collections
import json
import math

LEVELS = (91, 93, 94)  # percent of the test images

Run = collections.namedtuple("Run", "name seed epochs")


def base(name):
    """lngd/fast is an LNGD with settings of its own (--try lngd/fast:...)."""
    return name.split("/")[0]


def runs(text, epochs, seeds, known):
    """'sgd,lngd:24,muon@2': NAME[:EPOCHS][@SEED]. Without a seed one run for each of 1 to `seeds`, seed after seed, so that a cut
    leaves whole comparisons."""
    fixed, every = [], []
    for item in filter(None, (item.strip() for item in text.split(","))):
        rest, _, seed = item.partition("@")
        name, _, count = rest.partition(":")
        if base(name) not in known:
            raise ValueError(f"optimizer {name!r} is not known: allowed are {', '.join(known)}, each with /LABEL, :EPOCHS, @SEED")
        try:
            count, seed = int(count) if count else epochs, int(seed) if seed else None
        except ValueError:
            raise ValueError(f"run {item!r}: allowed is NAME[:EPOCHS][@SEED] with whole numbers") from None
        if count < 1 or (seed is not None and seed < 0):
            raise ValueError(f"run {item!r}: epochs are 1 or more, a seed 0 or more")
        (every if seed is None else fixed).append(Run(name, seed, count))
    return [run._replace(seed=seed) for seed in range(1, seeds + 1) for run in every] + fixed


def changes(texts):
    """--try NAME:setting=value,... to {name: {setting: value}}."""
    out = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        try:
            pairs = [pair.split("=") for pair in rest.split(",")]
            values = {key.strip(): float(value) for key, value in pairs}
        except ValueError:
            values = None
        if not colon or not values:
            raise ValueError(f"--try {text!r}: allowed is OPTIMIZER:setting=number,...")
        out.setdefault(name, {}).update(values)
    return out


def factor(step, steps, warm_up):
    """The schedule of all optimizers, for step 0 .. steps - 1: linear from 0 over the share `warm_up` of the run, then a cosine to 0."""
    rising = int(round(warm_up * steps))
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def epochs_that_fit(planned, seconds_epoch, seconds_left):
    """The runs, all with the same share of their epochs (at least 1) so that they fit; `seconds_epoch`: by name, evaluation included."""
    whole = sum(run.epochs * seconds_epoch[run.name] for run in planned)
    if whole <= seconds_left:
        return planned
    share = max(0.0, seconds_left) / whole
    return [run._replace(epochs=max(1, int(run.epochs * share))) for run in planned]


def levels(evaluations):
    """Seconds and epochs at the first evaluation at or beyond each level, with the raw and with the averaged weights."""
    out = {}
    for level in LEVELS:
        for weights in ("raw", "averaged"):
            hit = next((e for e in evaluations if e[f"{weights}_accuracy"] * 100 >= level), None)
            out[f"{weights}_seconds_to_{level}"] = hit["seconds"] if hit else None
            out[f"{weights}_epochs_to_{level}"] = hit["epoch"] if hit else None
    return out


def finite(value):
    """NaN and Inf are no JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, (list, tuple)) else value


class Log:
    """JSON lines, each in the file the moment it is known."""

    def __init__(self, path):
        self.path = path

    def line(self, kind, **fields):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite({"suite": "cifar10", "kind": kind, **fields}), allow_nan=False) + "\n")

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def unfinished(self):
        """(name, seed) of the run or calibration that was begun and has no end, or None."""
        begun = None
        for line in self.read():
            if line["kind"] == "begin":
                begun = line["optimizer"], line["seed"]
            elif line["kind"] in ("calibration", "summary", "failure"):
                begun = None
        return begun
