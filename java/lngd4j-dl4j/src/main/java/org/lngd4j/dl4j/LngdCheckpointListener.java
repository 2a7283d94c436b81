// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.lngd4j.nativelib.LngdArgumentException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Saves network and LNGD together in the course of a training, where DL4J's {@code
 * CheckpointListener} loses what LNGD knows. Each file is one of {@link LngdTraining#save}: there
 * whole or not at all, loaded by {@code ModelSerializer}, continued bit by bit by {@link
 * Lngd#resume}.
 *
 * <pre>{@code
 * net.addListeners(
 *         LngdCheckpointListener.builder(lngd, folder).everyEpochs(1).everyMinutes(20).keepLast(2).build());
 * }</pre>
 *
 * <p>The files are {@code checkpoint-STEPS.zip}; the folder is for one run. A file that cannot be
 * written ends {@code fit} with an {@link UncheckedIOException}; the files before it stay. Not to
 * be wrapped by {@link LngdTraining#averaging}: a training goes on from its own weights. After
 * {@link LngdTraining#close()} it saves nothing.
 */
public final class LngdCheckpointListener extends BaseTrainingListener {
    private static final Logger LOGGER = LoggerFactory.getLogger(LngdCheckpointListener.class);
    private static final Pattern NAME = Pattern.compile("checkpoint-(\\d{1,18})\\.zip");
    private static final Pattern DRAFT = Pattern.compile("checkpoint-\\d+\\.zip.*\\.tmp");

    private final LngdTraining training;
    private final Path folder;
    private final long everySteps;
    private final long everyNanos;
    private final int everyEpochs;
    private final int keep;
    private final LongSupplier clock;
    private long savedAt;
    private long savedSteps = -1;

    private LngdCheckpointListener(Builder b, LongSupplier clock) {
        this.training = b.training;
        this.folder = b.folder;
        this.everySteps = b.everySteps;
        this.everyNanos = TimeUnit.MINUTES.toNanos(b.everyMinutes);
        this.everyEpochs = b.everyEpochs;
        this.keep = b.keep;
        this.clock = clock;
        this.savedAt = clock.getAsLong();
    }

    /**
     * Begins to describe a listener.
     *
     * @param training what is saved
     * @param folder where to; made if it is not there. It has no checkpoints yet, or those of this
     *     run up to the step that it is at
     * @return a builder
     */
    public static Builder builder(LngdTraining training, Path folder) {
        return new Builder(training, folder);
    }

    /**
     * The newest checkpoint of a folder.
     *
     * @param folder the folder
     * @return the file with the most steps; empty where there is none, or no such folder
     * @throws IOException if the folder cannot be read
     */
    public static Optional<Path> last(Path folder) throws IOException {
        List<Path> all = all(folder);
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }

    /**
     * The checkpoints of a folder.
     *
     * @param folder the folder
     * @return by steps, the newest last; empty where there is no such folder
     * @throws IOException if the folder cannot be read
     */
    public static List<Path> all(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> steps(f) >= 0)
                    .sorted(Comparator.comparingLong(LngdCheckpointListener::steps))
                    .toList();
        }
    }

    /** Steps by the name of a file; -1 where it is no checkpoint. */
    private static long steps(Path file) {
        Matcher name = NAME.matcher(file.getFileName().toString());
        return name.matches() ? Long.parseLong(name.group(1)) : -1;
    }

    @Override
    public void iterationDone(Model model, int iteration, int epoch) {
        if (!isOurs(model) || training.steps() == savedSteps) {
            return; // past the end of the schedule the steps stand still
        }
        boolean due = everySteps > 0 && training.steps() % everySteps == 0;
        if (due || everyNanos > 0 && clock.getAsLong() - savedAt >= everyNanos) {
            save(false);
        }
    }

    /** DL4J counts the epoch after this call. */
    @Override
    public void onEpochEnd(Model model) {
        if (isOurs(model) && everyEpochs > 0 && (training.epochs() + 1) % everyEpochs == 0) {
            save(true);
        }
    }

    private boolean isOurs(Model model) {
        return model == training.network() && !training.isClosed();
    }

    private void save(boolean epochDone) {
        Path file = folder.resolve("checkpoint-" + training.steps() + ".zip");
        try {
            training.save(file, epochDone);
            savedSteps = training.steps();
            savedAt = clock.getAsLong();
            LOGGER.info("saved {}", file);
            List<Path> all = all(folder);
            for (Path old : all.subList(0, Math.max(0, all.size() - keep))) {
                Files.delete(old);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("the checkpoint " + file + " failed: " + e, e);
        }
    }

    /** Says when to save, and how much to keep. */
    public static final class Builder {
        private final LngdTraining training;
        private final Path folder;
        private long everySteps;
        private long everyMinutes;
        private int everyEpochs;
        private int keep = 3;

        private Builder(LngdTraining training, Path folder) {
            if (training == null || folder == null) {
                throw new LngdArgumentException(
                        (training == null ? "training" : "folder") + " is null");
            }
            this.training = training;
            this.folder = folder;
        }

        /**
         * Saves after every n-th step of LNGD.
         *
         * @param n at least 1
         * @return this builder
         */
        public Builder everyIterations(long n) {
            everySteps = atLeastOne("everyIterations", n);
            return this;
        }

        /**
         * Saves after the first step that comes n minutes after the last file, or the making of the
         * listener.
         *
         * @param n at least 1
         * @return this builder
         */
        public Builder everyMinutes(long n) {
            everyMinutes = atLeastOne("everyMinutes", n);
            return this;
        }

        /**
         * Saves at the end of every n-th epoch since LNGD was attached.
         *
         * @param n at least 1
         * @return this builder
         */
        public Builder everyEpochs(int n) {
            everyEpochs = (int) atLeastOne("everyEpochs", n);
            return this;
        }

        /**
         * How many files are kept; older ones are deleted after a new one is there. 3 unless this
         * says otherwise.
         *
         * @param k at least 1; {@link Integer#MAX_VALUE}: all
         * @return this builder
         */
        public Builder keepLast(int k) {
            keep = (int) atLeastOne("keepLast", k);
            return this;
        }

        private static long atLeastOne(String name, long value) {
            if (value < 1) {
                throw new LngdArgumentException(name + " is " + value + "; allowed is 1 or more");
            }
            return value;
        }

        /**
         * Makes the folder and the listener.
         *
         * @return the listener, for {@code net.addListeners}
         * @throws LngdArgumentException if nothing says when to save, and if the folder has
         *     checkpoints of a run that is further than this one
         * @throws IOException if the folder cannot be made or read
         */
        public LngdCheckpointListener build() throws IOException {
            return build(System::nanoTime);
        }

        LngdCheckpointListener build(LongSupplier clock) throws IOException {
            if (everySteps == 0 && everyMinutes == 0 && everyEpochs == 0) {
                throw new LngdArgumentException(
                        "no time to save was given; allowed is one of everyIterations,"
                                + " everyMinutes, everyEpochs or several");
            }
            Files.createDirectories(folder);
            Optional<Path> last = last(folder);
            if (last.isPresent() && steps(last.get()) > training.steps()) {
                throw new LngdArgumentException(
                        "folder has "
                                + last.get()
                                + ", and this run is at step "
                                + training.steps()
                                + "; allowed is a folder without checkpoints of other runs: go on"
                                + " from that file with Lngd.resume before you make the listener,"
                                + " or name another folder");
            }
            // What a process that was killed while it saved has left.
            try (DirectoryStream<Path> drafts =
                    Files.newDirectoryStream(
                            folder, f -> DRAFT.matcher(f.getFileName().toString()).matches())) {
                for (Path draft : drafts) {
                    Files.delete(draft);
                }
            }
            return new LngdCheckpointListener(this, clock);
        }
    }
}
