#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The paper's CIFAR-10 experiment on one GPU: ResNet-18, LNGD and KFAC through lngd.h against SGD, AdamW and Muon in PyTorch.
cifar10.md tells what it does, measures and writes.

This process only watches. The work is done by a child of it, so that an optimizer that crashes, hangs or breaks the device costs its
own runs and not those of the others: the child is then started again without it."""
import argparse
import os
import platform
import signal
import subprocess
import sys
import time

import cifar10_plan as plan

KNOWN = ("sgd", "lngd", "muon", "adamw", "kfac", "kfac-trust")
RESERVE = 5  # seconds at the end, for a line that is late
START = 60  # seconds more that a child may take to its first line
BROKEN_DEVICE = 70  # exit code of a child whose device cannot be used on


def parser():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--library", required=True, help="folder with liblngd.so, and in it or below it liblngd_cuda.so")
    p.add_argument("--data", required=True, help=".tar.xz of JPEGs, or a folder with the official binary files")
    p.add_argument("--out", required=True, help="JSON lines")
    p.add_argument("--seconds", type=float, required=True, help="for everything, start included: epochs are cut to fit")
    p.add_argument("--optimizers", default="sgd,lngd,muon", help="NAME[/LABEL][:EPOCHS][@SEED],... of " + ", ".join(KNOWN))
    p.add_argument("--then", default="", help="more of the same, each only where it fits into what is left")
    p.add_argument("--epochs", type=int, default=16)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--try", dest="tries", action="append", default=[], metavar="NAME:SETTING=VALUE,...")
    p.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    p.add_argument("--lngd-device", default=None, choices=("cuda", "cpu", "emulated"), help="of the library, where not --device")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--precision", default="tf32", choices=("tf32", "bf16"), help="bf16: autocast; statistics and steps stay float32")
    p.add_argument("--compile", action="store_true", help="torch.compile, for all alike")
    p.add_argument("--warm-up", type=float, default=0.05, help="share of a run over which the schedule rises, for all alike")
    p.add_argument("--evaluate-every", type=int, default=1, help="epochs")
    p.add_argument("--train-images", type=int, default=0, help="the first N of the images in a random order; 0: all")
    p.add_argument("--test-images", type=int, default=0)
    p.add_argument("--width", type=int, default=64, help="channels of the first stage")
    p.add_argument("--calibration-steps", type=int, default=100)
    p.add_argument("--cores", type=int, default=0, help="processes that decode; 0: all cores")
    p.add_argument("--stall", type=float, default=0, help="seconds without a line after which the child is stopped; 0: 90 on cuda, else never")
    p.add_argument("--worker", type=float, default=None, help=argparse.SUPPRESS)
    return p


def arguments(argv):
    p = parser()
    args = p.parse_args(argv)
    try:
        for name, low in (("epochs", 1), ("seeds", 1), ("batch", 1), ("evaluate_every", 1), ("width", 1), ("calibration_steps", 1)):
            if getattr(args, name) < low:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(args, name)}, allowed is {low} or more")
        if not 0 <= args.warm_up < 1:
            raise ValueError(f"--warm-up is {args.warm_up}, allowed is [0, 1)")
        args.changes = plan.changes(args.tries)
        args.runs = plan.runs(args.optimizers, args.epochs, args.seeds, KNOWN)
        args.more = plan.runs(args.then, args.epochs, args.seeds, KNOWN)
        missing = set(args.changes) - {run.name for run in args.runs + args.more}
        if missing:
            raise ValueError(f"--try {sorted(missing)[0]}: there is no such run in --optimizers or --then")
    except ValueError as error:
        p.error(str(error))
    return args


# ---- the process that watches


def supervise(args, argv):
    started, log = time.time(), plan.Log(args.out)
    open(args.out, "w").close()
    stall = args.stall or (90 if args.device == "cuda" else float("inf"))
    child = None

    def stop(number, _):
        if child:
            end(child)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while True:
        child = subprocess.Popen([sys.executable, os.path.abspath(__file__), *argv, "--worker", repr(started)])
        why = watch(child, args.out, stall)
        if child.returncode == 0:
            break
        begun = log.unfinished()
        if begun:
            log.line("failure", optimizer=begun[0], seed=begun[1], error=why, refused=False, wall_seconds=time.time() - started)
        elif child.returncode != BROKEN_DEVICE:  # it failed before or between runs: starting again would change nothing
            log.line("failure", optimizer=None, seed=None, error=why, refused=False, wall_seconds=time.time() - started)
            break
        if time.time() - started > args.seconds - 2 * RESERVE:
            break
    failed = [line for line in log.read() if line["kind"] == "failure"]
    for line in failed:
        print(f"cifar10.py: {line['optimizer']}: {line['error']}", file=sys.stderr)
    return 0 if all(line["refused"] for line in failed) else 1


def watch(child, path, stall):
    """Until the child ends, or has written nothing for too long; why it ended. Before its first line it loads PyTorch and decodes."""
    first = size = os.path.getsize(path)
    since = time.monotonic()
    while child.poll() is None:
        now = os.path.getsize(path)
        if now != size:
            size, since = now, time.monotonic()
        limit = stall + (START if size == first else 0)
        if time.monotonic() - since > limit:
            end(child)
            return f"no line for {limit:.0f} s: stopped"
        time.sleep(0.1)
    code = child.returncode
    return f"the process died of {signal.Signals(-code).name}" if code < 0 else f"the process ended with exit code {code}"


def end(child):
    child.terminate()
    try:
        child.wait(3)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# ---- the process that works


def work(args):
    import cifar10_data

    log, started = plan.Log(args.out), args.worker
    before = time.time()
    train, test = cifar10_data.load(args.data, args.cores or None)  # before PyTorch: it forks
    decoded = time.time() - before

    import numpy
    import torch

    import cifar10_training
    import lngd_abi

    order = numpy.random.RandomState(10).permutation(len(train))  # they come sorted by class
    train = train[order[: args.train_images or None]]
    test = test[numpy.random.RandomState(11).permutation(len(test))[: args.test_images or None]]
    library = lngd_abi.Library(args.library)
    if args.compile and not hasattr(torch, "compile"):
        log.line("note", text=f"--compile: PyTorch {torch.__version__} has no torch.compile; all run without")
        args.compile = False
    bench = cifar10_training.Bench(args, train, test, library, log, started)
    log.line("header", **machine(args, torch, library), train_images=len(train), test_images=len(test), data_seconds=decoded,
             wall_seconds=bench.wall(), settings=vars(args))
    attempt(bench, args)


def machine(args, torch, library):
    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=os.path.dirname(os.path.abspath(__file__))).stdout.split("\n")[0]
        except (OSError, subprocess.TimeoutExpired):
            return ""

    code = library.__getattr__({"cpu": "DEVICE_CPU", "cuda": "DEVICE_CUDA", "emulated": "DEVICE_CUDA_EMULATED"}[args.lngd_device or args.device])
    info = library.backend_info(code)
    cuda = args.device == "cuda"
    return {
        "date": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "commit": first_line("git", "rev-parse", "HEAD") or os.environ.get("LNGD_COMMIT", "unknown"),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "driver": first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if cuda else None,
        "lngd": library.version,
        "lngd_backend": {k: info[k] for k in ("available", "reason", "device_name", "cpu_model", "instruction_set", "blas_core", "library_path")},
    }


def attempt(bench, args):
    import cifar10_training

    log, lines = bench.log, bench.log.read()
    dead = {line["optimizer"] for line in lines if line["kind"] == "failure"}
    done = {(line["optimizer"], line["seed"]) for line in lines if line["kind"] == "summary"}
    planned_before = next((line["runs"] for line in lines if line["kind"] == "plan"), None) if done else None
    costs, deadline = {}, args.seconds - RESERVE

    def guarded(name, seed, function):
        if name in dead:
            return
        try:
            function()
        except Exception as error:
            dead.add(name)
            text = told(error)
            # What the library says it cannot do on this device (KFAC, perhaps) is told, and is no failure of this program.
            refused = (getattr(error, "function", ""), getattr(error, "status", "")) == ("lngd_create", "LNGD_INVALID_ARGUMENT")
            log.line("failure", optimizer=name, seed=seed, error=text, refused=refused, wall_seconds=bench.wall())
        else:
            return
        usable(bench)

    def calibrated(name):
        if name not in costs:
            guarded(name, None, lambda: costs.__setitem__(name, cifar10_training.calibrate(bench, name)))
        return name in costs

    runs = [run for run in args.runs if (run.name, run.seed) not in done and calibrated(run.name)]
    runs = [run for run in runs if run.name not in dead]
    if planned_before:  # started again after some runs were done: those to come are held against them
        epochs = {(name, seed): count for name, seed, count in planned_before}
        runs = [run._replace(epochs=epochs.get((run.name, run.seed), run.epochs)) for run in runs]
    else:
        runs = plan.epochs_that_fit(runs, costs, deadline - bench.wall())
    cut = [run.name for run in runs for asked in args.runs if (run.name, run.seed) == (asked.name, asked.seed) and run.epochs < asked.epochs]
    if not planned_before:
        log.line("plan", runs=[list(run) for run in runs], shortened=bool(cut), seconds_each_epoch=costs, seconds_left=deadline - bench.wall(),
                 wall_seconds=bench.wall())
    for run in runs:
        guarded(run.name, run.seed, lambda: cifar10_training.train(bench, run, deadline))
    for run in args.more:
        if (run.name, run.seed) in done or not calibrated(run.name):
            continue
        need = run.epochs * costs[run.name]
        if need > deadline - bench.wall():
            log.line("skipped", optimizer=run.name, seed=run.seed, epochs=run.epochs, seconds_needed=need, seconds_left=deadline - bench.wall(),
                     wall_seconds=bench.wall())
            continue
        guarded(run.name, run.seed, lambda: cifar10_training.train(bench, run, deadline))


def told(error):
    """The first lines of an exception and of those before it: what is freed after a failure may fail too, and would hide it."""
    texts = []
    while error and len(texts) < 3:
        texts.append(f"{type(error).__name__}: {error}".split("\n")[0][:600])
        error = None if error.__suppress_context__ else error.__context__
    return ", after ".join(texts)


def usable(bench):
    """After a failure: a device that is broken stays so in this process."""
    import torch

    try:
        if bench.cuda:
            torch.zeros(1, device="cuda").item()
            torch.cuda.synchronize()
    except RuntimeError:
        os._exit(BROKEN_DEVICE)  # nothing that frees device memory can work any more, and it might hang


def main(argv):
    args = arguments(argv)
    if args.worker is None:
        return supervise(args, argv)
    work(args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
