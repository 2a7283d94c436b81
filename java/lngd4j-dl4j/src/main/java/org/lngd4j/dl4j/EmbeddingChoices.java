// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.layers.feedforward.embedding.EmbeddingLayer;
import org.deeplearning4j.nn.layers.feedforward.embedding.EmbeddingSequenceLayer;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;

/**
 * The embeddings of DL4J that LNGD trains, and how their arrays lie. Both keep weights as a dense
 * layer does, [nIn, nOut] in 'f' order. An {@code EmbeddingLayer} sees indices [N, 1], an {@code
 * EmbeddingSequenceLayer} [N, T] or [N, 1, T] and gives N x nOut x T, or N x T x nOut for NWC.
 *
 * <p>DL4J refuses indices outside of the vocabulary itself, but cuts fractions off; LNGD keeps a
 * batch with a fraction out of its statistics. A mask of a sequence leaves deltas out, as DL4J
 * does, and positions out of the statistics ({@link CountedRows}).
 */
final class EmbeddingChoices {
    private EmbeddingChoices() {}

    /** By exact class: a subclass may compute something else. */
    static boolean knows(Layer layer) {
        return layer.getClass() == EmbeddingLayer.class
                || layer.getClass() == EmbeddingSequenceLayer.class;
    }

    /** Why an embedding is not trained by LNGD; null if it is. */
    static String problem(LngdOptions options) {
        if (!options.approximation().hasEmbeddings()) {
            return options.approximation() + " has no block for embeddings";
        }
        return null;
    }

    static LayerSpec spec(String name, Layer layer) {
        FeedForwardLayer conf = (FeedForwardLayer) layer.conf().getLayer();
        boolean bias =
                layer instanceof EmbeddingLayer one ? one.hasBias() : sequence(layer).hasBias();
        return LayerSpec.embedding(name, conf.getNIn(), conf.getNOut()).bias(bias);
    }

    static ArrayForm form(Layer layer) {
        if (layer instanceof EmbeddingLayer) {
            return ArrayForm.EMBEDDING;
        }
        boolean last = sequence(layer).getOutputFormat() == RNNFormat.NWC;
        return last ? ArrayForm.SEQUENCE_LAST : ArrayForm.SEQUENCE_FIRST;
    }

    private static org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer sequence(Layer layer) {
        return (org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer) layer.conf().getLayer();
    }
}
