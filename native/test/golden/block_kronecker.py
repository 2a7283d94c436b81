#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of preset BLOCK_KRONECKER: a network of two layers over four steps, in double precision.

    block_kronecker.py > ../golden_block_kronecker.hpp        block_kronecker.py --check ../golden_block_kronecker.hpp

Written for clarity and apart from the C++ twin: plain lists, the direction as the solution of the whole Kronecker
system (B + lambda_B I) (x) (A + lambda_A I) vec(D) = vec(G), block by block. Formulas: lngd.h, LNGD_PRESET_BLOCK_KRONECKER.
"""
import math
import re
import sys

SAMPLES, STEPS = 6, 4
BLOCK, SECOND_BLOCK = 3, 2  # of A, of B
G_FACTOR, LOW, HIGH, FLOOR, SECOND_DAMPING = 0.7, 0.02, 20.0, 1e-10, 3.0
RHO, TAU, OMEGA, OUTPUT_DECAY, MOMENTUM = 0.9, 0.05, 0.3, 8.0, 0.9
T_FIM, T_INV = 1, 2
LAYERS = [dict(inputs=4, outputs=5, output=False), dict(inputs=5, outputs=3, output=True)]


class Numbers:
    """Decimal numbers of three digits in (-1, 1), from a linear congruential generator: exact in a reader's hands."""

    def __init__(self, seed):
        self.state = seed

    def one(self):
        self.state = (1103515245 * self.state + 12345) % 2**31
        return (self.state // 65536 % 1999 - 999) / 1000

    def matrix(self, rows, cols):
        return [[self.one() for _ in range(cols)] for _ in range(rows)]


def solve(a, b):
    """x of a x = b, by elimination with partial pivoting."""
    n = len(b)
    rows = [list(a[i]) + [b[i]] for i in range(n)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(k + 1, n):
            f = rows[i][k] / rows[k][k]
            rows[i] = [x - f * y for x, y in zip(rows[i], rows[k])]
    x = [0.0] * n
    for k in reversed(range(n)):
        x[k] = (rows[k][n] - sum(rows[k][j] * x[j] for j in range(k + 1, n))) / rows[k][k]
    return x


def norm(a):
    return math.sqrt(sum(x * x for row in a for x in row))


def outer_mean(rows, count):
    n = len(rows[0])
    return [[sum(r[i] * r[j] for r in rows) / count for j in range(n)] for i in range(n)]


def blocks(n, size):
    return [range(begin, min(n, begin + size)) for begin in range(0, n, size)]


class Layer:
    def __init__(self, spec, numbers):
        self.m, self.d, self.output = spec["outputs"], spec["inputs"] + 1, spec["output"]
        self.w = numbers.matrix(self.m, self.d)
        self.first_w = [row[:] for row in self.w]
        self.momentum = [[0.0] * self.d for _ in range(self.m)]
        self.a = self.b = None  # running averages
        self.alpha = self.beta = self.log = 0.0
        self.moves = 0
        self.w0 = norm(self.w)

    def observe(self, inputs, deltas):
        rows = [row + [1.0] for row in inputs]
        keep = 0.0 if self.a is None else RHO
        a, b = outer_mean(rows, SAMPLES), outer_mean(deltas, SAMPLES)
        mix = lambda old, new: [[keep * o + (1 - keep) * n for o, n in zip(p, q)] for p, q in zip(old or new, new)]
        self.a, self.b = mix(self.a, a), mix(self.b, b)
        self.alpha = keep * self.alpha + (1 - keep) * sum(x * x for r in rows for x in r) / (SAMPLES * self.d)
        self.beta = keep * self.beta + (1 - keep) * sum(x * x for r in deltas for x in r) / (SAMPLES * self.m)

    def invert(self, s0):
        gamma = min(max(G_FACTOR * math.sqrt(s0 / (self.alpha * self.beta)), LOW), HIGH)
        trace = lambda f: sum(f[i][i] for i in range(len(f)))
        self.lambda_a = max(gamma * trace(self.a) / self.d, FLOOR)
        self.lambda_b = max(SECOND_DAMPING * gamma * trace(self.b) / self.m, FLOOR)
        self.kept = [row[:] for row in self.a], [row[:] for row in self.b]  # until the next inversion

    def direction(self, g):
        a, b = self.kept
        d = [[0.0] * self.d for _ in range(self.m)]
        for rows in blocks(self.m, SECOND_BLOCK):
            for columns in blocks(self.d, BLOCK):
                cells = [(i, j) for i in rows for j in columns]
                system = [[(b[i][k] + self.lambda_b * (i == k)) * (a[j][l] + self.lambda_a * (j == l))
                           for k, l in cells] for i, j in cells]
                for (i, j), x in zip(cells, solve(system, [g[i][j] for i, j in cells])):
                    d[i][j] = x
        return d

    def step(self, g, factor):
        d = self.direction(g)
        length, weights = norm(d), norm(self.w)
        self.log = 0.95 * self.log + 0.05 * math.log(length)
        soft = min(1.0, 2 * length / math.exp(self.log / (1 - 0.95 ** (self.moves + 1))))
        measure = min(weights, self.w0) if self.output else weights
        scale = soft * TAU * max(measure, 1e-3) / length
        decay = factor * TAU * OMEGA * (OUTPUT_DECAY if self.output and weights > self.w0 else 1.0)
        for i in range(self.m):
            for j in range(self.d):
                self.momentum[i][j] = MOMENTUM * self.momentum[i][j] - factor * scale * d[i][j]
                self.w[i][j] = (1 - decay) * self.w[i][j] + self.momentum[i][j]
        self.moves += 1
        return d


def array(name, values, indent="  "):
    flat = [x for v in values for x in (v if isinstance(v, list) else [v])]
    return f"{indent}{{{', '.join(repr(float(x)) for x in flat)}}},  // {name}"


def main():
    numbers = Numbers(7)
    layers = [Layer(spec, numbers) for spec in LAYERS]
    out = ["// SPDX-License-Identifier: Apache-2.0", "//",
           "// Made by golden/block_kronecker.py, which has the formulas. Do not edit.", "// clang-format off",
           "#ifndef LNGD_TEST_GOLDEN_BLOCK_KRONECKER_HPP", "#define LNGD_TEST_GOLDEN_BLOCK_KRONECKER_HPP", "",
           "#include <cstdint>", "#include <vector>", "", "namespace golden_block_kronecker {", ""]
    for name, value in [("Samples", SAMPLES), ("Steps", STEPS), ("Block", BLOCK), ("SecondBlock", SECOND_BLOCK),
                        ("StatisticsInterval", T_FIM), ("InverseInterval", T_INV)]:
        out.append(f"constexpr int k{name} = {value};")
    for name, value in [("DampingFactor", G_FACTOR), ("DampingMin", LOW), ("DampingMax", HIGH), ("DampingFloor", FLOOR),
                        ("SecondDamping", SECOND_DAMPING), ("Rho", RHO), ("TrustRatio", TAU), ("WeightDecay", OMEGA),
                        ("OutputDecay", OUTPUT_DECAY), ("Momentum", MOMENTUM)]:
        out.append(f"constexpr double k{name} = {value!r};")
    out += ["", "// One layer at one step: what goes in, and what comes out.", "struct LayerStep {",
            "  std::vector<double> inputs, gradients_of_samples, gradient;  // samples x inputs, samples x outputs, m x d",
            "  double lambda_phi, lambda_psi;", "  std::vector<double> direction, momentum, weights;  // m x d", "};",
            "struct Layer {", "  std::int64_t inputs, outputs;", "  bool output;",
            "  std::vector<double> weights;  // m x d, the last column is the bias", "  std::vector<LayerStep> steps;", "};", ""]
    body = [[] for _ in layers]
    s0 = None
    for t in range(STEPS):
        factor = 1 - t / 8
        # The third gradient all but vanishes: the soft trust ratio acts.
        size = 0.01 if t == 2 else 1.0
        data = []
        for layer in layers:
            inputs, deltas = numbers.matrix(SAMPLES, layer.d - 1), numbers.matrix(SAMPLES, layer.m)
            g = [[size * x for x in row] for row in numbers.matrix(layer.m, layer.d)]
            layer.observe(inputs, deltas)
            data.append((inputs, deltas, g))
        if t % T_INV == 0:
            if s0 is None:
                s0 = math.exp(sum(math.log(layer.alpha * layer.beta) for layer in layers) / len(layers))
            for layer in layers:
                layer.invert(s0)
        for layer, (inputs, deltas, g), lines in zip(layers, data, body):
            d = layer.step(g, factor)
            lines += ["    {"] + [array(n, v, "     ") for n, v in
                                  [("inputs", inputs), ("gradients of samples", deltas), ("gradient", g)]]
            lines += [f"     {layer.lambda_a!r}, {layer.lambda_b!r},"]
            lines += [array(n, v, "     ") for n, v in
                      [("direction", d), ("momentum", layer.momentum), ("weights", layer.w)]] + ["    },"]
    out.append(f"constexpr double kSignalReference = {s0!r};")
    out.append("// The schedule's factor at step t: 1 - t / 8.")
    out.append("inline const Layer kLayers[] = {")
    for spec, layer, lines in zip(LAYERS, layers, body):
        out += [f"  {{{spec['inputs']}, {spec['outputs']}, {str(spec['output']).lower()},", array("weights", layer.first_w, "   "),
                "   {"] + lines + ["   }},"]
    out += ["};", "", "} // namespace golden_block_kronecker", "", "#endif"]
    return "\n".join(out) + "\n"


NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]?\d+)?")


def same(one, other):
    """The same text, and numbers to 1e-12: sum() rounds otherwise from Python 3.12 on."""
    numbers = [[float(x) for x in NUMBER.findall(text)] for text in (one, other)]
    close = all(abs(x - y) <= 1e-12 * max(1, abs(x)) for x, y in zip(*numbers))
    return close and NUMBER.sub("#", one) == NUMBER.sub("#", other)


if __name__ == "__main__":
    text = main()
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            if not same(file.read(), text):
                sys.exit(f"{sys.argv[2]} is not what this program makes: write it anew and look at what changed")
    else:
        sys.stdout.write(text)
