// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.updater.UpdaterBlock.ParamState;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.regularization.Regularization;

/**
 * One term of DL4J's regularisation (L1, L2, weight decay) on a parameter that LNGD trains, applied
 * as DL4J does: L1 and L2 to the gradient before the updater, weight decay to the update after it.
 *
 * @param term the term
 * @param updater the layer's configured updater: weight decay is multiplied with its learning rate,
 *     as without LNGD
 * @param parameter the parameter, flattened
 * @param gradient its gradient, flattened
 */
record Regularised(Regularization term, IUpdater updater, INDArray parameter, INDArray gradient) {

    static List<Regularised> of(ParamState state, Regularization.ApplyStep when) {
        List<Regularization> terms =
                state.getLayer().getConfig().getRegularizationByParam(state.getParamName());
        List<Regularised> result = new ArrayList<>();
        if (terms != null) {
            for (Regularization term : terms) {
                if (term.applyStep() == when) {
                    IUpdater updater =
                            state.getLayer().getConfig().getUpdaterByParam(state.getParamName());
                    result.add(
                            new Regularised(
                                    term, updater, state.getParamView(), state.getGradView()));
                }
            }
        }
        return result;
    }

    void apply(int iteration, int epoch) {
        double rate = updater.hasLearningRate() ? updater.getLearningRate(iteration, epoch) : 1;
        term.apply(parameter, gradient, rate, iteration, epoch);
    }
}
