// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A listener that finds the learning rates in use at the end of an iteration. */
final class RatesListener implements TrainingListener {
    private final LngdTraining training;
    private final TrainingListener listener;

    RatesListener(LngdTraining training, TrainingListener listener) {
        this.training = training;
        this.listener = listener;
    }

    @Override
    public void iterationDone(Model model, int iteration, int epoch) {
        if (model == training.network() && !training.isClosed()) {
            training.rates().during(() -> listener.iterationDone(model, iteration, epoch));
        } else {
            listener.iterationDone(model, iteration, epoch);
        }
    }

    @Override
    public void onEpochStart(Model model) {
        listener.onEpochStart(model);
    }

    @Override
    public void onEpochEnd(Model model) {
        listener.onEpochEnd(model);
    }

    @Override
    public void onForwardPass(Model model, List<INDArray> activations) {
        listener.onForwardPass(model, activations);
    }

    @Override
    public void onForwardPass(Model model, Map<String, INDArray> activations) {
        listener.onForwardPass(model, activations);
    }

    @Override
    public void onGradientCalculation(Model model) {
        listener.onGradientCalculation(model);
    }

    @Override
    public void onBackwardPass(Model model) {
        listener.onBackwardPass(model);
    }
}
