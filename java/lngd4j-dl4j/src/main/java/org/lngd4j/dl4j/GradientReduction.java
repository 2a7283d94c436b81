// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.gradient.DefaultGradient;
import org.deeplearning4j.nn.gradient.Gradient;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.deeplearning4j.nn.updater.UpdaterBlock.ParamState;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The gradient of the whole batch out of the shares of all ranks. What DL4J's backward pass leaves
 * is a sum over the samples, which its updater divides by their number:
 *
 * <pre>  G = 1/n sum_r G_r,  G_r the sum over the n_r samples of rank r, n = sum_r n_r  </pre>
 *
 * <p>so the arrays are added as they are, and divided by n on each rank. Some views of the array
 * hold no gradient, but a step towards a mean of the batch, which DL4J does not divide (running
 * statistics of batch normalisation, centers of a center loss): of those the mean over the samples
 * is taken, sum_r (n_r / n) S_r.
 */
final class GradientReduction {
    private final BaseMultiLayerUpdater<?> updater;
    private final List<INDArray> means = new ArrayList<>();
    // By identity: the hash of a layer is that of its arrays.
    private final Map<Trainable, Gradient> byLayer = new IdentityHashMap<>();

    GradientReduction(BaseMultiLayerUpdater<?> updater) {
        this.updater = updater;
        for (UpdaterBlock block : updater.getUpdaterBlocks()) {
            for (ParamState param : block.getLayersAndVariablesInBlock()) {
                Trainable layer = param.getLayer();
                if (!layer.updaterDivideByMinibatch(param.getParamName())) {
                    means.add(param.getGradView());
                }
                byLayer.computeIfAbsent(layer, l -> new DefaultGradient())
                        .setGradientFor(param.getParamName(), param.getGradView());
            }
        }
    }

    /** From the sums of this rank to those of all. */
    void reduce(RankStep ranks, INDArray gradients) {
        if (ranks.samples() > 0) {
            for (INDArray mean : means) {
                mean.muli((double) ranks.samples() / ranks.total());
            }
        }
        ranks.sum(gradients);
    }

    /**
     * Gradient clipping and normalisation by DL4J's own code, of the same views on all ranks: a
     * rank without samples has no result of a backward pass, and views of another shape could be
     * added up in another order.
     */
    void normalise(int iteration) {
        byLayer.forEach((layer, gradient) -> updater.preApply(layer, gradient, iteration));
    }
}
