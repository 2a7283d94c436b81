// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.pytorch.optim.OptimizerReport;
import org.lngd4j.pytorch.optim.TorchOptimizer;

/** One of the library's {@code optim} package. */
record LibraryStep(OptimizerKind kind, TorchOptimizer optimizer) implements TorchStep {
    @Override
    public void step(double learningRate) {
        optimizer.setLearningRate(learningRate);
        optimizer.step();
        optimizer.zeroGrad();
    }

    /** A line for each reason why the weights of some layers are AdamW's, as with DL4J. */
    @Override
    public List<String> notices() {
        Map<String, List<String>> namesByReason = new LinkedHashMap<>();
        for (OptimizerReport.Line line : optimizer.report().lines()) {
            if (line.trainedBy().equals("AdamW") && !line.detail().isEmpty()) {
                namesByReason
                        .computeIfAbsent(line.detail(), d -> new ArrayList<>())
                        .add(line.parameter().replaceFirst("\\.weight$", ""));
            }
        }
        List<String> notices = new ArrayList<>();
        namesByReason.forEach(
                (reason, names) ->
                        notices.add(
                                "by AdamW and not by "
                                        + kind
                                        + ": "
                                        + String.join(", ", names)
                                        + ": "
                                        + reason));
        return notices;
    }

    @Override
    public byte[] save() {
        return optimizer.saveState();
    }

    @Override
    public void restore(byte[] state) {
        optimizer.restoreState(state);
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
