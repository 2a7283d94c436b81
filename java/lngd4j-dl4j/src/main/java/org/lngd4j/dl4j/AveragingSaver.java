// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import org.deeplearning4j.earlystopping.EarlyStoppingModelSaver;
import org.deeplearning4j.nn.api.Model;

/** A model saver of early stopping whose best model has averaged weights. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class AveragingSaver<M extends Model> implements EarlyStoppingModelSaver<M> {
    private static final long serialVersionUID = 1L;

    private final transient LngdTraining training;
    private final EarlyStoppingModelSaver<M> saver;

    AveragingSaver(LngdTraining training, EarlyStoppingModelSaver<M> saver) {
        this.training = training;
        this.saver = saver;
    }

    @Override
    public void saveBestModel(M net, double score) throws IOException {
        try (AveragedWeights averaged =
                net == training.network() ? training.averagedIfPossible() : null) {
            saver.saveBestModel(net, score);
        }
    }

    @Override
    public void saveLatestModel(M net, double score) throws IOException {
        saver.saveLatestModel(net, score);
    }

    @Override
    public M getBestModel() throws IOException {
        return saver.getBestModel();
    }

    @Override
    public M getLatestModel() throws IOException {
        return saver.getLatestModel();
    }
}
