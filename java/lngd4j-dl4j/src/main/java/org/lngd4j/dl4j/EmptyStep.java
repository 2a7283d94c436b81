// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.gradient.DefaultGradient;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.deeplearning4j.optimize.solvers.BaseOptimizer;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The step of a rank whose share has no samples. DL4J fits no empty batch, so this does what its
 * {@code StochasticGradientDescent} does behind the backward pass. (A fit of any one sample with
 * its gradients set to zero was rejected: it would draw from the generator, and show listeners a
 * score that belongs to no batch.)
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class EmptyStep {
    private EmptyStep() {}

    static void run(Attachment attachment) {
        attachment.keepUpdater();
        attachment.discardObserved(); // of a step that was refused, or of gradients nobody stepped
        Model model = attachment.net().model();
        int iteration = BaseOptimizer.getIterationCount(model);
        int epoch = BaseOptimizer.getEpochCount(model);
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            INDArray gradients = attachment.lngdUpdate().gradients();
            gradients.assign(0);
            attachment
                    .lngdUpdate()
                    .update(
                            new DefaultGradient(gradients),
                            iteration,
                            epoch,
                            0,
                            LayerWorkspaceMgr.noWorkspaces());
            INDArray parameters = model.params(); // [n], and the gradients [1, n]
            parameters.subi(gradients.reshape(parameters.shape()));
            for (TrainingListener listener : attachment.net().listeners()) {
                listener.iterationDone(model, iteration, epoch);
            }
        }
        BaseOptimizer.incrementIterationCount(model, 1);
        BaseOptimizer.applyConstraints(model);
    }
}
