// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The averaged values of a parameter that LNGD does not train, by the rule that the library keeps
 * for the others: {@code avg += c/(c+t) (W - avg)} after step t.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class AveragedParameter {
    final INDArray average;
    private final INDArray parameter;
    private final INDArray gradient;

    AveragedParameter(INDArray parameter, INDArray gradient) {
        this.parameter = parameter;
        this.gradient = gradient;
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            average = parameter.dup();
        }
    }

    /** Called when the gradient holds the update that DL4J will subtract a moment later. */
    void add(double window, long step) {
        INDArray next = parameter.sub(gradient);
        if (step == 0) {
            average.assign(next);
        } else {
            average.addi(next.subi(average).muli(window / (window + step)));
        }
    }

    void swap() {
        INDArray kept = parameter.dup();
        parameter.assign(average);
        average.assign(kept);
    }
}
