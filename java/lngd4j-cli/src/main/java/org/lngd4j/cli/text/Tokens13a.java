// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.util.Arrays;
import java.util.List;

/**
 * The tokens that BLEU is counted in: those of NIST's script mteval-v13a, sacreBLEU's "13a". ASCII
 * punctuation stands alone, but full stops and commas between digits do not, and hyphens only after
 * digits.
 */
final class Tokens13a {
    private Tokens13a() {}

    static List<String> of(String sentence) {
        String text =
                sentence.replace("<skipped>", "")
                        .replace("-\n", "")
                        .replace('\n', ' ')
                        .replace("&quot;", "\"")
                        .replace("&amp;", "&")
                        .replace("&lt;", "<")
                        .replace("&gt;", ">");
        text =
                (" " + text + " ")
                        .replaceAll("([{-~\\[-` -&(-+:-@/])", " $1 ")
                        .replaceAll("([^0-9])([.,])", "$1 $2 ")
                        .replaceAll("([.,])([^0-9])", " $1 $2")
                        .replaceAll("([0-9])(-)", "$1 $2 ");
        return Arrays.stream(text.strip().split("\\s+")).filter(t -> !t.isEmpty()).toList();
    }
}
