// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.concurrent.TimeUnit;
import org.lngd4j.KernelTimes;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.global.lngd;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The way from Java into the library and back, with as little as possible at its end: a function
 * without arguments, a question about a layer (handle and lock on both sides), a struct filled by
 * the library. Whole steps are {@link StepOverhead}'s.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class JniCrossing {
    @Param("1")
    public int threads;

    private Mlp mlp;

    @Setup
    public void open() {
        mlp = new Mlp(LngdOptions.recipe(1000).threads(threads).build(), 1, 1, 1);
        // What is timed, once: each answer is known here.
        if (version() == 0) {
            throw new IllegalStateException("version 0");
        }
        if (!question()) {
            throw new IllegalStateException("a layer without statistics needs none");
        }
        mlp.step();
        if (struct().total() <= 0) {
            throw new IllegalStateException("no time after a step: " + struct());
        }
    }

    /** An empty function: the crossing alone. */
    @Benchmark
    public int version() {
        return lngd.lngd_version();
    }

    /** Whether a layer wants statistics, as every training loop asks in each step. */
    @Benchmark
    public boolean question() {
        return mlp.optimizer.needsStatistics(0);
    }

    /** The kernels' times, through a native struct that is allocated and freed. */
    @Benchmark
    public KernelTimes struct() {
        return mlp.optimizer.times();
    }

    @TearDown
    public void close() {
        mlp.close();
    }
}
