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
 * @param source where they come from, for messages
 * @param training what the network learns from
 * @param test what it is measured on
 * @param classes the number of classes: one more than the largest label of the training set, at
 *     least 2; or {@link #NO_CLASSES}
 */
public record Dataset(String source, LabelledImages training, LabelledImages test, int classes) {
    /** The number of classes of images without labels: they can only be reconstructed. */
    public static final int NO_CLASSES = 0;

    /** The four files that make up a data set, without {@code .gz}. */
    static final List<String> FILES =
            List.of(
                    "train-images-idx3-ubyte",
                    "train-labels-idx1-ubyte",
                    "t10k-images-idx3-ubyte",
                    "t10k-labels-idx1-ubyte");

    /** Checks that the two sets fit together. */
    public Dataset {
        if (!training.shape().equals(test.shape())) {
            throw CliException.badInput(
                    source
                            + ": training images are "
                            + training.shape()
                            + " but test images are "
                            + test.shape());
        }
        if (classes != NO_CLASSES && classes < 2) {
            throw CliException.badInput(
                    source + ": every training label is 0, at least two classes are needed");
        }
        if (classes != NO_CLASSES && test.classes() > classes) {
            throw CliException.badInput(
                    source
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
        return new Dataset(folder.toString(), training, test, training.classes());
    }

    /**
     * The same with the first {@code count} training images only, for shorter runs.
     *
     * @param option the option that asked for it, for the message where there are fewer
     */
    public Dataset withTraining(String option, int count) {
        if (count > training.count()) {
            throw CliException.badInput(
                    option
                            + " "
                            + count
                            + ": there are only "
                            + training.count()
                            + " training images");
        }
        return new Dataset(source, training.slice(0, count), test, classes);
    }

    /**
     * Holds the last {@code count} training images out and measures on them instead of the test
     * set: what settings are chosen by must not be what they are then judged by.
     *
     * @param option as in {@link #withTraining}
     */
    public Dataset withValidation(String option, int count) {
        int kept = training.count() - count;
        if (kept < 1) {
            throw CliException.badInput(
                    option
                            + " "
                            + count
                            + ": there are only "
                            + training.count()
                            + " training images, and some must be left to train on");
        }
        return new Dataset(
                source, training.slice(0, kept), training.slice(kept, training.count()), classes);
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
