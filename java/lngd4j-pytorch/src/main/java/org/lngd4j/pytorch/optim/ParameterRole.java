// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

/** What a parameter is in its model: what an optimizer of matrices goes by. */
public enum ParameterRole {
    /** The weights of a hidden layer, as one matrix: outputs by everything else. */
    HIDDEN(""),
    /** The weight matrix of an output layer. */
    OUTPUT("an output layer"),
    /** The table of an embedding. */
    EMBEDDING("an embedding"),
    /** The weight matrix of a convolution that is the model's first layer. */
    FIRST_CONVOLUTION("the first convolution"),
    /** A weight matrix that {@link Muon} shall leave to AdamW. */
    NAMED("named for AdamW"),
    /**
     * Weights that are not one matrix, or not known to be: recurrent layers, transposed and grouped
     * convolutions, modules of the user's own.
     */
    OTHER_WEIGHT("no weight matrix known"),
    /** A bias, or a gain or shift of a normalisation: it meets no weight decay. */
    VECTOR("");

    private final String words;

    ParameterRole(String words) {
        this.words = words;
    }

    boolean isMatrix() {
        return this != OTHER_WEIGHT && this != VECTOR;
    }

    /** Why it is not a matrix of a hidden layer; empty where nothing has to be said. */
    String words() {
        return words;
    }
}
