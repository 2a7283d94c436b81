// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.spark.TaskContext;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Preset;
import org.lngd4j.spark.SparkNets.Job;
import org.lngd4j.spark.SparkNets.Net;

/** A job of which one rank fails in one step: in its first attempt, or in all. */
final class FailingJob extends Job {
    private static final long serialVersionUID = 1L;

    enum Failure {
        /** The process ends. */
        DIES,
        /** The process is stopped, as one behind a broken network: it keeps its connections. */
        STOPS,
        /** The thread waits. */
        HANGS,
        /** Its loss has a NaN. */
        NAN,
        /** An exception of the user's program. */
        THROWS
    }

    private final Failure failure;
    private final int rank;
    private final int step;
    private final String marker; // there once it has failed; null: fails in all attempts

    private transient int steps;

    FailingJob(Failure failure, int rank, int step, Path marker) {
        super(true, 0.2, Preset.BLOCK_KRONECKER);
        this.failure = failure;
        this.rank = rank;
        this.step = step;
        this.marker = marker == null ? null : marker.toString();
    }

    @Override
    public Tensor loss(Net model, List<Sample> samples) {
        Tensor loss = super.loss(model, samples);
        boolean now = TaskContext.getPartitionId() == rank && ++steps == step && mark();
        return now ? fail(loss) : loss;
    }

    private boolean mark() {
        if (marker == null) {
            return true;
        }
        try {
            Files.createFile(Path.of(marker));
            return true;
        } catch (FileAlreadyExistsException e) {
            return false;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Tensor fail(Tensor loss) {
        switch (failure) {
            case DIES -> Runtime.getRuntime().halt(9);
            case STOPS -> stop();
            case HANGS -> hang();
            case THROWS -> throw new IllegalStateException("an exception of the user's");
            default -> {
                return loss.mul(new Scalar(Double.NaN));
            }
        }
        return loss;
    }

    private static void stop() {
        try {
            String pid = Long.toString(ProcessHandle.current().pid());
            new ProcessBuilder("kill", "-STOP", pid).start().waitFor();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void hang() {
        try {
            TimeUnit.DAYS.sleep(1);
        } catch (InterruptedException e) { // what KillWatch does
            throw new IllegalStateException("interrupted", e);
        }
    }
}
