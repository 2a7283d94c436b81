// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.OutputModel;
import org.lngd4j.adapter.TargetNoise;

/**
 * Targets that are drawn from a model's own prediction, and the gradient of -log p(y | s) in s for
 * them. The random numbers depend on (seed, step, output, element) alone: PyTorch's generator,
 * which the user's dropout draws from, is left alone, and a resumed run draws the same targets.
 */
final class SampledTargets {
    private SampledTargets() {}

    /**
     * Gradient of each row, N x m; {@code logits} N x m, without a graph.
     *
     * @param first number of the first row in the whole batch, of which other ranks have the others
     */
    static Tensor gradient(
            OutputModel model, Tensor logits, long seed, long step, int output, long first) {
        TargetNoise noise = new TargetNoise(seed, step, output);
        return switch (model) {
            case SOFTMAX -> categorical(logits, noise, first);
            case SIGMOID -> bernoulli(logits, noise, first);
            case SQUARED_ERROR -> normal(logits, noise, first);
            default -> throw new IllegalStateException("no targets of " + model); // attach refuses
        };
    }

    /**
     * y ~ p = softmax(s): g = p - onehot(y), y the first class at which the running sum of p passes
     * u times its total. In double: a class of probability 0 is then never drawn.
     */
    private static Tensor categorical(Tensor logits, TargetNoise noise, long first) {
        long classes = logits.size(1);
        Tensor p = logits.softmax(1);
        Tensor sums = p.to(torch.ScalarType.Double).cumsum(1);
        Tensor u = uniform(noise, first, logits, 1).mul(sums.narrow(1, classes - 1, 1));
        Tensor y = sums.le(u).sum(1).clamp_max(new Scalar(classes - 1)).unsqueeze(1);
        return p.scatter_add(1, y, torch.full_like(y, new Scalar(-1)).to(p.scalar_type()));
    }

    /** y_i ~ p_i = sigmoid(s_i), independent: g = p - y. */
    private static Tensor bernoulli(Tensor logits, TargetNoise noise, long first) {
        Tensor p = logits.sigmoid();
        Tensor u = uniform(noise, first, logits, logits.size(1));
        return p.sub(u.lt(p.to(torch.ScalarType.Double)).to(p.scalar_type()));
    }

    /** y = s + eps, eps ~ N(0, I): g = -eps. The variance is 1 whatever factor the loss has. */
    private static Tensor normal(Tensor predictions, TargetNoise noise, long first) {
        long from = first * predictions.size(1);
        float[] eps = new float[Math.toIntExact(predictions.numel())];
        for (int i = 0; i < eps.length; i++) {
            eps[i] = (float) -noise.normal(from + i);
        }
        return Tensor.create(eps, predictions.size(0), predictions.size(1))
                .to(predictions.device(), torch.ScalarType.Float);
    }

    private static Tensor uniform(TargetNoise noise, long first, Tensor like, long columns) {
        long rows = like.size(0);
        long from = first * columns;
        double[] u = new double[Math.toIntExact(rows * columns)];
        for (int i = 0; i < u.length; i++) {
            u[i] = noise.uniform(from + i);
        }
        return Tensor.create(u, rows, columns).to(like.device(), torch.ScalarType.Double);
    }
}
