// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * results.json: as bench/native/report.cpp writes it, with times that make ratios easy to compute
 * by hand. Ours over theirs on one and on two threads:
 *
 * <pre>
 * layer_statistics  sweep d576   full     8000 / 10000 = 0.8     4000 / 8000 = 0.5
 * layer_statistics  sweep d1152  full    30000 / 24000 = 1.25   20000 / 16000 = 1.25
 * layer_statistics  mlp output   default    20 / 40 = 0.5          16 / 20 = 0.8
 * conv_statistics   lenet conv0  default  2000                   1000
 * factor_inverse    mlp          default   400 / 1600 = 0.25      250, the peer failed
 * precondition      mlp          default   700 / 560 = 1.25      ours failed
 * apply_update      mlp          default    50, wrong
 * swap_averages     mlp          default   346.5, wrong: residual null
 * </pre>
 */
final class Sample {
    private Sample() {}

    /** The text of results.json. */
    static String json() {
        try (InputStream in = Sample.class.getResourceAsStream("results.json")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The text with the first {@code old} replaced, which has to be there. */
    static String json(String old, String by) {
        String json = json();
        int at = json.indexOf(old);
        if (at < 0) {
            throw new IllegalArgumentException(old + " is not in results.json");
        }
        return json.substring(0, at) + by + json.substring(at + old.length());
    }
}
