// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.cli.CliException;

/**
 * A training set and a test set of images of one size.
 *
 * @param folder where they were read from
 * @param training what the network learns from
 * @param test what it is measured on
 * @param classes the number of classes: one more than the largest label of the training set, at
 *     least 2
 */
public record Dataset(Path folder, LabelledImages training, LabelledImages test, int classes) {
    /** The four files that make up a data set, without {@code .gz}. */
    static final List<String> FILES =
            List.of(
                    "train-images-idx3-ubyte",
                    "train-labels-idx1-ubyte",
                    "t10k-images-idx3-ubyte",
                    "t10k-labels-idx1-ubyte");

    /** Checks that the two sets fit together. */
    public Dataset {
        if (training.features() != test.features()
                || !training.imageShape().equals(test.imageShape())) {
            throw CliException.badInput(
                    folder
                            + ": training images are "
                            + training.imageShape()
                            + " but test images are "
                            + test.imageShape());
        }
        if (classes < 2) {
            throw CliException.badInput(
                    folder + ": every training label is 0, at least two classes are needed");
        }
        if (test.classes() > classes) {
            throw CliException.badInput(
                    folder
                            + ": a test label is "
                            + (test.classes() - 1)
                            + ", but the training labels end at "
                            + (classes - 1));
        }
    }

    /** Reads the four IDX files of a folder, each plain or gzipped. */
    public static Dataset read(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw CliException.badInput(folder + ": no such folder");
        }
        List<String> absent = absentFiles(folder);
        if (!absent.isEmpty()) {
            throw CliException.badInput(
                    folder
                            + ": missing "
                            + String.join(", ", absent)
                            + " (plain or .gz, in IDX format)");
        }
        LabelledImages training =
                LabelledImages.read(find(folder, FILES.get(0)), find(folder, FILES.get(1)));
        LabelledImages test =
                LabelledImages.read(find(folder, FILES.get(2)), find(folder, FILES.get(3)));
        return new Dataset(folder, training, test, training.classes());
    }

    /** Names of the files that the folder lacks; empty where it is complete. */
    static List<String> absentFiles(Path folder) {
        List<String> absent = new ArrayList<>();
        for (String name : FILES) {
            if (!Files.isRegularFile(find(folder, name))) {
                absent.add(name);
            }
        }
        return absent;
    }

    private static Path find(Path folder, String name) {
        Path plain = folder.resolve(name);
        return Files.isRegularFile(plain) ? plain : folder.resolve(name + ".gz");
    }
}
