// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.Arrays;

/** One update of a golden file in double precision: from the running averages to new weights. */
final class GoldenUpdate {
    private final GoldenTwin twin;
    private final GoldenFile file;
    private final Noise noise;
    private final String name;
    private final double[] phi;
    private final double[] psi;
    private final int d;
    private final int m;

    GoldenUpdate(GoldenTwin twin, String name, double[] phi, double[] psi) {
        this.twin = twin;
        this.file = twin.file;
        this.noise = twin.noise;
        this.name = name;
        this.phi = phi;
        this.psi = psi;
        this.d = twin.d;
        this.m = twin.m;
    }

    void compute() {
        double lambdaPhi = clip(noise.relative(Dense.trace(phi, d) / d, 1));
        double lambdaPsi = clip(noise.relative(Arrays.stream(psi).sum() / m, 1));
        double[] damped = phi.clone();
        for (int i = 0; i < d; i++) {
            damped[i * d + i] += lambdaPhi;
        }
        // A computed inverse is the inverse of a matrix nearby: sqrt(d) units for the sums of the
        // factorisation.
        double[] phiInverse =
                noise.relative(Dense.inverse(noise.symmetric(damped, d, 2 + Math.sqrt(d)), d), 1);
        double[] psiInverse = new double[m];
        for (int i = 0; i < m; i++) {
            psiInverse[i] = 1 / (psi[i] + lambdaPsi);
        }
        psiInverse = noise.relative(psiInverse, 2);
        put("Phi_hat", phi);
        put("psi_hat", psi);
        put("lam_Phi", lambdaPhi);
        put("lam_Psi", lambdaPsi);
        put("Phi_damped_inverse", phiInverse);
        put("psi_damped_inverse", psiInverse);
        double[] g = twin.gradient;
        double[] scaled = Dense.scaleRows(g, psiInverse, m, d);
        double[] direction = Dense.multiply(scaled, phiInverse, m, d, d);
        double[] sizes = Dense.multiply(Dense.abs(scaled), Dense.abs(phiInverse), m, d, d);
        direction = noise.absolute(direction, sizes, 1);
        put("direction", direction);
        rates(lambdaPhi, lambdaPsi, psiInverse, direction);
    }

    private void rates(
            double lambdaPhi, double lambdaPsi, double[] psiInverse, double[] direction) {
        double[] g = twin.gradient;
        double inner = noise.relative(Dense.dot(direction, g), 2);
        put("inner_d_G", inner);
        double[] projected = Dense.multiply(twin.a, Dense.transpose(direction, m, d), twin.n, d, m);
        double[] sizes =
                Dense.multiply(
                        Dense.abs(twin.a),
                        Dense.abs(Dense.transpose(direction, m, d)),
                        twin.n,
                        d,
                        m);
        projected = noise.absolute(projected, sizes, 1);
        double[] perSample = new double[twin.n];
        for (int i = 0; i < projected.length; i++) {
            perSample[i / m] += twin.delta[i] * projected[i];
        }
        double empirical = Dense.dot(perSample, perSample) / twin.n;
        put("per_sample_gDa", perSample);
        put("quad_empirical", empirical);
        double kron = kronecker(inner, lambdaPhi, lambdaPsi, psiInverse, direction);
        put("quad_kron", kron);
        update("empirical", direction, inner, empirical);
        update("kron", direction, inner, kron);
        update("cheap", direction, inner, inner);
    }

    /**
     * tr(Psi D Phi D^T). The library takes it from an identity whose terms can cancel: their
     * rounding is the noise.
     */
    private double kronecker(
            double inner,
            double lambdaPhi,
            double lambdaPsi,
            double[] psiInverse,
            double[] direction) {
        double kron =
                Dense.dot(
                        Dense.scaleRows(direction, psi, m, d),
                        Dense.multiply(direction, phi, m, d, d));
        double[] dampedPsi = Arrays.stream(psi).map(x -> x + lambdaPsi).toArray();
        double terms =
                Math.abs(inner)
                        + lambdaPhi
                                * Dense.dot(Dense.scaleRows(direction, dampedPsi, m, d), direction)
                        + lambdaPsi
                                * Math.abs(
                                        Dense.dot(
                                                direction,
                                                Dense.scaleRows(twin.gradient, psiInverse, m, d)))
                        + lambdaPhi * lambdaPsi * Dense.dot(direction, direction);
        return noise.absolute(new double[] {kron}, new double[] {terms}, 2)[0];
    }

    private void update(String rate, double[] direction, double inner, double c) {
        String path = "update." + rate + ".";
        double alphaL = inner / (c + file.hyper("mu"));
        double alpha = file.hyper("alpha");
        double[] zeta = noise.relative(Dense.combine(-alpha * alphaL, direction, 0, direction), 2);
        put(path + "alpha_l", alphaL);
        put(path + "zeta", zeta);
        boolean wanted =
                file.expects(name + "." + path + "momentum_new")
                        || file.expects(name + "." + path + "W_new");
        if (!file.has("momentum") && !wanted) {
            return;
        }
        double[] w = file.input("W");
        double[] momentum =
                noise.relative(
                        Dense.combine(file.hyper("beta"), file.input("momentum"), 1, zeta), 2);
        put(path + "momentum_new", momentum);
        put(path + "W_new_no_wd", noise.absolute(Dense.combine(1, w, 1, momentum), w, 2));
        double shrink = 1 - alpha * file.hyper("weight_decay");
        put(
                path + "W_new_decoupled_wd",
                noise.absolute(Dense.combine(shrink, w, 1, momentum), w, 2));
    }

    private double clip(double x) {
        return Math.min(Math.max(x, file.hyper("nu1")), file.hyper("nu2"));
    }

    private void put(String path, double... value) {
        twin.values.put(name + "." + path, value);
    }
}
