// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.lngd4j.LayerSpec;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.IActivation;

/**
 * What was decided for a layer.
 *
 * @param unit the layer in its network
 * @param treatment what is done with it
 * @param spec for LNGD, otherwise null
 * @param form how its arrays lie, for LNGD, otherwise null
 * @param derivative activation that gives phi', where the library does not know it; otherwise null
 * @param detail how, or why not
 */
record LayerChoice(
        Unit unit,
        Treatment treatment,
        LayerSpec spec,
        ArrayForm form,
        IActivation derivative,
        String detail) {

    /** The same where DL4J makes rows of samples and times; left alone where it is not LNGD's. */
    LayerChoice inTime() {
        if (treatment != Treatment.LNGD) {
            return this;
        }
        return new LayerChoice(
                unit, treatment, spec, ArrayForm.TIME_ROWS, derivative, detail + ", in time");
    }

    Layer layer() {
        return unit.layer();
    }

    String name() {
        return unit.name();
    }
}
