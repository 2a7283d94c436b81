// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Map;

/** Reads back what {@link TrainSettings#toMap} wrote into a checkpoint. */
final class SettingsMap {
    private final Map<?, ?> map;

    private SettingsMap(Map<?, ?> map) {
        this.map = map;
    }

    /**
     * @param options the parsed JSON object
     * @throws IllegalArgumentException where a value has the wrong type
     */
    static TrainSettings read(Object options) {
        if (!(options instanceof Map<?, ?> values)) {
            throw new IllegalArgumentException("options: not an object");
        }
        SettingsMap map = new SettingsMap(values);
        return new TrainSettings(
                map.get("data", String.class),
                map.get("model", String.class),
                map.get("engine", String.class),
                OptimizerKind.parse("--optimizer", map.get("optimizer", String.class)),
                map.get("preset", String.class),
                map.get("epochs", Number.class).intValue(),
                map.get("batch", Number.class).intValue(),
                map.get("seed", Number.class).longValue(),
                map.get("device", String.class),
                map.get("threads", Number.class).intValue(),
                map.get("eval-every", Number.class).doubleValue(),
                map.get("averaged-weights", Boolean.class),
                map.real("learning-rate"),
                map.real("momentum"),
                map.real("damping"),
                map.real("trust-ratio"),
                map.real("weight-decay"),
                map.whole("statistics-interval"),
                map.whole("statistics-samples"),
                map.whole("inverse-interval"),
                map.get("fisher", String.class),
                map.get("layer-rate", String.class),
                map.get("direction-precision", String.class),
                map.whole("train-samples"),
                map.whole("validation"),
                map.get("augment", Boolean.class),
                map.real("warmup"),
                map.lngd(),
                new TextSettings(
                        map.whole("vocabulary"), map.real("dropout"), map.real("label-smoothing")));
    }

    private LngdSettings lngd() {
        return new LngdSettings(
                whole("second-block-size"),
                get("damping-scope", String.class),
                real("second-damping"),
                get("soft-trust", Boolean.class),
                get("output-bound", Boolean.class),
                real("output-decay"),
                get("decay-mode", String.class),
                get("orthogonalise", Boolean.class),
                real("gradient-clipping"));
    }

    private <T> T get(String name, Class<T> type) {
        Object value = map.get(name);
        if (value != null && !type.isInstance(value)) {
            throw new IllegalArgumentException("options: " + name + " is " + value);
        }
        return type.cast(value);
    }

    private Double real(String name) {
        Number value = get(name, Number.class);
        return value == null ? null : value.doubleValue();
    }

    private Integer whole(String name) {
        Number value = get(name, Number.class);
        return value == null ? null : value.intValue();
    }
}
