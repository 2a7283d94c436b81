// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * How far an approximation is from a block.
 *
 * @param target what is approximated: {@code model} or {@code layer-wise}
 * @param by the approximation
 * @param scale what it was multiplied by: 1, or the least-squares scale {@code <F, F~> / ||F~||^2}
 * @param frobenius {@code ||F - scale F~|| / ||F||}
 * @param diagonal the same of the diagonals
 */
record FisherError(String target, String by, double scale, double frobenius, double diagonal) {
    static FisherError of(String target, double[][] f, String by, double[][] of, double scale) {
        double difference = Matrices.norm(Matrices.distance(f, Matrices.scaled(of, scale)));
        double apart = 0;
        double length = 0;
        for (int i = 0; i < f.length; i++) {
            apart += Math.pow(f[i][i] - scale * of[i][i], 2);
            length += f[i][i] * f[i][i];
        }
        return new FisherError(
                target, by, scale, difference / Matrices.norm(f), Math.sqrt(apart / length));
    }

    static double bestScale(double[][] f, double[][] of) {
        return Matrices.dot(f, of) / Matrices.dot(of, of);
    }

    Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("target", target);
        map.put("by", by);
        map.put("scale", scale);
        map.put("frobenius", frobenius);
        map.put("diagonal", diagonal);
        return map;
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "%-12s%-34s%10.4g%12.3f%12.3f",
                target,
                by,
                scale,
                frobenius,
                diagonal);
    }
}
