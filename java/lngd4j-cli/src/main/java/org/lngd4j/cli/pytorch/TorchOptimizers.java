// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.TensorVector;
import org.lngd4j.cli.train.OptimizerKind;

/** PyTorch's own optimizers by the names of {@code --optimizer}. */
final class TorchOptimizers {
    private static final Set<OptimizerKind> OURS =
            EnumSet.of(OptimizerKind.SGD, OptimizerKind.ADAM, OptimizerKind.ADAMW);

    private TorchOptimizers() {}

    static boolean has(OptimizerKind kind) {
        return OURS.contains(kind);
    }

    static String names() {
        return OURS.stream().map(Object::toString).collect(Collectors.joining(", "));
    }

    /**
     * The optimizer.
     *
     * @param momentum of SGD (Nesterov's, as DL4J's is), beta1 of AdamW
     * @param weightDecay decoupled, of AdamW
     */
    static Optimizer of(
            OptimizerKind kind,
            TensorVector parameters,
            double learningRate,
            double momentum,
            double weightDecay) {
        return switch (kind) {
            case SGD -> {
                SGDOptions options = new SGDOptions(learningRate);
                options.momentum().put(momentum);
                options.nesterov().put(momentum > 0);
                yield new SGD(parameters, options);
            }
            case ADAM -> new Adam(parameters, new AdamOptions(learningRate));
            case ADAMW -> {
                AdamWOptions options = new AdamWOptions(learningRate);
                options.betas().put(0, momentum);
                options.weight_decay().put(weightDecay);
                yield new AdamW(parameters, options);
            }
            default -> throw new IllegalArgumentException(kind.toString());
        };
    }
}
