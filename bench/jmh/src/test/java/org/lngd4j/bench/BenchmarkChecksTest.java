// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * Every benchmark once, on its smallest case and for a moment: they check what they time, and a
 * check that fails fails here. Times mean nothing in this process.
 */
class BenchmarkChecksTest {
    @Test
    void statisticsAgreeWithPlainNd4j() throws RunnerException {
        assertThat(run("StatisticsPeer", "layer", "d576", "20x50x5x12")).hasSize(6);
    }

    @Test
    void everyInverseIsOne() throws RunnerException {
        Collection<RunResult> results = run("InversePeer", "n", "128", "300");
        assertThat(results).hasSize(8);
        for (RunResult result : results) {
            boolean ours = result.getParams().getParam("by").equals("lngd");
            double micros = result.getSecondaryResults().get("inverseMicros").getScore();
            assertThat(micros > 0).as(result.getParams().id()).isEqualTo(ours);
        }
    }

    @Test
    void viewsGiveWhatCopiesGive() throws RunnerException {
        assertThat(run("ArrayViews", "threads", "1")).hasSize(7);
    }

    @Test
    void wholeStepsAreSound() throws RunnerException {
        assertThat(run("UpdaterPeer", "set", "mlp")).hasSize(4);
        assertThat(run("JniCrossing", "threads", "1")).hasSize(3);
        assertThat(run("StepOverhead", "layers", "1", "20")).hasSize(8);
        assertThat(run("TrainStep", "optimizer", "sgd", "lngd")).hasSize(2);
    }

    private static Collection<RunResult> run(String name, String parameter, String... values)
            throws RunnerException {
        ChainedOptionsBuilder options =
                new OptionsBuilder()
                        .include("\\." + name + "\\.")
                        .param(parameter, values)
                        .forks(0)
                        .warmupIterations(0)
                        .measurementIterations(1)
                        .measurementTime(TimeValue.milliseconds(5))
                        .shouldFailOnError(true);
        return new Runner(options.build()).run();
    }
}
