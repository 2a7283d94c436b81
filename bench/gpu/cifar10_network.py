# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 in its form for CIFAR, and images that live on the device: batches are cropped, mirrored and normalised there."""
import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 10
# Of the training images, per colour.
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PADDING = 4


class Block(nn.Module):
    """No ReLU in place: LNGD observes outputs of convolutions and inputs of the next, which have to stay until its step."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet18(nn.Module):
    """3x3 stem without pooling, four stages of two blocks, widths w, 2w, 4w, 8w: 11,173,962 parameters at w = 64."""

    def __init__(self, width=64):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        blocks, channels = [], width
        for stage in range(4):
            for i in range(2):
                blocks.append(Block(channels, width << stage, 2 if stage > 0 and i == 0 else 1))
                channels = width << stage
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(channels, CLASSES)

    def forward(self, x):
        return self.linear(self.blocks(F.relu(self.norm1(self.conv1(x)))).mean((2, 3)))


class Images:
    """Records of cifar10_data on a device. Bytes, not floats: a batch is converted as it is gathered."""

    def __init__(self, records, device):
        table = torch.from_numpy(records)
        self.device, self.size = torch.device(device), len(records)
        self.labels = table[:, 0].long().to(device)
        self.pixels = table[:, 1:].reshape(-1, 32, 32, 3).to(device)
        self.mean = torch.tensor(MEAN, device=device) * 255
        self.scale = 1 / (torch.tensor(DEVIATION, device=device) * 255)
        self.padded = None

    def pad(self):
        """Mirrored at the border, 4 pixels: what random crops are cut from."""
        at = list(range(PADDING, 0, -1)) + list(range(32)) + list(range(30, 30 - PADDING, -1))
        at = torch.tensor(at, device=self.device)
        self.padded = self.pixels.index_select(1, at).index_select(2, at)

    def normalised(self, pixels):
        """N x 32 x 32 x 3 bytes to N x 3 x 32 x 32 floats, channels last in memory."""
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)

    def random_batch(self, index, generator):
        """Images of `index`, each cropped and mirrored at random: one gather for the whole batch, and no wait of the host."""
        count, at = len(index), torch.arange(32, device=self.device)
        shift = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator, device=self.device)
        mirror = torch.randint(0, 2, (count, 1), generator=generator, device=self.device)
        rows, columns = at + shift[0], torch.where(mirror > 0, 31 - at, at) + shift[1]
        return self.normalised(self.padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]), self.labels[index]

    def batches(self, batch):
        """All images in order, as they are."""
        for i in range(0, self.size, batch):
            yield self.normalised(self.pixels[i : i + batch]), self.labels[i : i + batch]


def evaluate(network, images, batch, autocast):
    """(mean cross-entropy, accuracy) with the network's running batch-norm statistics."""
    network.eval()
    loss = torch.zeros((), device=images.device, dtype=torch.float64)
    right = torch.zeros((), device=images.device, dtype=torch.long)
    with torch.no_grad():
        for x, y in images.batches(batch):
            with autocast():
                logits = network(x)
            logits = logits.float()
            loss += F.cross_entropy(logits, y, reduction="sum")
            right += (logits.argmax(1) == y).sum()
    network.train()
    return loss.item() / images.size, right.item() / images.size


def estimate_statistics(network, batches, autocast):
    """Batch-norm statistics of the weights that are in the network now: plain means over `batches`. Returns the old ones, for
    `restore_statistics`."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    old = [(m, m.running_mean.clone(), m.running_var.clone(), m.num_batches_tracked.clone(), m.momentum) for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    network.train()
    with torch.no_grad():
        for x, _ in batches:
            with autocast():
                network(x)
    return old


def restore_statistics(old):
    for m, mean, variance, count, momentum in old:
        m.running_mean.copy_(mean)
        m.running_var.copy_(variance)
        m.num_batches_tracked.copy_(count)
        m.momentum = momentum
