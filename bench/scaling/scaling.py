#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of data-parallel LNGD, by a model: README.md."""
import argparse
import dataclasses
import pathlib
import re
import sys

import check
import collectives
import counts
import layers
import model
import tables
import workers

BLOCK = re.compile(r"(<!-- table: (?P<name>[^>]*?) -->\n)(?P<lines>.*?)(<!-- end of table -->\n)", re.DOTALL)


def into(text):
    """The page with its tables as they are now."""

    def made(match):
        name = match["name"]
        if name not in tables.ALL:
            raise ValueError(f"the page has a table {name}, allowed is one of {', '.join(tables.ALL)}")
        return match[1] + "\n".join(tables.ALL[name]()) + "\n" + match[4]

    return BLOCK.sub(made, text)


def print_tables(args):
    if args.into:
        page = pathlib.Path(args.into)
        page.write_text(into(page.read_text(encoding="utf-8")), encoding="utf-8")
        return
    for name in args.names:
        if name not in tables.ALL:
            raise ValueError(f"table is {name}, allowed is one of {', '.join(tables.ALL)}")
    for name in args.names or tables.ALL:
        print(f"**{name}**\n", *tables.ALL[name](), "", sep="\n")


def print_step(args):
    network = layers.by_name(args.network)
    count = counts.step(network, counts.by_name(args.preset, network, args.steps))
    worker = workers.ALL[args.worker]
    link = collectives.gbit(args.gbit, worker.latency if args.latency_us is None else args.latency_us * 1e-6)
    owned = {"REPLICATED": False, "OWNED": True, "AUTO": None}[args.inverses]
    options = model.Options(owned, args.all_reduce, args.copies, args.triangles, args.half_sums, args.half_gradients, not args.no_overlap, args.gathered)
    time = model.step(count, worker, args.ranks, args.samples, link, options)
    for name, seconds in dataclasses.asdict(time).items():
        print(f"{name:12} {1e3 * seconds:12.4f} ms")
    print(f"{'step':12} {1e3 * time.total:12.4f} ms, of it communication {tables.percent(time.communication / time.total)}")
    print(f"{'efficiency':12} {100 * model.efficiency(count, worker, args.ranks, args.samples, link, options):12.1f} %")


def print_check(args):
    print(*check.report(check.compare(check.read(args.file), tables.SEEN)), sep="\n")


def parser():
    top = argparse.ArgumentParser(description=__doc__)
    commands = top.add_subparsers(required=True)
    t = commands.add_parser("tables", help="the tables of docs/scaling.md")
    t.add_argument("names", nargs="*", metavar="NAME", help=f"which of them; all without: {', '.join(tables.ALL)}")
    t.add_argument("--into", metavar="PAGE", help="write them into the page, between its markers")
    t.set_defaults(run=print_tables)
    s = commands.add_parser("step", help="one step, by its parts")
    s.add_argument("--network", default="resnet50-imagenet", help="a layer set of bench/layers")
    s.add_argument("--preset", default="block_kronecker", choices=("recipe", "block_kronecker", "kfac"))
    s.add_argument("--steps", type=int, default=tables.STEPS, help="of the run: intervals follow from it")
    s.add_argument("--worker", default="node", choices=workers.ALL)
    s.add_argument("--ranks", type=int, default=128)
    s.add_argument("--samples", type=float, default=32, help="of each rank")
    s.add_argument("--gbit", type=float, default=100, help="Gbit/s of each rank, each way")
    s.add_argument("--latency-us", type=float, help="a message; the worker's own without")
    s.add_argument("--inverses", default="REPLICATED", choices=("REPLICATED", "OWNED", "AUTO"))
    s.add_argument("--all-reduce", default="ring", choices=collectives.ALL_REDUCE)
    s.add_argument("--copies", type=int, default=model.Options().copies, help="passes over the gradients around their all-reduce")
    for name in ("triangles", "half-sums", "half-gradients", "gathered"):
        s.add_argument(f"--{name}", action="store_true", help="model.Options")
    s.add_argument("--no-overlap", action="store_true", help="gradients travel after the backward pass")
    s.set_defaults(run=print_step)
    c = commands.add_parser("check", help="measurements beside the model")
    c.add_argument("file", help="JSON, as README.md says")
    c.set_defaults(run=print_check)
    return top


def main(arguments):
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except (ValueError, OSError) as e:
        sys.exit(f"scaling.py: {e}")


if __name__ == "__main__":
    main(sys.argv[1:])
