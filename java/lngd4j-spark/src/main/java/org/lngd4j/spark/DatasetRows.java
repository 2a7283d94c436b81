// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RuntimeConfig;
import org.apache.spark.sql.SparkSession;

/**
 * The rows of a {@code Dataset}, in partitions that do not depend on how many executors have
 * registered by now. Spark packs files into as many partitions as it has cores when a query is
 * planned; which row goes to which rank would depend on that, and with it the batches and every
 * bit. So a query is planned here for as many partitions as ranks, unless the user has said how
 * many.
 *
 * <p>An order by the rows' contents was rejected, since equal rows would go to one rank, and so was
 * one by file and number of row, since only Parquet's rows know theirs: others would have to be
 * counted by reading everything twice.
 */
final class DatasetRows {
    /** Of scans of files, of local data and of ranges, where nothing else says it. */
    static final String LEAVES = "spark.sql.leafNodeDefaultParallelism";

    private static final String ALL = "spark.default.parallelism";

    private DatasetRows() {}

    /**
     * Plans the query.
     *
     * @param partitions of the files, as Spark takes it: it makes more of large files
     */
    static JavaRDD<Row> of(Dataset<Row> data, int partitions) {
        SparkSession session = data.sparkSession();
        RuntimeConfig settings = session.conf();
        // Two trainings of one session in two threads would take each other's.
        synchronized (DatasetRows.class) {
            boolean said =
                    settings.getOption(LEAVES).isDefined()
                            || session.sparkContext().getConf().contains(ALL);
            if (said) {
                return planned(data);
            }
            settings.set(LEAVES, Integer.toString(partitions));
            try {
                return planned(data);
            } finally {
                settings.unset(LEAVES);
            }
        }
    }

    /** A plan of its own, not one that this data set has made of itself before. */
    private static JavaRDD<Row> planned(Dataset<Row> data) {
        JavaRDD<Row> rows = data.toDF().toJavaRDD();
        rows.getNumPartitions(); // else Spark may put it off
        return rows;
    }
}
