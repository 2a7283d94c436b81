# SPDX-License-Identifier: Apache-2.0
"""What cifar10.py wrote: seconds and epochs to a test accuracy, one entry a run."""
import statistics

LEVELS = (91, 93, 94)  # per cent of the test images


class Training:
    """One run of one optimizer."""

    def __init__(self, optimizer, seed, epochs):
        self.optimizer, self.seed, self.epochs = optimizer, seed, epochs
        self.evaluations, self.end = [], "cut off"

    def best(self):
        return max((accuracy(e) for e in self.evaluations), default=0.0)

    def final(self):
        return accuracy(self.evaluations[-1]) if self.evaluations else None

    def to(self, level):
        """(seconds of training, epochs) at the first evaluation that reaches it, or None."""
        hit = next((e for e in self.evaluations if 100 * accuracy(e) >= level), None)
        return hit and (hit["seconds"], hit["epoch"])

    def seconds_epoch(self):
        times = [e["seconds_epoch"] for e in self.evaluations if e.get("seconds_epoch")]
        return statistics.median(times) if times else None


def accuracy(evaluation):
    """With the weights or with their running average, whichever is better: the same for every optimizer."""
    return max(evaluation.get("raw_accuracy") or 0.0, evaluation.get("averaged_accuracy") or 0.0)


class Convergence:
    def __init__(self, rows):
        self.header = next((r for r in rows if r["kind"] == "header"), {})
        self.on_gpu = bool(rows) and all(r.get("gpu") for r in rows if r["kind"] == "header")
        self.failures = [r for r in rows if r["kind"] == "failure"]
        self.trainings = []
        for row in rows:
            if row["kind"] == "begin" and row.get("stage") == "run":
                self.trainings.append(Training(row["optimizer"], row["seed"], row["epochs"]))
                continue
            now = next((t for t in reversed(self.trainings) if (t.optimizer, t.seed) == (row.get("optimizer"), row.get("seed"))), None)
            if now and row["kind"] == "evaluation":
                now.evaluations.append({k: v for k, v in row.items() if k not in ("suite", "kind", "settings", "optimizer", "seed")})
            elif now and row["kind"] == "summary":
                now.end = row.get("ended", "whole")
            elif now and row["kind"] == "failure":
                now.end = f"failed: {row['error']}"

    def fastest(self, name, level):
        """(seconds, what was run) of an optimizer: of each setting the median over its seeds, of the settings the best. Seconds are
        infinite where the level was not reached; None where nothing was run to an evaluation."""
        settings = {}
        for t in self.trainings:
            if t.optimizer.split("/")[0] == name and t.evaluations:
                settings.setdefault((t.optimizer, t.epochs), []).append(t)
        found = []
        for (label, epochs), runs in settings.items():
            seconds = statistics.median_high([r.to(level)[0] if r.to(level) else float("inf") for r in runs])
            best = f", best {100 * max(r.best() for r in runs):.2f} %" if seconds == float("inf") else ""
            found.append((seconds, f"{label}, {epochs} epochs, {len(runs)} seed{'s' if len(runs) > 1 else ''}{best}"))
        return min(found, default=None)
