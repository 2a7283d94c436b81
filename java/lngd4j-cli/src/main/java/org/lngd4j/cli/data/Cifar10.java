// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.lngd4j.cli.CliException;

/**
 * CIFAR-10 in its official binary format: five training files and a test file of 10,000 records,
 * each a label byte (0 to 9) and 3 x 32 x 32 pixels, red plane, green plane, blue plane.
 */
public final class Cifar10 {
    /** What {@code --data} calls it. */
    public static final String NAME = "cifar10";

    static final List<String> TRAINING =
            List.of(
                    "data_batch_1.bin",
                    "data_batch_2.bin",
                    "data_batch_3.bin",
                    "data_batch_4.bin",
                    "data_batch_5.bin");
    static final String TEST = "test_batch.bin";

    private static final ImageShape SHAPE = new ImageShape(3, 32, 32);
    private static final int CLASSES = 10;
    private static final int RECORD = 1 + SHAPE.features();
    private static final int RECORDS = 10_000;

    private Cifar10() {}

    /** Whether a folder looks like CIFAR-10: it has any of the six files. */
    static boolean isIn(Path folder) {
        return Files.exists(folder.resolve(TEST))
                || TRAINING.stream().anyMatch(name -> Files.exists(folder.resolve(name)));
    }

    /** Whether a folder has all six files. */
    static boolean isComplete(Path folder) {
        return Files.isRegularFile(folder.resolve(TEST))
                && TRAINING.stream().allMatch(name -> Files.isRegularFile(folder.resolve(name)));
    }

    /** Reads the six files of a folder. Every defect is one line that names the file. */
    static Dataset read(Path folder) {
        return read(folder, RECORDS);
    }

    static Dataset read(Path folder, int recordsPerFile) {
        LabelledImages training = images(folder, TRAINING, recordsPerFile);
        LabelledImages test = images(folder, List.of(TEST), recordsPerFile);
        return new Dataset(folder.toString(), training, test, CLASSES);
    }

    private static LabelledImages images(Path folder, List<String> names, int perFile) {
        byte[] pixels = new byte[names.size() * perFile * SHAPE.features()];
        byte[] labels = new byte[names.size() * perFile];
        int image = 0;
        for (String name : names) {
            Path file = folder.resolve(name);
            byte[] bytes = wholeFile(file, (long) perFile * RECORD);
            for (int record = 0; record < perFile; record++, image++) {
                byte label = bytes[record * RECORD];
                if (label < 0 || label >= CLASSES) {
                    throw CliException.badInput(
                            file
                                    + ": corrupt: the label of image "
                                    + record
                                    + " is "
                                    + (label & 0xff)
                                    + ", not 0 to 9");
                }
                labels[image] = label;
                System.arraycopy(
                        bytes,
                        record * RECORD + 1,
                        pixels,
                        image * SHAPE.features(),
                        SHAPE.features());
            }
        }
        return new LabelledImages(pixels, labels, SHAPE);
    }

    private static byte[] wholeFile(Path file, long size) {
        try {
            if (!Files.isRegularFile(file)) {
                throw CliException.badInput(file + ": no such file");
            }
            long found = Files.size(file);
            if (found != size) {
                throw CliException.badInput(
                        file
                                + ": "
                                + (found < size ? "truncated: " : "not CIFAR-10: ")
                                + found
                                + " bytes instead of "
                                + size);
            }
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw CliException.badInput(file + ": cannot be read (" + e + ")", e);
        }
    }
}
