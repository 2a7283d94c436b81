// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/**
 * What a network reaches on data that it does not learn from.
 *
 * @param loss mean cross-entropy in nats, of an image, or of a token; NaN where the network gives
 *     NaN
 * @param accuracy share of images whose largest output is their class, 0 to 1; NaN where there are
 *     no classes
 * @param bleu of translations, 0 to 100; NaN where there are none
 */
record Measurement(double loss, double accuracy, double bleu) {
    static Measurement ofImages(double loss, double accuracy) {
        return new Measurement(loss, accuracy, Double.NaN);
    }

    static Measurement ofTranslations(double loss, double bleu) {
        return new Measurement(loss, Double.NaN, bleu);
    }
}
