// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.earlystopping.scorecalc.ScoreCalculator;
import org.deeplearning4j.nn.api.Model;

/** A score calculator of early stopping that sees averaged weights. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class AveragingScore<M extends Model> implements ScoreCalculator<M> {
    private static final long serialVersionUID = 1L;

    private final transient LngdTraining training;
    private final ScoreCalculator<? super M> calculator;

    AveragingScore(LngdTraining training, ScoreCalculator<? super M> calculator) {
        this.training = training;
        this.calculator = calculator;
    }

    @Override
    public double calculateScore(M network) {
        try (AveragedWeights averaged =
                network == training.network() ? training.averagedIfPossible() : null) {
            return calculator.calculateScore(network);
        }
    }

    @Override
    public boolean minimizeScore() {
        return calculator.minimizeScore();
    }
}
