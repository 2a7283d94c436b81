// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.Arrays;
import org.lngd4j.cli.CliException;

/**
 * A Transformer from sentences to sentences (A. Vaswani et al., "Attention is all you need", 2017):
 * encoder and decoder, with layer norm before each sublayer instead of behind it, and no weights
 * shared between embeddings and output.
 *
 * @param layers of the encoder, and as many of the decoder
 * @param width d of every position
 * @param heads of each attention
 * @param feedForward hidden width between attention layers
 * @param vocabulary tokens, the same for both languages
 */
public record TransformerSpec(int layers, int width, int heads, int feedForward, int vocabulary)
        implements ModelSpec {
    private static final String NAME = "transformer";
    private static final String DEFAULT = "4-128-4-256";
    private static final int LARGEST = 1 << 16;

    /** Whether {@code --model} names one. */
    public static boolean isName(String text) {
        return text != null && (text.equals(NAME) || text.startsWith(NAME + ":"));
    }

    /** Checks the text of {@code --model}. */
    static void validate(String text) {
        parse(text, 1);
    }

    /**
     * Reads the text of {@code --model}: {@code transformer}, or {@code transformer:L-D-H-F} with
     * layers, width, heads, and the width between.
     *
     * @param vocabulary tokens
     */
    public static TransformerSpec parse(String text, int vocabulary) {
        String numbers = text.equals(NAME) ? DEFAULT : text.substring(text.indexOf(':') + 1);
        if (!isName(text) || !numbers.matches("[0-9]{1,5}(-[0-9]{1,5}){3}")) {
            throw CliException.badInput(
                    "--model "
                            + text
                            + ": expected transformer or transformer:LAYERS-WIDTH-HEADS-FF, for"
                            + " example transformer:"
                            + DEFAULT);
        }
        int[] n = Arrays.stream(numbers.split("-")).mapToInt(Integer::parseInt).toArray();
        if (Arrays.stream(n).anyMatch(x -> x < 1 || x > LARGEST)
                || n[1] % n[2] != 0
                || n[1] % 2 != 0) {
            throw CliException.badInput(
                    "--model "
                            + text
                            + ": numbers must be 1 to "
                            + LARGEST
                            + ", and the width a multiple of the heads and of 2");
        }
        return new TransformerSpec(n[0], n[1], n[2], n[3], vocabulary);
    }

    @Override
    public long parameters() {
        long d = width;
        long attention = 4 * (d * d + d);
        long between = d * feedForward + feedForward + feedForward * d + d;
        long norm = 2 * d;
        long encoder = attention + between + 2 * norm;
        long decoder = 2 * attention + between + 3 * norm;
        return layers * (encoder + decoder) + 2 * norm + 2 * vocabulary * d + vocabulary * (d + 1);
    }

    @Override
    public String toString() {
        return NAME
                + ":"
                + layers
                + "-"
                + width
                + "-"
                + heads
                + "-"
                + feedForward
                + " of "
                + vocabulary
                + " subwords";
    }
}
