// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.util.ModelSerializer;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.nativelib.LngdStateDataException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A training in the middle: a DL4J model file with two more entries, which DL4J does not look at.
 * {@code lngd/optimizer} is the library's state; {@code lngd/training} holds counters, averages of
 * the fallback layers and the state of a fallback updater that the user chose.
 *
 * <p>All entries go through streams, so that none has to fit a Java array. Checksums are compared
 * in a pass of its own before an array is read: ND4J trusts the sizes that it finds.
 */
record Checkpoint(
        Path file,
        Counters counters,
        INDArray params,
        INDArray updaterState,
        List<INDArray> extra) {
    private static final String OPTIMIZER = "lngd/optimizer";
    private static final String TRAINING = "lngd/training";
    private static final int BUFFER = 1 << 16;
    private static final int MAGIC = 0x4C4E4744;

    /** Format 1 had no length: its runs were never extended. */
    private static final int FORMAT = 2;

    /**
     * Counters of a training; steps and epoch count from the attachment, the next two are the
     * network's. {@code told} is where the schedule of the options ended, {@code extension} by how
     * many steps the run was extended since.
     */
    record Counters(
            long steps, int epoch, int netIteration, int netEpoch, long told, long extension) {
        static Counters read(DataInputStream in, int format) throws IOException {
            return new Counters(
                    in.readLong(),
                    in.readInt(),
                    in.readInt(),
                    in.readInt(),
                    format == 1 ? 0 : in.readLong(),
                    format == 1 ? 0 : in.readLong());
        }
    }

    static void write(
            Path file, Model net, Counters counters, LngdOptimizer lngd, List<INDArray> extra)
            throws IOException {
        Path folder = file.toAbsolutePath().getParent();
        Path model = Files.createTempFile(folder, file.getFileName().toString(), ".model.tmp");
        Path whole = Files.createTempFile(folder, file.getFileName().toString(), ".tmp");
        try {
            ModelSerializer.writeModel(net, model.toFile(), true);
            try (ZipFile from = new ZipFile(model.toFile());
                    FileChannel channel = FileChannel.open(whole, StandardOpenOption.WRITE);
                    OutputStream out =
                            new BufferedOutputStream(Channels.newOutputStream(channel), BUFFER);
                    ZipOutputStream to = new ZipOutputStream(out)) {
                copy(from, to);
                to.putNextEntry(new ZipEntry(OPTIMIZER));
                lngd.saveState(to);
                to.putNextEntry(new ZipEntry(TRAINING));
                training(counters, extra, to);
                to.finish();
                out.flush();
                channel.force(true); // else the name may be on the disk before the content is
            }
            Files.move(
                    whole,
                    file,
                    StandardCopyOption.REPLACE_EXISTING,
                    StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(model);
            Files.deleteIfExists(whole);
        }
    }

    private static void copy(ZipFile from, ZipOutputStream to) throws IOException {
        for (Enumeration<? extends ZipEntry> entries = from.entries();
                entries.hasMoreElements(); ) {
            ZipEntry entry = entries.nextElement();
            to.putNextEntry(new ZipEntry(entry.getName()));
            try (InputStream in = from.getInputStream(entry)) {
                in.transferTo(to);
            }
        }
    }

    private static void training(Counters counters, List<INDArray> extra, OutputStream to)
            throws IOException {
        // ND4J writes its numbers one by one.
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(to, BUFFER));
        out.writeInt(MAGIC);
        out.writeInt(FORMAT);
        out.writeLong(counters.steps());
        out.writeInt(counters.epoch());
        out.writeInt(counters.netIteration());
        out.writeInt(counters.netEpoch());
        out.writeLong(counters.told());
        out.writeLong(counters.extension());
        out.writeInt(extra.size());
        for (INDArray array : extra) {
            Nd4j.write(array.dup(), out);
        }
        out.flush();
    }

    static Checkpoint read(Path file) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            check(zip, OPTIMIZER);
            INDArray params = array(zip, ModelSerializer.COEFFICIENTS_BIN);
            INDArray updater =
                    zip.getEntry(ModelSerializer.UPDATER_BIN) == null
                            ? null
                            : array(zip, ModelSerializer.UPDATER_BIN);
            check(zip, TRAINING);
            try (DataInputStream in = data(zip, TRAINING)) {
                int magic = in.readInt();
                int format = in.readInt();
                if (magic != MAGIC || format < 1 || format > FORMAT) {
                    throw new IOException(
                            file
                                    + ": "
                                    + TRAINING
                                    + " has the format "
                                    + format
                                    + ", allowed is 1 to "
                                    + FORMAT);
                }
                Counters counters = Counters.read(in, format);
                int count = in.readInt();
                List<INDArray> extra = new ArrayList<>();
                for (int i = 0; i < count; i++) {
                    extra.add(Nd4j.read(in));
                }
                return new Checkpoint(file, counters, params, updater, extra);
            }
        } catch (ZipException e) {
            throw damaged(file, e);
        }
    }

    /** The configuration of the network, as DL4J's JSON. */
    static String configuration(Path file) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            entry(zip, OPTIMIZER);
            check(zip, ModelSerializer.CONFIGURATION_JSON);
            try (InputStream in = stream(zip, ModelSerializer.CONFIGURATION_JSON)) {
                return new String(in.readAllBytes(), StandardCharsets.UTF_8);
            }
        } catch (ZipException e) {
            throw damaged(file, e);
        }
    }

    /** Puts the library's state back; nothing is changed where it does not fit. */
    void restore(LngdOptimizer lngd) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile());
                InputStream in = stream(zip, OPTIMIZER)) {
            lngd.restoreState(in, counters.extension());
        }
    }

    private static IOException damaged(Path file, ZipException e) {
        return new IOException(file + " is not a zip file, or a damaged one: " + e.getMessage(), e);
    }

    private static INDArray array(ZipFile zip, String name) throws IOException {
        check(zip, name);
        try (DataInputStream in = data(zip, name)) {
            return Nd4j.read(in);
        }
    }

    private static DataInputStream data(ZipFile zip, String name) throws IOException {
        return new DataInputStream(new BufferedInputStream(stream(zip, name), BUFFER));
    }

    private static InputStream stream(ZipFile zip, String name) throws IOException {
        return zip.getInputStream(entry(zip, name));
    }

    private static ZipEntry entry(ZipFile zip, String name) throws IOException {
        ZipEntry entry = zip.getEntry(name);
        if (entry == null) {
            throw new IOException(
                    zip.getName()
                            + " has no entry "
                            + name
                            + ": it was not written by LngdTraining.save");
        }
        return entry;
    }

    /** Reads an entry to its end, for its checksum, which a ZipFile leaves to its user. */
    private static void check(ZipFile zip, String name) throws IOException {
        ZipEntry entry = entry(zip, name);
        CRC32 sum = new CRC32();
        try (InputStream in = new CheckedInputStream(zip.getInputStream(entry), sum)) {
            in.transferTo(OutputStream.nullOutputStream());
        }
        if (sum.getValue() != entry.getCrc()) {
            throw new IOException(
                    zip.getName() + ": entry " + name + " is damaged (its checksum is wrong)");
        }
    }

    /** Refuses a file of another network, before anything is changed. */
    void check(Network net, List<INDArray> mine, long told) {
        if (counters.extension() < 0 || counters.extension() > 0 && counters.told() != told) {
            throw new LngdStateDataException(
                    "the file is of a run that was told "
                            + counters.told()
                            + " steps and extended by "
                            + counters.extension()
                            + "; the options here tell "
                            + told
                            + ", allowed are those of that run");
        }
        same("parameters", params.length(), net.model().numParams());
        INDArray state = net.updater().getStateViewArray();
        same("numbers of updater state", length(updaterState), length(state));
        same("arrays of fallback state", extra.size(), mine.size());
        for (int i = 0; i < mine.size(); i++) {
            same("numbers in fallback state " + i, extra.get(i).length(), mine.get(i).length());
        }
    }

    private static long length(INDArray array) {
        return array == null ? 0 : array.length();
    }

    private static void same(String what, long saved, long here) {
        if (saved != here) {
            throw new LngdStateDataException(
                    "the file has " + saved + " " + what + ", this network " + here);
        }
    }

    void apply(Network net, List<INDArray> mine) {
        net.model().setParams(params);
        if (updaterState != null) {
            net.updater().setStateViewArray(updaterState);
        }
        for (int i = 0; i < mine.size(); i++) {
            mine.get(i).assign(extra.get(i).reshape(mine.get(i).shape()));
        }
        net.setCounts(counters.netIteration(), counters.netEpoch());
    }
}
