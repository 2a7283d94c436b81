// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import java.time.Duration;
import java.util.Arrays;
import org.lngd4j.InversePlacement;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * How a network is trained on Spark. Immutable.
 *
 * <pre>{@code
 * SparkOptions options = SparkOptions.builder(8, 1024, 10) // ranks, samples of a step, epochs
 *         .checkpoint("hdfs:///models/digits", Duration.ofMinutes(5))
 *         .build();
 * }</pre>
 */
public final class SparkOptions implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final int MOST_RANKS = 1 << 16; // the exchange of a step has 56 bytes a rank

    private final int ranks;
    private final int batch;
    private final int epochs;
    private final long seed;
    private final Duration timeout;
    private final String bind;
    private final boolean keepPartitions;
    private final String folder;
    private final Duration interval;
    private final long checkpointSteps;
    private final boolean resume;
    private final InversePlacement inverses;

    private SparkOptions(Builder builder) {
        ranks = builder.ranks;
        batch = builder.batch;
        epochs = builder.epochs;
        seed = builder.seed;
        timeout = builder.timeout;
        bind = builder.bind;
        keepPartitions = builder.keepPartitions;
        folder = builder.folder;
        interval = builder.interval;
        checkpointSteps = builder.checkpointSteps;
        resume = builder.resume;
        inverses = builder.inverses;
    }

    /**
     * Begins with the defaults: seed 1, a timeout of 10 minutes, the address that Spark has, rows
     * spread evenly, no checkpoints.
     *
     * @param ranks tasks that train together, all at once: the cluster needs as many free slots.
     *     One rank an executor, with {@code spark.task.cpus} equal to {@code spark.executor.cores},
     *     is best
     * @param batch samples of a step, of all ranks together; rounded down where that makes all
     *     batches of an epoch equal
     * @param epochs how often all data are seen
     * @return a builder
     * @throws LngdArgumentException if one is less than 1, or there are more than 65,536 ranks
     */
    public static Builder builder(int ranks, int batch, int epochs) {
        return new Builder(ranks, batch, epochs);
    }

    /**
     * Tasks that train together.
     *
     * @return how many
     */
    public int ranks() {
        return ranks;
    }

    /**
     * Samples of a step, of all ranks together.
     *
     * @return how many, before they are rounded
     */
    public int batch() {
        return batch;
    }

    /**
     * How often all data are seen.
     *
     * @return epochs
     */
    public int epochs() {
        return epochs;
    }

    /**
     * The seed of initial weights, of shuffling, and of what PyTorch draws in training.
     *
     * @return the seed
     */
    public long seed() {
        return seed;
    }

    /**
     * The timeout of connecting, and of each collective.
     *
     * @return the timeout
     */
    public Duration timeout() {
        return timeout;
    }

    /**
     * The network interface that Gloo listens on.
     *
     * @return its name; null: the address that Spark has the executor listen on
     */
    public String bind() {
        return bind;
    }

    /**
     * Whether the data's own partitions are kept, one a rank.
     *
     * @return false: rows are spread evenly, by a shuffle before the training
     */
    public boolean keepPartitions() {
        return keepPartitions;
    }

    /**
     * Where checkpoints go.
     *
     * @return a path of Hadoop's; null: nowhere
     */
    public String checkpointFolder() {
        return folder;
    }

    /**
     * Time between two checkpoints.
     *
     * @return the time; null: by steps alone
     */
    public Duration checkpointInterval() {
        return interval;
    }

    /**
     * Steps between two checkpoints.
     *
     * @return how many; 0: by time alone
     */
    public long checkpointSteps() {
        return checkpointSteps;
    }

    /**
     * Whether a checkpoint of an earlier job is gone on from.
     *
     * @return false: it is refused
     */
    public boolean resume() {
        return resume;
    }

    /**
     * Which ranks compute LNGD's inverses.
     *
     * @return AUTO unless told otherwise
     */
    public InversePlacement inverses() {
        return inverses;
    }

    /** Makes options. */
    public static final class Builder {
        private final int ranks;
        private final int batch;
        private final int epochs;
        private long seed = 1;
        private Duration timeout = Duration.ofMinutes(10);
        private String bind;
        private boolean keepPartitions;
        private String folder;
        private Duration interval;
        private long checkpointSteps;
        private boolean resume;
        private InversePlacement inverses = InversePlacement.AUTO;

        private Builder(int ranks, int batch, int epochs) {
            this.ranks = Math.toIntExact(range("ranks", ranks, MOST_RANKS));
            this.batch = Math.toIntExact(range("batch", batch, Integer.MAX_VALUE));
            this.epochs = Math.toIntExact(range("epochs", epochs, Integer.MAX_VALUE));
        }

        /**
         * The seed of initial weights, of shuffling, and of what PyTorch draws in training.
         *
         * @param value any
         * @return this
         */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /**
         * The timeout of connecting, and of each collective: longer than the time by which a rank
         * may come later than another, a checkpoint included.
         *
         * @param value a millisecond or more
         * @return this
         */
        public Builder timeout(Duration value) {
            timeout = positive("timeout", value);
            return this;
        }

        /**
         * The network interface that Gloo listens on, on every executor, such as {@code eth1}.
         *
         * @param networkInterface its name; null for the address that Spark has the executor listen
         *     on
         * @return this
         */
        public Builder bind(String networkInterface) {
            if (networkInterface != null && networkInterface.isBlank()) {
                throw new LngdArgumentException(
                        "bind is blank, allowed is the name of a network interface, or null");
            }
            bind = networkInterface;
            return this;
        }

        /**
         * Keeps the partitions of the data: partition i is trained by rank i, and there have to be
         * as many. Otherwise rows are spread evenly, by a shuffle before the training.
         *
         * @param keep true: they are kept
         * @return this
         */
        public Builder keepPartitions(boolean keep) {
            keepPartitions = keep;
            return this;
        }

        /**
         * Checkpoints by time. Without any, a failed attempt begins anew.
         *
         * @param path a folder in a file system of Hadoop's that all executors reach
         * @param between time between two of them, a millisecond or more
         * @return this
         */
        public Builder checkpoint(String path, Duration between) {
            interval = positive("between", between);
            folder = notBlank(path);
            return this;
        }

        /**
         * Checkpoints by steps; both by steps and by time where both are called.
         *
         * @param path a folder in a file system of Hadoop's that all executors reach
         * @param steps between two of them, at least 1
         * @return this
         */
        public Builder checkpoint(String path, long steps) {
            checkpointSteps = range("steps", steps, Long.MAX_VALUE);
            folder = notBlank(path);
            return this;
        }

        /**
         * Goes on from the last checkpoint of an earlier job in the folder, where there is one.
         * Otherwise a folder with checkpoints of an earlier job is refused.
         *
         * @param value true: goes on
         * @return this
         */
        public Builder resume(boolean value) {
            resume = value;
            return this;
        }

        /**
         * Which ranks compute LNGD's inverses. The bits of the result are the same.
         *
         * @param placement REPLICATED, OWNED or AUTO
         * @return this
         */
        public Builder inverses(InversePlacement placement) {
            if (placement == null) {
                throw new LngdArgumentException(
                        "placement is null, allowed is one of "
                                + Arrays.toString(InversePlacement.values()));
            }
            inverses = placement;
            return this;
        }

        /**
         * Makes the options.
         *
         * @return the options
         * @throws LngdArgumentException if {@code resume} was asked for without a checkpoint folder
         */
        public SparkOptions build() {
            if (resume && folder == null) {
                throw new LngdArgumentException(
                        "resume is true, allowed with checkpoint(...), which was not called");
            }
            return new SparkOptions(this);
        }

        private static long range(String name, long value, long high) {
            if (value < 1 || value > high) {
                throw new LngdArgumentException(
                        name + " is " + value + ", allowed is 1 to " + high);
            }
            return value;
        }

        private static Duration positive(String name, Duration value) {
            if (value == null || value.toMillis() < 1) {
                throw new LngdArgumentException(
                        name + " is " + value + ", allowed is a millisecond or more");
            }
            return value;
        }

        private static String notBlank(String path) {
            if (path == null || path.isBlank()) {
                throw new LngdArgumentException(
                        "path is " + (path == null ? "null" : "blank") + ", allowed is a folder");
            }
            return path;
        }
    }
}
