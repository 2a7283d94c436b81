# SPDX-License-Identifier: Apache-2.0
"""One LNGD or KFAC layer in NumPy and double precision, written from the formulas alone: what test_cifar10.py holds liblngd against."""
import numpy as np


class Layer:
    """W (m x d, the bias as last column) and everything that a step needs. `settings`: fields of lngd_config by name."""

    def __init__(self, weight, settings, kfac):
        self.w, self.kfac, self.s = np.array(weight, np.float64), kfac, settings
        self.m, self.d = self.w.shape
        self.momentum, self.average = np.zeros_like(self.w), self.w.copy()
        self.phi = self.psi = None
        size = int(settings["block_size"]) or self.d
        self.blocks = [slice(i, min(i + size, self.d)) for i in range(0, self.d, size)]

    def observe(self, a, g, q):
        """a (n x t x d, with the constant 1), g (n x t x m; KFAC), q (n x t x m; LNGD)."""
        count, positions = a.shape[:2]
        a = a.reshape(-1, self.d)
        if self.kfac:
            g = g.reshape(-1, self.m)
            phi, psi = a.T @ a / count, g.T @ g / (count * positions)
        else:
            q = q.reshape(-1, self.m)
            r, c = q.sum(1), (a * a).sum(1)
            phi, psi = (a * r[:, None]).T @ a / count, (c[:, None] * q).sum(0) / (c * r).sum()
        rho = self.s["rho"] if self.phi is not None else 0.0  # the first update initialises
        self.phi = phi if self.phi is None else rho * self.phi + (1 - rho) * phi
        self.psi = psi if self.psi is None else rho * self.psi + (1 - rho) * psi

    def invert(self):
        s, self.phi_inverse = self.s, np.zeros((self.d, self.d))
        if self.kfac:
            pi, root = np.sqrt((np.trace(self.phi) / self.d) / (np.trace(self.psi) / self.m)), np.sqrt(s["damping_factor"])
            self.phi_inverse = np.linalg.inv(self.phi + pi * root * np.eye(self.d))
            self.psi_inverse = np.linalg.inv(self.psi + root / pi * np.eye(self.m))
            return
        for b in self.blocks:
            block = self.phi[b, b]
            n = len(block)
            self.phi_inverse[b, b] = np.linalg.inv(block + max(s["damping_factor"] * np.trace(block) / n, s["damping_floor"]) * np.eye(n))
        self.psi_inverse = np.diag(1 / (self.psi + max(s["damping_factor"] * self.psi.sum() / self.m, s["damping_floor"])))

    def step(self, gradient, factor, t):
        s = self.s
        direction = self.psi_inverse @ gradient @ self.phi_inverse
        if s["trust"]:
            direction *= s["trust_ratio"] * max(np.linalg.norm(self.w), 1e-3) / np.linalg.norm(direction)
        self.w *= 1 - s["learning_rate"] * factor * s["weight_decay"]
        self.momentum = s["momentum"] * self.momentum - s["learning_rate"] * factor * direction
        self.w += self.momentum
        self.average += s["averaging_window"] / (s["averaging_window"] + t) * (self.w - self.average)
