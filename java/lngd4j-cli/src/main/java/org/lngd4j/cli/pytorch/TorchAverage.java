// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.lngd4j.cli.optimizer.WeightAverage;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Averaged weights by the rule of {@link WeightAverage}, on PyTorch's tensors. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchAverage {
    private final List<Tensor> weights = new ArrayList<>();
    private final List<Tensor> averages = new ArrayList<>();
    private long steps;

    TorchAverage(TensorVector parameters) {
        for (long i = 0; i < parameters.size(); i++) {
            Tensor w = parameters.get(i).detach();
            weights.add(w.retainReference());
            averages.add(w.clone().retainReference());
        }
    }

    void afterStep() {
        Scalar share = new Scalar(WeightAverage.share(steps));
        for (int i = 0; i < weights.size(); i++) {
            averages.get(i).lerp_(weights.get(i), share);
        }
        steps++;
    }

    /** Calls {@code action} while the average is in the network. */
    <T> T callWithAverage(Supplier<T> action) {
        exchange();
        try {
            return action.get();
        } finally {
            exchange();
        }
    }

    private void exchange() {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            for (int i = 0; i < weights.size(); i++) {
                Tensor other = averages.get(i).clone();
                averages.get(i).copy_(weights.get(i));
                weights.get(i).copy_(other);
            }
        }
    }

    /** The average as one vector. */
    INDArray vector() {
        INDArray all = Nd4j.createUninitialized(DataType.FLOAT, new long[] {1, numbers()}, 'c');
        each(all, (average, part) -> part.copy_(average.reshape(-1)));
        return all;
    }

    /** Takes up an average that was saved. */
    void restore(INDArray saved, long savedSteps) {
        each(saved, (average, part) -> average.copy_(part.view(average.sizes())));
        steps = savedSteps;
    }

    private long numbers() {
        return averages.stream().mapToLong(Tensor::numel).sum();
    }

    private interface Copy {
        void between(Tensor average, Tensor part);
    }

    private void each(INDArray vector, Copy copy) {
        try (PointerScope scope = new PointerScope()) {
            Tensor all = ModuleState.tensor(vector).view(-1);
            long at = 0;
            for (Tensor average : averages) {
                copy.between(average, all.narrow(0, at, average.numel()));
                at += average.numel();
            }
        }
    }
}
