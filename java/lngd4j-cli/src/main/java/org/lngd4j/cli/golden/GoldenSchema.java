// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The fields of a golden file and their shapes, in letters: N samples, d columns, m rows; "" is a
 * number.
 */
final class GoldenSchema {
    static final List<String> HYPER =
            List.of("eps", "nu1", "nu2", "mu", "alpha", "beta", "weight_decay");
    static final List<String> UPDATES = List.of("first_update", "ema_update");
    static final List<String> RATES = List.of("empirical", "kron", "cheap");
    static final Map<String, String> INPUTS = new LinkedHashMap<>();
    static final Map<String, String> EXPECTED = new LinkedHashMap<>();

    static {
        put(INPUTS, "Nd", "a");
        put(INPUTS, "md", "W", "momentum");
        put(INPUTS, "Nm", "upstream", "noise");
        put(INPUTS, "N", "labels", "sampled_labels");
        put(INPUTS, "dd", "Phi_hat_old");
        put(INPUTS, "m", "psi_hat_old");
        put(EXPECTED, "Nm", "s", "output", "phi_prime", "g", "q");
        put(EXPECTED, "N", "r", "c");
        put(EXPECTED, "", "trace_F");
        put(EXPECTED, "dd", "Phi");
        put(EXPECTED, "m", "psi");
        put(EXPECTED, "md", "G");
        for (String update : UPDATES) {
            put(EXPECTED, "dd", update + ".Phi_hat");
            put(EXPECTED, "m", update + ".psi_hat");
            put(EXPECTED, "", update + ".lam_Phi", update + ".lam_Psi");
            put(EXPECTED, "dd", update + ".Phi_damped_inverse");
            put(EXPECTED, "m", update + ".psi_damped_inverse");
            put(EXPECTED, "md", update + ".direction");
            put(EXPECTED, "", update + ".inner_d_G");
            put(EXPECTED, "N", update + ".per_sample_gDa");
            put(EXPECTED, "", update + ".quad_empirical", update + ".quad_kron");
            for (String rate : RATES) {
                String path = update + ".update." + rate + ".";
                put(EXPECTED, "", path + "alpha_l");
                put(EXPECTED, "md", path + "zeta", path + "momentum_new");
                put(EXPECTED, "md", path + "W_new_no_wd", path + "W_new_decoupled_wd");
            }
        }
    }

    private GoldenSchema() {}

    private static void put(Map<String, String> map, String shape, String... names) {
        for (String name : names) {
            map.put(name, shape);
        }
    }

    /** Whether some known field lies below a path. */
    static boolean isGroup(Map<String, String> fields, String path) {
        return path.isEmpty() || fields.keySet().stream().anyMatch(k -> k.startsWith(path + "."));
    }
}
