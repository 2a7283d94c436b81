# SPDX-License-Identifier: Apache-2.0
"""The rivals of cifar10.py, in PyTorch: SGD with Nesterov momentum, AdamW and Muon. All share the schedule (`step(factor)`, factor in
[0, 1] times the peak) and the averaged weights; none decays batch norm or biases. Where the defaults come from: a comment at each."""
import torch

AVERAGING_WINDOW = 8.0  # avg += 8/(8+t) (W - avg) after step t: about the last eighth of a run, as liblngd has it


def weights_and_rest(network):
    """(weights of convolutions and dense layers, batch norm and biases)."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() <= 1]


class Averages:
    def __init__(self, parameters):
        self.parameters, self.steps = parameters, 0
        self.values = [p.detach().clone(memory_format=torch.preserve_format) for p in parameters]

    @torch.no_grad()
    def add(self):
        share = AVERAGING_WINDOW / (AVERAGING_WINDOW + self.steps)
        torch._foreach_mul_(self.values, 1 - share)
        torch._foreach_add_(self.values, [p.detach() for p in self.parameters], alpha=share)
        self.steps += 1

    @torch.no_grad()
    def swap(self):
        for parameter, value in zip(self.parameters, self.values):
            old = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(old)


class Optimizer:
    """What cifar10_training.py drives. `settings`: every hyperparameter, those of --try put over DEFAULTS."""

    DEFAULTS = {}

    def __init__(self, network, steps, changes):
        unknown = set(changes) - set(self.DEFAULTS)
        if unknown:
            raise ValueError(f"--try {sorted(unknown)[0]}: allowed are {', '.join(sorted(self.DEFAULTS))}")
        self.network, self.steps, self.settings = network, steps, {**self.DEFAULTS, **changes}
        self.first_order, self.averages = [], None  # torch.optim optimizers with their peak rates

    def add(self, optimizer):
        self.first_order.append((optimizer, [group["lr"] for group in optimizer.param_groups]))

    def zero_gradients(self):
        for parameter in self.network.parameters():
            parameter.grad = None

    def before_forward(self, count):
        """`count`: images of the batch."""

    def after_forward(self, logits):
        """Before the backward pass."""

    def step(self, factor):
        for optimizer, rates in self.first_order:
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
            optimizer.step()
        self.averages.add()

    def swap_averages(self):
        self.averages.swap()

    def report(self):
        """Of the end of a run: what is worth telling of the optimizer's own numbers."""
        return {}

    def close(self):
        self.first_order, self.averages = [], None


class Sgd(Optimizer):
    # Learning rate: 0.1 for batches of 128 and weight decay 5e-4 are what public CIFAR ResNet-18 recipes have (kuangliu/pytorch-cifar),
    # doubled for batches of 256 by the linear rule of Goyal et al. 2017.
    DEFAULTS = {"learning_rate": 0.2, "momentum": 0.9, "weight_decay": 5e-4}

    def __init__(self, network, steps, changes):
        super().__init__(network, steps, changes)
        s = self.settings
        weights, rest = weights_and_rest(network)
        groups = [{"params": weights, "weight_decay": s["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
        self.add(torch.optim.SGD(groups, lr=s["learning_rate"], momentum=s["momentum"], nesterov=s["momentum"] > 0, foreach=True))
        self.averages = Averages(weights + rest)


class AdamW(Optimizer):
    # Loshchilov and Hutter 2019 tune CIFAR-10 near 1e-3; 2e-3 with decay 0.05 is the common setting of timm's short AdamW recipes.
    DEFAULTS = {"learning_rate": 2e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.05}

    def __init__(self, network, steps, changes):
        super().__init__(network, steps, changes)
        s = self.settings
        weights, rest = weights_and_rest(network)
        groups = [{"params": weights, "weight_decay": s["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
        self.add(torch.optim.AdamW(groups, lr=s["learning_rate"], betas=(s["beta1"], s["beta2"]), eps=s["epsilon"], foreach=True))
        self.averages = Averages(weights + rest)


def orthogonalised(x, iterations):
    """Newton-Schulz iteration of Jordan et al. 2024 on a batch of matrices (k x m x n, m <= n): singular values near 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(Optimizer):
    # K. Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", and its repository: learning rate 0.02, momentum
    # 0.95 with Nesterov, 5 iterations in bfloat16, scale sqrt(max(1, rows/columns)), decoupled decay; the stem, the head, batch norm
    # and biases by AdamW with betas 0.9, 0.95. Decay times rate here is that of SGD above: 0.02 * 0.005 = 0.2 * 5e-4.
    DEFAULTS = {"learning_rate": 0.02, "momentum": 0.95, "iterations": 5, "weight_decay": 0.005}
    DEFAULTS.update({"other_learning_rate": 2e-3, "other_weight_decay": 0.05, "beta1": 0.9, "beta2": 0.95})

    def __init__(self, network, steps, changes):
        super().__init__(network, steps, changes)
        s = self.settings
        weights, rest = weights_and_rest(network)
        # Tall matrices are transposed: the iteration wants m <= n. Equal shapes go through it together: a few large products fill a
        # GPU better than many small ones.
        self.groups = {}
        self.hidden = weights[1:-1]
        for p in self.hidden:
            self.groups.setdefault(tuple(self.matrix(p).shape), []).append(p)
        self.momenta = {shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.groups.items()}
        others = [{"params": [weights[0], weights[-1]], "weight_decay": s["other_weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
        self.add(torch.optim.AdamW(others, lr=s["other_learning_rate"], betas=(s["beta1"], s["beta2"]), foreach=True))
        self.averages = Averages(weights + rest)

    @staticmethod
    def matrix(tensor):
        """m x (kh kw c): a view of a channels_last tensor, and as good as (c kh kw), since an order of columns changes nothing."""
        return tensor.permute(0, 2, 3, 1).reshape(tensor.shape[0], -1) if tensor.dim() == 4 else tensor

    @torch.no_grad()
    def step(self, factor):
        s, rate = self.settings, self.settings["learning_rate"] * factor
        torch._foreach_mul_([p.detach() for p in self.hidden], 1 - rate * s["weight_decay"])
        for shape, group in self.groups.items():
            gradient = torch.stack([self.matrix(p.grad) for p in group])
            momentum = self.momenta[shape].lerp_(gradient, 1 - s["momentum"])
            update = gradient.lerp_(momentum, s["momentum"])
            if update.is_cuda:  # bfloat16 products are emulated, and slow, on most CPUs
                update = update.bfloat16()
            tall = shape[0] > shape[1]
            update = orthogonalised(update.transpose(1, 2) if tall else update, int(s["iterations"]))
            update = (update.transpose(1, 2) if tall else update).float()
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for p, u in zip(group, update.unbind(0)):
                shaped = u.reshape(p.shape[0], *p.shape[2:], p.shape[1]).permute(0, 3, 1, 2) if p.dim() == 4 else u
                p.add_(shaped, alpha=-rate * scale)
        super().step(factor)


RIVALS = {"sgd": Sgd, "adamw": AdamW, "muon": Muon}
