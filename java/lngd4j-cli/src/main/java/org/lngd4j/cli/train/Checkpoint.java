// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.FloatVectors;
import org.lngd4j.cli.support.Json;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A run between two steps, in one zip file: {@code state.json} (options and counters), {@code
 * weights} (floats) and {@code method} (what the {@link TrainingMethod} saved). The zip's checksums
 * tell of damage. The order of the samples needs no place: it follows from the seed and the epoch.
 *
 * @param settings the options of the run
 * @param network the widths, for example {@code 784-256-128-10}
 * @param position where the run stands
 * @param weights the network's parameters
 * @param method what {@link TrainingMethod#save} wrote
 */
record Checkpoint(
        TrainSettings settings,
        String network,
        Position position,
        INDArray weights,
        byte[] method) {
    static final String FILE = "checkpoint.zip";
    private static final int FORMAT = 1;
    private static final int BUFFER = 1 << 16;

    /**
     * The counters of a run.
     *
     * @param step steps done
     * @param trainingNanos training time, without evaluation
     * @param lossSum sum of the batch losses since the last evaluation
     * @param lossCount how many batches that is
     */
    record Position(long step, long trainingNanos, double lossSum, long lossCount) {
        static final Position START = new Position(0, 0, 0, 0);
    }

    void write(Path file) throws IOException {
        AtomicFile.write(
                file,
                out -> {
                    // Not closed: AtomicFile flushes the stream to the disk before it closes it.
                    ZipOutputStream zip = new ZipOutputStream(out);
                    // Weights hardly shrink: the time is better spent on training.
                    zip.setLevel(Deflater.NO_COMPRESSION);
                    entry(
                            zip,
                            "state.json",
                            stream -> stream.write(state().getBytes(StandardCharsets.UTF_8)));
                    entry(
                            zip,
                            "weights",
                            stream -> {
                                DataOutputStream data = new DataOutputStream(stream);
                                FloatVectors.write(weights, data);
                                data.flush();
                            });
                    entry(zip, "method", stream -> stream.write(method));
                    zip.finish();
                });
    }

    static Checkpoint read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw CliException.badInput(file + ": no such checkpoint");
        }
        try (ZipFile zip = new ZipFile(file.toFile())) {
            Map<String, Object> state =
                    Json.readObject(new String(bytes(zip, "state.json"), StandardCharsets.UTF_8));
            if (!Integer.valueOf(FORMAT).equals(state.get("format"))) {
                throw new IOException(
                        "its format is " + state.get("format") + ", this version reads " + FORMAT);
            }
            Position position =
                    new Position(
                            ((Number) state.get("step")).longValue(),
                            ((Number) state.get("trainingNanos")).longValue(),
                            ((Number) state.get("lossSum")).doubleValue(),
                            ((Number) state.get("lossCount")).longValue());
            INDArray weights =
                    FloatVectors.read(
                            new DataInputStream(new ByteArrayInputStream(bytes(zip, "weights"))));
            return new Checkpoint(
                    SettingsMap.read(state.get("options")),
                    (String) state.get("network"),
                    position,
                    weights,
                    bytes(zip, "method"));
        } catch (IOException | RuntimeException e) {
            throw CliException.badInput(
                    file + ": not a usable checkpoint (" + e.getMessage() + ")", e);
        }
    }

    private String state() {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("format", FORMAT);
        state.put("network", network);
        state.put("step", position.step());
        state.put("trainingNanos", position.trainingNanos());
        state.put("lossSum", position.lossSum());
        state.put("lossCount", position.lossCount());
        state.put("options", settings.toMap());
        return Json.write(state);
    }

    private static void entry(ZipOutputStream zip, String name, AtomicFile.Content content)
            throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        // ND4J writes its numbers one by one.
        BufferedOutputStream buffered = new BufferedOutputStream(zip, BUFFER);
        content.writeTo(buffered);
        buffered.flush();
        zip.closeEntry();
    }

    private static byte[] bytes(ZipFile zip, String name) throws IOException {
        ZipEntry entry = zip.getEntry(name);
        if (entry == null) {
            throw new IOException("it has no " + name);
        }
        byte[] bytes = zip.getInputStream(entry).readAllBytes();
        // ZipFile, unlike ZipInputStream, leaves the checksum to its user.
        CRC32 checksum = new CRC32();
        checksum.update(bytes);
        if (checksum.getValue() != entry.getCrc()) {
            throw new IOException(name + " in it is damaged");
        }
        return bytes;
    }
}
