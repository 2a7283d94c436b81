// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import scala.Tuple4;
import scala.jdk.javaapi.CollectionConverters;

/** Reads the accumulators of running tasks, which Spark itself adds up only when they end. */
final class ProgressListener extends SparkListener {
    private static final System.Logger LOGGER = System.getLogger("org.lngd4j.spark");

    private final Metrics metrics;
    private final Consumer<SparkProgress> consumer;
    private final Map<Long, Map<Long, Double>> tasks = new HashMap<>(); // accumulators by task
    private int attempt;
    private double lastLoss;
    private double lastSamples;
    private double lastSteps = -1;

    ProgressListener(Metrics metrics, Consumer<SparkProgress> consumer) {
        this.metrics = metrics;
        this.consumer = consumer;
    }

    @Override
    public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate update) {
        boolean ours = false;
        for (Tuple4<Object, Object, Object, scala.collection.immutable.Seq<AccumulableInfo>> task :
                CollectionConverters.asJava(update.accumUpdates())) {
            for (AccumulableInfo info : CollectionConverters.asJava(task._4())) {
                if (isOurs(info.id())
                        && info.update().isDefined()
                        && isCurrent((Integer) task._3())) {
                    ours = true;
                    tasks.computeIfAbsent((Long) task._1(), t -> new HashMap<>())
                            .put(info.id(), ((Number) info.update().get()).doubleValue());
                }
            }
        }
        if (ours) {
            tell();
        }
    }

    private boolean isOurs(long id) {
        return id == metrics.steps().id()
                || id == metrics.samples().id()
                || id == metrics.loss().id();
    }

    /** Tasks of an attempt that was given up may tell later than those of the next. */
    private boolean isCurrent(int of) {
        if (of > attempt) {
            attempt = of;
            tasks.clear();
            lastLoss = 0;
            lastSamples = 0;
        }
        return of == attempt;
    }

    private double sum(long id) {
        return tasks.values().stream().mapToDouble(t -> t.getOrDefault(id, 0.0)).sum();
    }

    private void tell() {
        double steps = sum(metrics.steps().id());
        double samples = sum(metrics.samples().id());
        double loss = sum(metrics.loss().id());
        if (steps == lastSteps || samples <= lastSamples) {
            return; // heartbeats of the other executors
        }
        SparkProgress progress =
                new SparkProgress(
                        attempt,
                        (long) steps,
                        (long) samples,
                        (loss - lastLoss) / (samples - lastSamples));
        lastSteps = steps;
        lastSamples = samples;
        lastLoss = loss;
        try {
            consumer.accept(progress);
        } catch (RuntimeException e) { // not to be lost in Spark's own thread
            LOGGER.log(System.Logger.Level.WARNING, "what takes the progress has thrown", e);
        }
    }
}
