// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.OutputModel;
import org.lngd4j.pytorch.LngdLinear;

/** The program of docs/spark.md, on rows of a Parquet file. */
@ExtendWith(TestCluster.class)
@SuppressWarnings("serial") // the page is for readers
class SparkPageTest {
    @TempDir Path folder;

    static final class Mlp extends Module {
        private final LngdLinear hidden =
                register_module("hidden", new LngdLinear(DigitRows.PIXELS, 32));
        private final LngdLinear output =
                register_module("output", new LngdLinear(32, 10).output(OutputModel.SOFTMAX));

        Tensor forward(Tensor x) {
            return output.forward(torch.relu(hidden.forward(x)));
        }
    }

    // docs/spark.md: begin
    /** What is trained: a module, and the mean loss of some rows. */
    static final class Digits implements TorchNetwork<Mlp, Row> {
        @Override
        public Mlp create() {
            return new Mlp(); // a Module of LngdLinear, LngdConv2d, ...
        }

        @Override
        public Tensor loss(Mlp model, List<Row> rows) { // on the executors
            Tensor x = Rows.floats(rows, "pixels", 784).div(new Scalar(255));
            return torch.cross_entropy_loss(model.forward(x), Rows.labels(rows, "label"));
        }
    }

    static Mlp train(Dataset<Row> digits) {
        SparkOptions options = SparkOptions.builder(2, 64, 3).build(); // ranks, batch, epochs
        TrainedNetwork<Mlp> trained = SparkLngd.train(digits, new Digits(), options);
        System.out.println(trained.report()); // what was done with each parameter, and why
        trained.epochs().forEach(System.out::println);
        return trained.model();
    }

    // docs/spark.md: end

    @Test
    void theProgramTrainsOnParquet() {
        Dataset<Row> digits = DigitRows.parquet(folder.resolve("digits"));
        Mlp model = train(digits);
        List<Row> test = digits.limit(200).collectAsList();
        Tensor x = Rows.floats(test, "pixels", DigitRows.PIXELS).div(new Scalar(255));
        assertThat(test).hasSize(200);
        assertThat(
                        model.forward(x)
                                .argmax(new LongOptional(1), false)
                                .eq(Rows.labels(test, "label"))
                                .sum()
                                .item_long())
                .isGreaterThan(150); // 20 by chance
    }

    /** The same rows in another file, read when other executors may have come. */
    @Test
    void twoRunsHaveTheSameBits() {
        Mlp one = train(DigitRows.parquet(folder.resolve("one")));
        Mlp two = train(DigitRows.parquet(folder.resolve("two")));
        for (long i = 0; i < one.parameters().size(); i++) {
            assertThat(torch.equal(one.parameters().get(i), two.parameters().get(i)))
                    .as("parameter %d", i)
                    .isTrue();
        }
    }

    @Test
    void thePageHasThisProgram() throws IOException {
        DigitRows.checkShown(SparkPageTest.class);
    }
}
