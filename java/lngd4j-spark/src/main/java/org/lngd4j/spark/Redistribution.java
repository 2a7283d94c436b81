// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.Iterator;
import org.apache.spark.Partitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.lngd4j.nativelib.LngdArgumentException;
import scala.Tuple2;

/**
 * Spreads rows evenly over the ranks, in an order that is the same in every attempt: rows of a
 * partition go round the ranks, and each rank sorts what it gets by partition and row. Spark's own
 * {@code repartition} was rejected: rows come in the order in which blocks arrive, and an attempt
 * after a failure would train on other batches.
 */
final class Redistribution {
    private static final int ROW_BITS = 40; // a partition has fewer rows than 2^40

    private Redistribution() {}

    static <S> JavaRDD<S> toRanks(JavaRDD<S> data, int ranks) {
        JavaPairRDD<Long, S> numbered =
                JavaPairRDD.fromJavaRDD(data.mapPartitionsWithIndex(Redistribution::number, false));
        return numbered.repartitionAndSortWithinPartitions(new RoundRobin(ranks)).values();
    }

    private static <S> Iterator<Tuple2<Long, S>> number(int partition, Iterator<S> rows) {
        return new Iterator<>() {
            private long row;

            @Override
            public boolean hasNext() {
                return rows.hasNext();
            }

            @Override
            public Tuple2<Long, S> next() {
                return new Tuple2<>(((long) partition << ROW_BITS) + row++, rows.next());
            }
        };
    }

    /** As many partitions as ranks, or an exception. */
    static <S> JavaRDD<S> kept(JavaRDD<S> data, int ranks) {
        if (data.getNumPartitions() != ranks) {
            throw new LngdArgumentException(
                    "data has "
                            + data.getNumPartitions()
                            + " partitions, allowed with keepPartitions are as many as ranks, "
                            + ranks);
        }
        return data;
    }

    /** Row i of partition p goes to rank (p + i) mod ranks: short partitions begin elsewhere. */
    private static final class RoundRobin extends Partitioner {
        private static final long serialVersionUID = 1L;
        private final int ranks;

        RoundRobin(int ranks) {
            this.ranks = ranks;
        }

        @Override
        public int numPartitions() {
            return ranks;
        }

        @Override
        public int getPartition(Object key) {
            long number = (Long) key;
            long partition = number >>> ROW_BITS;
            long row = number & ((1L << ROW_BITS) - 1);
            return (int) ((partition + row) % ranks);
        }
    }
}
