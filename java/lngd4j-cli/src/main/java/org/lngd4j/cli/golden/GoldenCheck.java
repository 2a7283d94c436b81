// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.lngd4j.Device;

/** Compares the native library with golden files. Thread-safe. */
public final class GoldenCheck {
    /**
     * What is allowed between the formulas in double precision and a file: far above what doubles
     * lose, so that a file written with 8 digits passes, and far below what float32 could see.
     */
    private static final double TWIN = 1e-7;

    private GoldenCheck() {}

    /**
     * Checks a file on the CPU.
     *
     * @param file the file
     * @return one entry for each expected field of the file
     * @throws GoldenFormatException if the file lacks an input that an expected field needs
     * @throws org.lngd4j.nativelib.LngdException if the native library cannot run it
     */
    public static GoldenResult run(GoldenFile file) {
        return run(file, Device.CPU);
    }

    /**
     * Checks a file on a device. What the native library does not compute itself (pre-activations,
     * softmax probabilities, the gradient) is computed here in double precision and handed to it in
     * float32.
     *
     * @param file the file
     * @param device where the kernels run
     * @return one entry for each expected field of the file
     * @throws GoldenFormatException if the file lacks an input that an expected field needs
     * @throws org.lngd4j.nativelib.LngdException if the native library cannot run it
     */
    public static GoldenResult run(GoldenFile file, Device device) {
        GoldenTwin twin = new GoldenTwin(file, Noise.none());
        GoldenTolerance tolerance = new GoldenTolerance(twin);
        Map<String, double[]> library = new GoldenRun(twin, device).values();
        List<GoldenField> fields = new ArrayList<>();
        for (Map.Entry<String, double[]> entry : file.expected().entrySet()) {
            String path = entry.getKey();
            double[] own = twin.values.get(path);
            if (own == null) {
                throw new GoldenFormatException(
                        file.name()
                                + ": expected."
                                + path
                                + " has a value, but the activation "
                                + file.activation()
                                + " has no such quantity",
                        null);
            }
            double allowed = tolerance.of(path);
            fields.add(
                    new GoldenField(
                            path,
                            error(entry.getValue(), library.get(path)),
                            allowed,
                            tolerance.reason(path),
                            error(entry.getValue(), own),
                            TWIN + 1e-6 * allowed));
        }
        return new GoldenResult(file.name(), fields);
    }

    /**
     * Largest difference over the largest expected value; NaN stays NaN, which no tolerance allows.
     */
    static double error(double[] expected, double[] actual) {
        if (actual == null) {
            return Double.NaN;
        }
        double difference = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            difference = Math.max(difference, Math.abs(expected[i] - actual[i]));
            size = Math.max(size, Math.abs(expected[i]));
        }
        return size == 0 ? difference : difference / size;
    }
}
