// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What is done with every layer of a network. Nothing is left out: a layer that LNGD does not train
 * is listed with the reason. {@link #toString()} is a table for people.
 *
 * @param layers one entry a layer, in the order of the network
 * @param notes what else is worth knowing, for example about regularisation; may be empty
 */
public record RegistrationReport(List<LayerRegistration> layers, List<String> notes) {
    private static final String[] TITLES = {
        "#", "layer", "type", "parameters", "trained by", "how, or why not LNGD"
    };

    /**
     * Copies the lists.
     *
     * @param layers one entry a layer
     * @param notes what else is worth knowing
     */
    public RegistrationReport {
        layers = List.copyOf(layers);
        notes = List.copyOf(notes);
    }

    /**
     * The layers with a treatment.
     *
     * @param treatment the treatment
     * @return the entries, in the order of the network; may be empty
     */
    public List<LayerRegistration> with(Treatment treatment) {
        return layers.stream().filter(l -> l.treatment() == treatment).toList();
    }

    /**
     * Parameters with a treatment.
     *
     * @param treatment the treatment
     * @return how many parameters the layers of {@link #with} have together
     */
    public long parameters(Treatment treatment) {
        return with(treatment).stream().mapToLong(LayerRegistration::parameters).sum();
    }

    @Override
    public String toString() {
        List<String[]> rows = new ArrayList<>();
        rows.add(TITLES);
        for (LayerRegistration l : layers) {
            rows.add(
                    new String[] {
                        Integer.toString(l.index()),
                        l.name(),
                        l.type(),
                        String.format(Locale.ROOT, "%,d", l.parameters()),
                        word(l.treatment()),
                        l.detail()
                    });
        }
        int[] width = new int[TITLES.length - 1];
        for (String[] row : rows) {
            for (int i = 0; i < width.length; i++) {
                width[i] = Math.max(width[i], row[i].length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            for (int i = 0; i < width.length; i++) {
                boolean number = i == 0 || i == 3;
                text.append(
                        String.format(
                                Locale.ROOT, (number ? "%" : "%-") + width[i] + "s  ", row[i]));
            }
            text.append(row[width.length]).append('\n');
        }
        text.append(
                String.format(
                        Locale.ROOT,
                        "LNGD trains %,d parameters, first-order updaters %,d; %,d are frozen.",
                        parameters(Treatment.LNGD),
                        parameters(Treatment.FIRST_ORDER),
                        parameters(Treatment.FROZEN)));
        for (String note : notes) {
            text.append("\nNote: ").append(note);
        }
        return text.toString();
    }

    private static String word(Treatment treatment) {
        return switch (treatment) {
            case LNGD -> "LNGD";
            case FIRST_ORDER -> "first order";
            case FROZEN -> "(frozen)";
            case NO_PARAMETERS -> "-";
        };
    }
}
