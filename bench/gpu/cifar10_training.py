# SPDX-License-Identifier: Apache-2.0
"""One run of cifar10.py: a network, an optimizer, the clock. Training seconds are those between two waits for the device at the
beginning and end of an epoch's steps; evaluations and what they need are outside."""
import contextlib
import gc
import math
import time

import torch
import torch.nn.functional as F

import cifar10_plan as plan
from cifar10_lngd import FROM_LIBRARY
from cifar10_network import Images, ResNet18, estimate_statistics, evaluate, restore_statistics
from cifar10_optimizers import RIVALS

SETTINGS = ("device", "lngd_device", "batch", "precision", "compile", "width", "warm_up")
STATISTICS_BATCHES = 20  # for the batch-norm statistics of the averaged weights


class Bench:
    """What all runs share."""

    def __init__(self, args, train, test, library, log, started):
        self.args, self.library, self.log, self.started = args, library, log, started
        self.cuda = args.device == "cuda"
        self.train, self.test = Images(train, args.device), Images(test, args.device)
        self.train.pad()
        self.batch = args.batch
        self.steps_epoch = self.train.size // args.batch
        if self.steps_epoch < 1:
            raise ValueError(f"--batch is {args.batch}, allowed is 1 to the {self.train.size} training images")
        if self.cuda:
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.allow_tf32 = True
        torch.set_float32_matmul_precision("high")  # TF32 in products too

    def autocast(self):
        if self.args.precision == "bf16":
            return torch.autocast(self.args.device, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def wall(self):
        return time.time() - self.started

    def generator(self, seed):
        return torch.Generator(device=self.args.device).manual_seed(seed)

    def optimizer(self, name, network, steps):
        kind = plan.base(name)
        changes = self.args.changes.get(name, {})
        if kind in RIVALS:
            return RIVALS[kind](network, steps, changes)
        return FROM_LIBRARY[kind](network, steps, changes, self.library, self.args.lngd_device or self.args.device)


class Training:
    def __init__(self, bench, name, seed, steps):
        self.bench, self.steps, self.step = bench, steps, 0
        torch.manual_seed(seed)
        self.network = ResNet18(bench.args.width).to(bench.args.device).to(memory_format=torch.channels_last)
        self.compiled = torch.compile(self.network) if bench.args.compile else self.network
        self.generator = bench.generator(seed)
        self.optimizer = bench.optimizer(name, self.network, steps)

    def close(self):
        self.optimizer.close()
        self.optimizer = self.network = self.compiled = None
        gc.collect()

    def advance(self, count):
        """`count` steps over a new order of the images; (seconds, mean loss). The host waits for the device at its two ends only."""
        bench, batch = self.bench, self.bench.batch
        bench.wait()
        start = time.perf_counter()
        order = torch.randperm(bench.train.size, generator=self.generator, device=bench.train.device)
        total = torch.zeros((), device=bench.train.device)
        for i in range(count):
            at = i % bench.steps_epoch * batch
            x, y = bench.train.random_batch(order[at : at + batch], self.generator)
            observed = self.optimizer.before_forward(batch)
            with bench.autocast():
                # What was compiled has no observing hooks.
                logits = (self.network if observed else self.compiled)(x)
            loss = F.cross_entropy(logits.float(), y)
            self.optimizer.zero_gradients()
            self.optimizer.after_forward(logits)
            loss.backward()
            self.optimizer.step(plan.factor(self.step, self.steps, bench.args.warm_up))
            total += loss.detach()
            self.step += 1
        bench.wait()
        return time.perf_counter() - start, total.item() / count

    def evaluate(self):
        bench, size = self.bench, min(1000, self.bench.test.size)
        start = time.perf_counter()
        raw_loss, raw = evaluate(self.network, bench.test, size, bench.autocast)
        middle = time.perf_counter()
        self.optimizer.swap_averages()
        # A generator of its own: evaluating must not change the training that follows.
        generator, count = bench.generator(0), min(STATISTICS_BATCHES, bench.steps_epoch)
        order = torch.randperm(bench.train.size, generator=generator, device=bench.train.device)[: count * bench.batch]
        old = estimate_statistics(self.network, (bench.train.random_batch(i, generator) for i in order.split(bench.batch)), bench.autocast)
        bench.wait()
        estimated = time.perf_counter()
        averaged_loss, averaged = evaluate(self.network, bench.test, size, bench.autocast)
        restore_statistics(old)
        self.optimizer.swap_averages()
        bench.wait()
        return {
            "raw_loss": raw_loss,
            "raw_accuracy": raw,
            "averaged_loss": averaged_loss,
            "averaged_accuracy": averaged,
            "averaging_seconds": estimated - middle,
            "evaluation_seconds": time.perf_counter() - start,
        }


def calibrate(bench, name):
    """Everything that happens once (kernels chosen, code loaded, memory taken) and then the seconds of a step and of an evaluation."""
    count = bench.args.calibration_steps
    bench.log.line("begin", optimizer=name, seed=None, stage="calibration", wall_seconds=bench.wall())
    training = Training(bench, name, 0, 100 * count)
    try:
        # The first steps are the slow ones. Statistics and inverses of the library's presets then come at steps 20, 40 ... and 100.
        first, _ = training.advance(min(10, count))
        training.evaluate()
        seconds, _ = training.advance(count)
        evaluation = training.evaluate()["evaluation_seconds"]
    finally:
        training.close()
    epoch = seconds / count * bench.steps_epoch
    every = bench.args.evaluate_every
    fields = {"seconds_step": seconds / count, "seconds_epoch": epoch, "evaluation_seconds": evaluation, "first_steps_seconds": first}
    bench.log.line("calibration", optimizer=name, steps=count, **fields, wall_seconds=bench.wall())
    return epoch + evaluation / every


def train(bench, run, deadline):
    """A whole run, with one line an evaluation and one at its end. It ends early where the loss is not finite, or at the deadline."""
    steps, seconds, evaluations, ended = run.epochs * bench.steps_epoch, 0.0, [], "whole"
    bench.log.line("begin", optimizer=run.name, seed=run.seed, stage="run", epochs=run.epochs, wall_seconds=bench.wall())
    training = Training(bench, run.name, run.seed, steps)
    settings = {name: getattr(bench.args, name) for name in SETTINGS}
    settings.update(train_images=bench.train.size, **{name: float(value) for name, value in training.optimizer.settings.items()})
    common = {"optimizer": run.name, "seed": run.seed, "epochs": run.epochs, "steps": steps}
    epochs_seconds = []
    try:
        for epoch in range(1, run.epochs + 1):
            taken, loss = training.advance(bench.steps_epoch)
            seconds += taken
            epochs_seconds.append(taken)
            if not math.isfinite(loss):
                ended = "diverged"
            late = bench.wall() > deadline
            if epoch % bench.args.evaluate_every == 0 or epoch == run.epochs or late or ended == "diverged":
                line = {**common, "epoch": epoch, "step": training.step, "seconds": seconds, "seconds_epoch": taken, "train_loss": loss}
                line.update(training.evaluate())
                evaluations.append(line)
                bench.log.line("evaluation", **line, wall_seconds=bench.wall(), settings=settings)
            if ended == "diverged":
                break
            if late and epoch < run.epochs:
                ended = "cut"
                break
        last = evaluations[-1]
        fields = {f"final_{k}": last[k] for k in ("raw_accuracy", "averaged_accuracy", "raw_loss", "averaged_loss")}
        fields.update({f"best_{k}": max(e[k] for e in evaluations) for k in ("raw_accuracy", "averaged_accuracy")})
        fields.update(plan.levels(evaluations))
        median = sorted(epochs_seconds)[len(epochs_seconds) // 2]
        fields.update(seconds=seconds, seconds_epoch=median, epochs_done=last["epoch"], ended=ended, report=training.optimizer.report())
        bench.log.line("summary", **common, **fields, wall_seconds=bench.wall(), settings=settings)
    finally:
        training.close()
