// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.updater.UpdaterBlock.ParamState;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.regularization.Regularization;

/**
 * One term of DL4J's regularisation (L1, L2, weight decay) on a parameter that LNGD trains, applied
 * as DL4J does: L1 and L2 to the gradient before the updater, weight decay to the update after it.
 *
 * @param term the term
 * @param parameter the parameter, flattened
 * @param gradient its gradient, flattened
 */
record Regularised(Regularization term, INDArray parameter, INDArray gradient) {

    static List<Regularised> of(ParamState state, Regularization.ApplyStep when) {
        List<Regularization> terms =
                state.getLayer().getConfig().getRegularizationByParam(state.getParamName());
        List<Regularised> result = new ArrayList<>();
        if (terms != null) {
            for (Regularization term : terms) {
                if (term.applyStep() == when) {
                    result.add(new Regularised(term, state.getParamView(), state.getGradView()));
                }
            }
        }
        return result;
    }

    /**
     * @param rate what weight decay is multiplied with, as DL4J does with the updater's learning
     *     rate. (The rate of the updater that LNGD has replaced was rejected: nothing else follows
     *     it, and decay would go on at full strength where the schedule has fallen to 0.)
     */
    void apply(double rate, int iteration, int epoch) {
        term.apply(parameter, gradient, rate, iteration, epoch);
    }
}
