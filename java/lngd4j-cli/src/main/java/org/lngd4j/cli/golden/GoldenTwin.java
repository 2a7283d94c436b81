// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A golden file computed in double precision by the formulas of the method, exactly or with noise
 * at every stage where float32 rounds. The noise levels follow the arithmetic: a sum of k products
 * carries about sqrt(k) rounding units, since rounding errors are of both signs.
 */
final class GoldenTwin {
    final int n;
    final int d;
    final int m;
    final GoldenFile file;
    final Noise noise;
    final double[] a;
    final double[] s;
    final Map<String, double[]> values = new LinkedHashMap<>();

    /** Gradient of each sample's own loss with respect to s; null where the file has no loss. */
    final double[] delta;

    /** Per-sample gradients whose squares are q; null in the mode "expected". */
    final double[] noisy;

    /** Mean gradient; null where the file has no loss. */
    final double[] gradient;

    GoldenTwin(GoldenFile file, Noise noise) {
        this.file = file;
        this.noise = noise;
        n = file.samples();
        d = file.columns();
        m = file.rows();
        a = noise.relative(file.input("a"), 1);
        double[] w = noise.relative(file.input("W"), 1);
        s = noise.relative(Dense.multiply(a, Dense.transpose(w, m, d), n, d, m), 1);
        GoldenModel model = new GoldenModel(file, s, noise);
        values.put("s", s);
        values.put("output", model.output());
        put("phi_prime", model.derivative());
        boolean update = file.expects("first_update") || file.expects("ema_update");
        boolean loss = file.has(file.isSoftmax() ? "labels" : "upstream");
        delta = loss || update || file.expects("g") || file.expects("G") ? model.delta() : null;
        gradient = delta == null ? null : gradient();
        put("g", delta);
        put("G", gradient);
        values.put("c", rowSquares());
        boolean statistics =
                update
                        || file.expects("q")
                        || file.expects("r")
                        || file.expects("trace_F")
                        || file.expects("Phi")
                        || file.expects("psi");
        noisy = statistics && file.sampled() ? model.noisyGradients() : null;
        if (statistics) {
            statistics(model.squares(noisy));
        }
    }

    private void put(String path, double[] value) {
        if (value != null) {
            values.put(path, value);
        }
    }

    private double[] gradient() {
        double[] g = Dense.multiply(Dense.transpose(delta, n, m), a, m, n, d);
        return noise.relative(Dense.combine(1.0 / n, g, 0, g), 1);
    }

    private double[] rowSquares() {
        double[] c = new double[n];
        for (int i = 0; i < a.length; i++) {
            c[i / d] += a[i] * a[i];
        }
        return noise.relative(c, 1 + Math.sqrt(d));
    }

    private void statistics(double[] q) {
        double[] c = values.get("c");
        double[] r = new double[n];
        double[] psi = new double[m];
        for (int i = 0; i < q.length; i++) {
            r[i / m] += q[i];
            psi[i % m] += c[i / m] * q[i];
        }
        r = noise.relative(r, 1 + Math.sqrt(m));
        double sums = 2 + Math.sqrt(n);
        double total = noise.relative(Dense.dot(c, r), sums);
        psi = noise.relative(Dense.combine(1 / total, psi, 0, psi), sums);
        double[] phi =
                Dense.multiply(Dense.transpose(Dense.scaleRows(a, r, n, d), n, d), a, d, n, d);
        phi = noise.symmetric(Dense.combine(1.0 / n, phi, 0, phi), d, sums);
        values.put("q", q);
        values.put("r", r);
        values.put("trace_F", new double[] {total / n});
        values.put("Phi", phi);
        values.put("psi", psi);
        if (file.expects("first_update")) {
            new GoldenUpdate(this, "first_update", phi, psi).compute();
        }
        if (file.expects("ema_update")) {
            double rho = file.hyper("eps");
            double[] phiHat = Dense.combine(rho, file.input("Phi_hat_old"), 1 - rho, phi);
            double[] psiHat = Dense.combine(rho, file.input("psi_hat_old"), 1 - rho, psi);
            new GoldenUpdate(
                            this,
                            "ema_update",
                            noise.symmetric(phiHat, d, 2),
                            noise.relative(psiHat, 2))
                    .compute();
        }
    }
}
