# SPDX-License-Identifier: Apache-2.0
"""What the project promised of a GPU, and whether a run shows it. Nothing that was not measured gets a verdict."""
import math

from results import amortised, best_peer, usable

RIVALS = (("sgd", "SGD's"), ("adamw", "AdamW's"), ("kfac", "KFAC's"), ("muon", "Muon's"))


def target(name, limit, value, missing, less=False, detail=""):
    """`less`: the value must not be above the limit. A value of None was not measured."""
    if value is None:
        verdict = "not measured" + (f": {missing}" if missing else "")
    elif (value <= limit) if less else (value >= limit):
        verdict = "met"
    else:
        verdict = f"missed by a factor of {(value / limit if less else limit / value):.2f}"
    return {"target": name, "limit": limit, "value": value, "verdict": verdict, "detail": detail}


def targets(run):
    """The most decisive first, and what was measured before what was not."""
    return sorted(kernels(run) + paper(run.convergence), key=lambda t: t["verdict"].startswith("not measured"))


def kernels(run):
    why = None
    if run.emulated:
        why = "an emulator has no times"
    elif len(run.devices) > 1:
        why = f"rows of several cards, {', '.join(run.devices)}"
    if why:
        return [target("the kernels and whole steps", None, None, why)]
    return whole_steps(run) + inverses(run) + statistics(run)


def whole_steps(run):
    found = []
    trained = [p for p in run.peers if p["kernel"] == "forward_backward" and p.get("us")]
    fastest = min(trained, key=lambda p: p["us"], default=None)
    for preset, limit in (("default", 3.0), ("full", 10.0)):
        # As a caller sees it, the host's share included; the sum of the launches stands beside it.
        whole = run.whole_step("resnet18-cifar", preset)
        parts, _ = amortised(run, "resnet18-cifar", preset)
        missing = "no whole step" if not whole else "no forward and backward pass"
        value = 100 * whole["us"] / fastest["us"] if whole and fastest else None
        detail = f"{whole['us']:.1f} us ({whole['case']}) of {fastest['us']:.1f} us ({fastest['by']})" if value is not None else ""
        if detail and parts:
            detail += f"; its launches one after another {parts['sum']:.1f} us"
        name = f"whole LNGD step, ResNet-18, batch 256, {preset}: per cent of forward and backward"
        found.append(target(name, limit, value, missing, True, detail))
    return found


def inverses(run):
    found = []
    for preset, limit, what in (("default", 2.5, "blocks of 128"), ("full", 1.5, "full factors")):
        for set_name in ("resnet18-cifar", "resnet50-imagenet"):
            rows = [r for r in run.find("factor_inverse", set_name, preset) if usable(r)]
            torch_only = [p for p in (rows[0]["peers"] if rows else []) if p["by"].startswith("torch") and not p["part"]]
            peer = min(torch_only, key=lambda p: p["us"], default=None)
            name = f"factor_inverse, {what}, {set_name}: times faster than PyTorch's best"
            missing = "no time of ours" if not rows else "no peer"
            found.append(target(name, limit, peer and peer["ratio"], missing, detail=peer["by"] if peer else ""))
    return found


def statistics(run):
    """Weighted SYRK of full Phi, d >= 1024, by the layer that does worst."""
    found = []
    for precision, same in (("3xtf32", ("fp32",)), ("tf32", ("tf32",))):
        for kernel in ("conv_statistics", "layer_statistics"):
            rows = [r for r in run.results if r["kernel"] == kernel and r["precision"] == precision and r["preset"] == "full"]
            rows = [r for r in rows if r.get("d", 0) >= 1024 and not r["case"].endswith(" nhwc")]
            bad = [r for r in rows if not usable(r)]
            good = [r for r in rows if usable(r) and "tensor_fraction" in r]
            why = "no row" if not rows else f"{len(bad)} of {len(rows)} rows failed or were skipped"
            if rows and not bad and not good:
                why = "no ceiling"
            worst = min(good, key=lambda r: r["tensor_fraction"], default=None) if not bad else None
            found.append(
                target(
                    f"{kernel}, {precision}, d >= 1024: fraction of the mma.sync TF32 ceiling (the worst layer)",
                    0.6,
                    worst and worst["tensor_fraction"],
                    why,
                    detail=f"{worst['set']} {worst['case']}, {len(good)} layers" if worst else "",
                )
            )
            ratios = [(p["ratio"], r) for r in good for p in [best_peer(r, same)] if p]
            low = min(ratios, key=lambda x: x[0], default=None) if not bad and len(ratios) == len(good) else None
            found.append(
                target(
                    f"{kernel}, {precision}, d >= 1024: times faster than PyTorch's best at {same[0]} (the worst layer)",
                    2.0,
                    low and low[0],
                    why if bad or not good else f"{len(good) - len(ratios)} layers have no peer",
                    detail=f"{low[1]['set']} {low[1]['case']}, {len(ratios)} layers" if low else "",
                )
            )
    return found


def paper(convergence, level=93):
    """LNGD is first to 93 % of CIFAR-10's test images, and no slower than Muon."""
    found = []
    ours = convergence.fastest("lngd", level)
    for name, whose in RIVALS:
        title = f"CIFAR-10, ResNet-18: LNGD's seconds to {level} % over {whose}"
        theirs = convergence.fastest(name, level)
        if not convergence.on_gpu:
            found.append(target(title, 1.0, None, "no training on a GPU" if convergence.trainings else "no training", True))
            continue
        if ours is None or theirs is None:
            found.append(target(title, 1.0, None, f"no run of {'lngd' if ours is None else name}", True))
            continue
        detail = f"{words(ours)} against {words(theirs)}"
        if math.isinf(ours[0]):
            verdict = f"not measured: neither reached {level} %" if math.isinf(theirs[0]) else f"missed: LNGD did not reach {level} %"
            found.append({"target": title, "limit": 1.0, "value": None, "verdict": verdict, "detail": detail})
        elif math.isinf(theirs[0]):
            verdict = f"met: the rival did not reach {level} %"
            found.append({"target": title, "limit": 1.0, "value": 0.0, "verdict": verdict, "detail": detail})
        else:
            found.append(target(title, 1.0, ours[0] / theirs[0], "", True, detail))
    return found


def words(fastest):
    seconds, what = fastest
    return f"{'never' if math.isinf(seconds) else f'{seconds:.1f} s'} ({what})"
