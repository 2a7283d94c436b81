// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import scala.Option;
import scala.Tuple4;
import scala.jdk.javaapi.CollectionConverters;

/** Heartbeats, as Spark tells them to a listener. */
@ExtendWith(TestCluster.class) // accumulators have numbers in a context alone
class ProgressListenerTest {
    private final Metrics metrics = Metrics.register(TestCluster.get().sc());
    private final List<SparkProgress> seen = new ArrayList<>();
    private final ProgressListener listener = new ProgressListener(metrics, seen::add);

    private static AccumulableInfo info(long id, Object value) {
        return new AccumulableInfo(
                id,
                Option.apply("x"),
                Option.apply(value),
                Option.empty(),
                false,
                true,
                Option.empty());
    }

    private void heartbeat(long task, int attempt, long steps, long samples, double loss) {
        Tuple4<Object, Object, Object, scala.collection.immutable.Seq<AccumulableInfo>> told =
                new Tuple4<>(
                        task,
                        3,
                        attempt,
                        CollectionConverters.asScala(
                                        List.of(
                                                info(metrics.steps().id(), steps),
                                                info(metrics.samples().id(), samples),
                                                info(metrics.loss().id(), loss)))
                                .toSeq());
        listener.onExecutorMetricsUpdate(
                new SparkListenerExecutorMetricsUpdate(
                        "1",
                        CollectionConverters.asScala(List.of(told)).toSeq(),
                        CollectionConverters.asScala(Map.of())));
    }

    @Test
    void ranksAreAddedAndLossesAreOfWhatIsNew() {
        heartbeat(7, 0, 10, 100, 200);
        heartbeat(8, 0, 0, 100, 100); // no step of rank 0 since
        heartbeat(7, 0, 20, 200, 250);
        assertThat(seen)
                .containsExactly(
                        new SparkProgress(0, 10, 100, 2), new SparkProgress(0, 20, 300, 0.75));
    }

    /** Tasks that were given up may tell later than those of the next attempt. */
    @Test
    void anAttemptThatWasGivenUpIsForgotten() {
        heartbeat(7, 0, 10, 100, 200);
        heartbeat(9, 1, 5, 50, 25);
        heartbeat(7, 0, 11, 110, 220);
        heartbeat(9, 1, 6, 60, 30);
        assertThat(seen)
                .containsExactly(
                        new SparkProgress(0, 10, 100, 2),
                        new SparkProgress(1, 5, 50, 0.5),
                        new SparkProgress(1, 6, 60, 0.5));
    }
}
