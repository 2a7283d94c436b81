// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.ArrayList;
import java.util.List;
import org.lngd4j.cli.data.SampleOrder;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.train.EvaluationPlan;
import org.lngd4j.cli.train.Methods;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.RunLength;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Trains one network on one small problem. Unlike a run of {@code lngd train} it leaves no files
 * and a diverged loss is a result; network, method and plan of evaluations are the same.
 */
final class ToyRun {
    private final Problem problem;
    private final Output output;
    private final Problem.Data data;
    private final INDArray testFeatures;
    private final Dl4jNetwork net;
    private final TrainingMethod method;
    private final List<MetricsRow> rows = new ArrayList<>();
    private long nanos;

    /**
     * What a run gave.
     *
     * @param seed of weights, samples and their order
     * @param rows its evaluations; of a diverged run those before
     * @param diverged whether the loss became infinite or not a number
     * @param seconds training time, without evaluations
     */
    record Result(long seed, List<MetricsRow> rows, boolean diverged, double seconds) {
        /** The least test loss; infinite where there is none. */
        double bestLoss() {
            return rows.stream()
                    .mapToDouble(MetricsRow::testLoss)
                    .min()
                    .orElse(Double.POSITIVE_INFINITY);
        }

        /** The test loss at the end; infinite for a diverged run. */
        double finalLoss() {
            return diverged ? Double.POSITIVE_INFINITY : last().testLoss();
        }

        /** The accuracy at the end; NaN where there is none. */
        double finalAccuracy() {
            return diverged ? Double.NaN : last().testAccuracy();
        }

        private MetricsRow last() {
            return rows.get(rows.size() - 1);
        }
    }

    private ToyRun(Problem problem, Problem.Data data, Dl4jNetwork net, TrainingMethod method) {
        this.problem = problem;
        this.output = problem.network().output();
        this.data = data;
        this.testFeatures = data.test().allFeatures();
        this.net = net;
        this.method = method;
    }

    /**
     * Trains from the beginning to the end.
     *
     * @param data of the settings' seed
     * @param settings of the optimizer and the problem
     */
    static Result of(Problem problem, Problem.Data data, TrainSettings settings) {
        long steps = problem.totalSteps();
        Dl4jNetwork net =
                problem.network().build(settings.seed(), Methods.updater(settings, steps));
        RunLength length = new RunLength(steps, settings.batch());
        try (TrainingMethod method = Methods.attach(settings, net, length)) {
            ToyRun run = new ToyRun(problem, data, net, method);
            boolean complete = run.train(settings);
            return new Result(settings.seed(), run.rows, !complete, run.nanos / 1e9);
        }
    }

    private boolean train(TrainSettings settings) {
        EvaluationPlan plan =
                new EvaluationPlan(problem.stepsPerEpoch(), problem.epochs(), settings.evalEvery());
        SampleOrder orders = new SampleOrder(problem.training(), settings.seed());
        long step = 0;
        double lossSum = 0;
        long since = 0;
        for (int epoch = 0; epoch < problem.epochs(); epoch++) {
            net.setEpochCount(epoch);
            int[] order = orders.of(epoch);
            for (int from = 0; from < order.length; from += problem.batch()) {
                lossSum += step(order, from, Math.min(order.length, from + problem.batch()));
                if (!Double.isFinite(lossSum)) {
                    return false;
                }
                step++;
                since++;
                if (plan.isDue(step)) {
                    if (!evaluate(step, lossSum / since)) {
                        return false;
                    }
                    lossSum = 0;
                    since = 0;
                }
            }
        }
        return true;
    }

    private double step(int[] order, int from, int to) {
        long begin = System.nanoTime();
        net.fit(
                data.training().features(order, from, to),
                data.training().targets(order, from, to));
        method.afterStep();
        nanos += System.nanoTime() - begin;
        return net.score();
    }

    private boolean evaluate(long step, double trainLoss) {
        Output.Measure measure =
                method.withAveragedWeights(
                        () -> output.measure(net.output(testFeatures), data.test()));
        if (!Double.isFinite(measure.loss())) {
            return false;
        }
        rows.add(
                new MetricsRow(
                        step,
                        (double) step / problem.stepsPerEpoch(),
                        nanos / 1e9,
                        trainLoss,
                        measure.loss(),
                        problem.hasAccuracy() ? measure.accuracy() : Double.NaN));
        return true;
    }
}
