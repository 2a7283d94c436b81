// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.lngd4j.LayerSamples;
import org.lngd4j.StepPlan;
import org.lngd4j.nativelib.LngdStateException;

/** The captures of all layers of an attachment, in the order of the optimizer's layers. */
final class Captures {
    private final List<LayerCapture> list = new ArrayList<>();
    private final List<LayerSamples> samples = new ArrayList<>();

    void add(LayerCapture capture) {
        list.add(capture);
        samples.add(null);
    }

    List<LayerCapture> list() {
        return list;
    }

    /** Asks for each layer what the coming step wants to see. */
    void prepare() {
        for (int i = 0; i < list.size(); i++) {
            list.get(i).prepare();
        }
    }

    /** What all of them had seen was discarded. */
    void forget() {
        list.forEach(LayerCapture::forget);
    }

    /** Whether the coming step takes statistics of any layer. */
    boolean wantStatistics() {
        for (int i = 0; i < list.size(); i++) {
            if (list.get(i).wantsStatistics()) {
                return true;
            }
        }
        return false;
    }

    /** One step, with the per-sample deltas where they are due. Allocates nothing. */
    void step(StepPlan plan, double factor) {
        boolean wanted = false;
        for (int i = 0; i < list.size(); i++) {
            LayerCapture capture = list.get(i);
            samples.set(i, capture.samples());
            if (capture.wantsDeltas()) {
                wanted = true;
                if (capture.samples() == null) {
                    throw new LngdStateException(
                            "layer "
                                    + capture.name
                                    + " had no backward pass before this update, so its per-sample"
                                    + " deltas are not known");
                }
            }
        }
        if (wanted) {
            plan.step(factor, samples);
        } else {
            plan.step(factor);
        }
    }
}
