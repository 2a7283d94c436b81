#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch user has today, timed on the shapes of lngd_gpu_bench in the same run: JSON lines, one a way of doing it.

  python3 bench/gpu/peers.py --out peers.jsonl bench/layers/resnet18-cifar.csv ...
  python3 bench/gpu/peers.py --device cpu --smoke bench/gpu/smoke.csv        (does it run at all; the times mean nothing)

Each peer is given what helps it: inputs that already hold the bias column, damped factors, TF32, CUDA graphs where they can be
captured, and the best of several formulations. What is timed is written into its row ("by").
"""
import argparse
import json
import sys
import time
import traceback

import torch

import peer_layers
import peer_libraries
import peer_network
from peer_timing import Clock, Report


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layers", nargs="+", help="CSV files of bench/layers")
    parser.add_argument("--out", help="JSON lines, added to those in the file; standard output if it is not given")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=150, help="of all cases together; what does not fit is written as skipped")
    parser.add_argument("--no-training", action="store_true", help="without the forward and backward pass of ResNet-18")
    parser.add_argument("--smoke", action="store_true", help="one run of each way")
    return parser.parse_args()


def main():
    args = parse()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("peers.py: PyTorch sees no CUDA device", file=sys.stderr)
        return 2
    torch.manual_seed(1)
    out = open(args.out, "a") if args.out else sys.stdout
    report = Report(out, args.seconds)
    clock = Clock(args.device, args.smoke)
    report.line(
        {
            "suite": "peers",
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if args.device == "cuda" else None,
            "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        }
    )
    failed = 0
    for case in cases(args, clock):
        if report.late():
            report.row(case.key, {"note": "skipped: the time for all peers was used up"})
            continue
        try:
            for found in case.run():
                report.row(case.key, found)
        except Exception as error:  # one peer that fails must not cost the others
            failed += 1
            traceback.print_exc()
            report.row(case.key, {"error": f"{type(error).__name__}: {error}"[:300]})
        clock.release()
    return 1 if failed else 0


def cases(args, clock):
    """The most important first: the time may run out."""
    sets = [(peer_layers.set_name(path), peer_layers.read(path)) for path in args.layers]
    if not args.no_training:
        yield peer_network.training(clock)
    for name, layers in sets:
        for preset in peer_layers.PRESETS:
            yield from peer_network.over_all_layers(clock, name, layers, preset)
        for preset in reversed(peer_layers.PRESETS):  # the targets of the statistics are about full Phi
            for layer in peer_layers.distinct(layers):
                yield peer_layers.statistics(clock, name, layer, preset)
        if args.device == "cuda":
            yield from peer_libraries.cases(clock, name, layers)


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(json.dumps({"peers.py": "done", "seconds": round(time.monotonic() - started, 1), "exit": code}), file=sys.stderr)
    sys.exit(code)
