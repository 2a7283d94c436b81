// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.cli.pytorch.RankedImages;
import org.lngd4j.cli.pytorch.TorchModel;
import org.lngd4j.spark.TorchNetwork;

/** The command's network as {@code SparkLngd} wants it. */
record ImageNetwork(RankedImages images) implements TorchNetwork<TorchModel, ImageSample> {
    @Override
    public TorchModel create() {
        return images.create();
    }

    @Override
    public Tensor loss(TorchModel model, List<ImageSample> samples) {
        return images.loss(model, ImageSample.set(samples, images.image()));
    }

    @Override
    public LngdOptions options(TorchModel model, long totalSteps, int batch) {
        return images.options(model, totalSteps, batch);
    }

    @Override
    public ParameterRule others() {
        return images.others();
    }
}
