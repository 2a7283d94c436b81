// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.util.Arrays;
import org.apache.hadoop.fs.Path;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdStateDataException;

/**
 * The checkpoints of a run. Rank 0 writes and reads them; what it reads is broadcast. A file begins
 * with what it belongs to, then come the network's weights and the state of LNGD.
 */
final class Checkpoints {
    private static final System.Logger LOGGER = System.getLogger("org.lngd4j.spark");
    private static final int MAGIC = 0x4C4E5331; // "LNS1"
    private static final int NONE = 0;
    private static final int THERE = 1;
    private static final int WRONG = 2;

    private final CheckpointFolder folder; // null: none are written
    private final SparkOptions options;
    private final String job;
    private final String run; // what the run's bits depend on besides the network
    private final String attempt;
    private long since = System.nanoTime();

    /**
     * Of an attempt.
     *
     * @param folder where they are; null for nowhere
     * @param job what tells this job from another
     * @param counts samples of each rank
     */
    Checkpoints(
            CheckpointFolder folder,
            SparkOptions options,
            String job,
            String attempt,
            long[] counts) {
        this.folder = folder;
        this.options = options;
        this.job = job;
        this.attempt = attempt;
        this.run =
                "batch "
                        + options.batch()
                        + ", epochs "
                        + options.epochs()
                        + ", seed "
                        + options.seed()
                        + ", samples of each rank "
                        + Arrays.toString(counts);
    }

    /**
     * Goes on from the last one, where there is one. All ranks call it.
     *
     * @throws RefusedException on all ranks, where it is of another job, another run, or damaged
     */
    void restore(RankNetwork<?> network, Ranks ranks) throws IOException {
        if (folder == null) {
            return;
        }
        InputStream source = ranks.rank() == 0 ? source() : null;
        try (DataInputStream in = new DataInputStream(new RankInputStream(ranks, source))) {
            int kind = in.read();
            if (kind == NONE) {
                return;
            }
            String text = in.readUTF();
            if (kind == WRONG) {
                throw new RefusedException(text, null);
            }
            try {
                network.restore(in);
            } catch (LngdStateDataException e) {
                throw new RefusedException("checkpoint " + text + ": " + e.getMessage(), e);
            }
            if (ranks.rank() == 0) {
                LOGGER.log(
                        System.Logger.Level.INFO,
                        "training goes on from checkpoint {0}, step {1}",
                        text,
                        Long.toString(network.steps()));
            }
        }
    }

    private InputStream source() throws IOException {
        Path last = folder.last();
        if (last == null) {
            return new ByteArrayInputStream(new byte[] {NONE});
        }
        InputStream file = folder.open(last);
        String wrong = wrong(new DataInputStream(file));
        if (wrong != null) {
            file.close();
            return new ByteArrayInputStream(start(WRONG, "checkpoint " + last + " " + wrong));
        }
        return new SequenceInputStream(
                new ByteArrayInputStream(start(THERE, last.toString())), file);
    }

    private static byte[] start(int kind, String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(kind);
        new DataOutputStream(bytes).writeUTF(text);
        return bytes.toByteArray();
    }

    /** What is wrong with a file, by its header; null: nothing. */
    private String wrong(DataInputStream in) throws IOException {
        if (in.readInt() != MAGIC) {
            return "is not one of lngd4j-spark";
        }
        String ofJob = in.readUTF();
        String ofRun = in.readUTF();
        if (!ofJob.equals(job) && !options.resume()) {
            return "is of an earlier job: allowed is an empty folder, or resume(true) to go on from it";
        }
        return ofRun.equals(run) ? null : "is of a run with " + ofRun + ", this one has " + run;
    }

    /**
     * Writes one where it is due: on rank 0, after a step.
     *
     * @param end whether that was the last step
     */
    void stepped(RankNetwork<?> network, boolean end) throws IOException {
        long steps = network.steps();
        boolean bySteps = options.checkpointSteps() > 0 && steps % options.checkpointSteps() == 0;
        boolean byTime =
                options.checkpointInterval() != null
                        && System.nanoTime() - since >= options.checkpointInterval().toNanos();
        if (folder == null || !(bySteps || byTime || end)) {
            return;
        }
        folder.write(
                steps,
                attempt,
                out -> {
                    DataOutputStream header = new DataOutputStream(out);
                    header.writeInt(MAGIC);
                    header.writeUTF(job);
                    header.writeUTF(run);
                    header.flush();
                    network.save(out);
                });
        since = System.nanoTime();
    }
}
