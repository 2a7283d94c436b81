// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.function.Consumer;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.Batch;
import org.lngd4j.cli.data.BatchFiller;
import org.lngd4j.cli.data.BatchPipeline;
import org.lngd4j.cli.data.DataCatalog;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.ImageInput;
import org.lngd4j.cli.data.Intensities;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ImageNetwork;
import org.lngd4j.cli.model.ModelCatalog;

/** Images: their classes, or themselves. */
final class ImageTask implements Task {
    private final Dataset dataset;
    private final ImageModelSpec spec;
    private final ImageNetwork net;
    private final ImageInput input;
    private final BatchFiller filler;
    private final int batchSize;
    private final Evaluation evaluation;
    private BatchPipeline batches;
    private Batch batch;

    private ImageTask(TrainSettings settings, Dataset data, ImageModelSpec spec, ImageNetwork net) {
        this.dataset = data;
        this.spec = spec;
        this.net = net;
        batchSize = settings.batch();
        boolean convolutional = ModelCatalog.isConvolutional(settings.model());
        input =
                new ImageInput(
                        Intensities.of(data.training()),
                        settings.augment() != null
                                ? settings.augment()
                                : data.training().shape().channels() > 1 && convolutional);
        filler =
                new BatchFiller(
                        data.training(),
                        input,
                        spec.reconstructs() ? Dataset.NO_CLASSES : data.classes(),
                        settings.batch(),
                        settings.seed());
        evaluation = new Evaluation(data, spec.reconstructs(), convolutional);
    }

    /** Reads the data and makes the network. */
    static ImageTask open(TrainSettings settings, Engine engine, Consumer<String> notice) {
        Dataset data = DataCatalog.read(settings.data(), notice);
        if (settings.trainSamples() != null) {
            data = data.withTraining("--train-samples", settings.trainSamples());
        }
        if (settings.validation() != null) {
            data = data.withValidation("--validation", settings.validation());
        }
        ImageModelSpec spec = ModelCatalog.parse(settings.model(), data);
        int samples = data.training().count();
        if (settings.batch() > samples) {
            throw CliException.badInput(
                    "--batch "
                            + settings.batch()
                            + ": there are only "
                            + samples
                            + " training images");
        }
        long totalSteps = (long) settings.epochs() * BatchFiller.count(samples, settings.batch());
        return new ImageTask(settings, data, spec, engine.network(settings, spec, totalSteps));
    }

    @Override
    public ImageModelSpec spec() {
        return spec;
    }

    @Override
    public ImageNetwork network() {
        return net;
    }

    @Override
    public String data() {
        return dataset.training() + " from " + dataset.source();
    }

    /** The images themselves. */
    Dataset dataset() {
        return dataset;
    }

    /** What the network sees of them. */
    ImageInput input() {
        return input;
    }

    @Override
    public int stepsPerEpoch() {
        return filler.count();
    }

    @Override
    public int rowsPerStep() {
        return batchSize;
    }

    @Override
    public void start(long step) {
        batches = new BatchPipeline(filler, step);
    }

    @Override
    public void load() {
        batch = batches.next();
    }

    @Override
    public void fit() {
        net.fit(batch.features(), batch.targets());
    }

    @Override
    public Measurement measure() {
        return evaluation.measure(net);
    }

    @Override
    public void close() {
        if (batches != null) {
            batches.close();
        }
    }
}
