// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.lngd4j.cli.CliException;

/** Widths of dense layers as the user writes them: {@code 256-128}. */
final class Widths {
    private static final int WIDEST = 65_536;
    private static final int MOST_LAYERS = 64;
    private static final long MOST_PARAMETERS = 200_000_000L;

    private Widths() {}

    /**
     * @param model the whole value of {@code --model}, for messages
     * @param list the widths in it
     */
    static List<Integer> parse(String model, String list) {
        List<Integer> widths = Arrays.stream(list.split("-")).map(Integer::valueOf).toList();
        for (int width : widths) {
            if (width < 1 || width > WIDEST) {
                throw CliException.badInput(
                        "--model " + model + ": width " + width + " is not in 1 to " + WIDEST);
            }
        }
        if (widths.size() > MOST_LAYERS) {
            throw CliException.badInput(
                    "--model "
                            + model
                            + ": "
                            + widths.size()
                            + " widths, at most "
                            + MOST_LAYERS
                            + " are allowed");
        }
        return widths;
    }

    /** The weights and biases of dense layers with these widths, from the input to the output. */
    static long parameters(List<Integer> widths) {
        long sum = 0;
        for (int i = 1; i < widths.size(); i++) {
            sum += (widths.get(i - 1) + 1L) * widths.get(i);
        }
        return sum;
    }

    static void checkSize(String model, long parameters) {
        if (parameters > MOST_PARAMETERS) {
            throw CliException.badInput(
                    "--model "
                            + model
                            + ": "
                            + parameters
                            + " parameters, at most "
                            + MOST_PARAMETERS
                            + " are allowed");
        }
    }

    static String join(List<Integer> widths) {
        return widths.stream().map(String::valueOf).collect(Collectors.joining("-"));
    }
}
