// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import org.apache.spark.SparkContext;
import org.apache.spark.util.DoubleAccumulator;
import org.apache.spark.util.LongAccumulator;

/**
 * Accumulators, which Spark's UI shows at the stage and whose values come to the driver with the
 * executors' heartbeats.
 *
 * @param steps of rank 0, those before a checkpoint that it went on from included
 * @param samples of all ranks
 * @param loss sum over these samples
 */
record Metrics(LongAccumulator steps, LongAccumulator samples, DoubleAccumulator loss)
        implements Serializable {
    static Metrics register(SparkContext context) {
        return new Metrics(
                context.longAccumulator("LNGD steps"),
                context.longAccumulator("LNGD samples"),
                context.doubleAccumulator("LNGD loss, summed over samples"));
    }
}
