// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** The program of docs/spark.md for Deeplearning4j, on rows of a Parquet file. */
@Tag("dl4j")
@ExtendWith(TestCluster.class)
@Timeout(180)
@SuppressWarnings("serial") // the page is for readers
class SparkDl4jPageTest {
    @TempDir Path folder;

    // docs/spark.md: begin
    /** What is trained: a network of Deeplearning4j, and the batch that some rows are. */
    static final class Digits implements Dl4jNetwork<MultiLayerNetwork, Row> {
        @Override
        public MultiLayerNetwork create() {
            var hidden = new DenseLayer.Builder().nIn(784).nOut(32).activation(Activation.RELU);
            var output = new OutputLayer.Builder(LossFunction.MCXENT).nIn(32).nOut(10);
            output.activation(Activation.SOFTMAX);
            return new MultiLayerNetwork(
                    new NeuralNetConfiguration.Builder()
                            .seed(1)
                            .list(hidden.build(), output.build())
                            .build());
        }

        @Override
        public DataSet batch(List<Row> rows) { // on the executors
            INDArray x = Nd4jRows.floats(rows, "pixels", 784).divi(255);
            return new DataSet(x, Nd4jRows.oneHot(rows, "label", 10));
        }
    }

    static MultiLayerNetwork train(Dataset<Row> digits) {
        SparkOptions options = SparkOptions.builder(2, 64, 3).build(); // ranks, batch, epochs
        TrainedNetwork<MultiLayerNetwork> trained = SparkDl4j.train(digits, new Digits(), options);
        System.out.println(trained.report()); // what was done with each layer, and why
        trained.epochs().forEach(System.out::println);
        return trained.model();
    }

    // docs/spark.md: end

    @Test
    void theProgramTrainsOnParquet() {
        Dataset<Row> digits = DigitRows.parquet(folder.resolve("digits"));
        MultiLayerNetwork model = train(digits);
        List<Row> test = digits.limit(200).collectAsList();
        assertThat(test).hasSize(200);
        int[] predicted = model.predict(new Digits().batch(test).getFeatures());
        int right = 0;
        for (int i = 0; i < predicted.length; i++) {
            right += predicted[i] == test.get(i).<Integer>getAs("label") ? 1 : 0;
        }
        assertThat(right).isGreaterThan(150); // 20 by chance
    }

    /** The same rows in another file, read when other executors may have come. */
    @Test
    void twoRunsHaveTheSameBits() {
        MultiLayerNetwork one = train(DigitRows.parquet(folder.resolve("one")));
        MultiLayerNetwork two = train(DigitRows.parquet(folder.resolve("two")));
        assertThat(one.params()).isEqualTo(two.params());
    }

    @Test
    void thePageHasThisProgram() throws IOException {
        DigitRows.checkShown(SparkDl4jPageTest.class);
    }
}
