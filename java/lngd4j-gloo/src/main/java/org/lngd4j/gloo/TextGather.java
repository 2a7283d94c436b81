// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.List;

/**
 * An all-gather of texts that the ranks have already, such as that of a barrier stage of Spark. All
 * ranks call it the same number of times.
 */
@FunctionalInterface
public interface TextGather {
    /**
     * Gives all ranks the texts of all.
     *
     * @param text of this rank: letters, digits, punctuation and line feeds of ASCII
     * @return those of all ranks, by rank
     */
    List<String> gather(String text);
}
