// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** What kind of thing a {@link LayerSpec} is. */
public sealed interface LayerKind permits Convolution, ParameterRule, LayerKind.Plain {
    /** Kinds that need no more than inputs and outputs. */
    enum Plain implements LayerKind {
        /** Fully connected. */
        DENSE("dense"),
        /** Looks up a column of the weights for an index. */
        EMBEDDING("an embedding");

        private final String word;

        Plain(String word) {
            this.word = word;
        }

        @Override
        public String word() {
            return word;
        }
    }

    /**
     * For messages.
     *
     * @return "dense", "a convolution"
     */
    String word();
}
