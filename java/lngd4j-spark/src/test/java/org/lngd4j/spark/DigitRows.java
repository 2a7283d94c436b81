// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** The rows that the programs of docs/spark.md are trained on, and whether the page shows them. */
final class DigitRows {
    static final int PIXELS = 784;
    private static final int COUNT = 600;

    private DigitRows() {}

    /** Images with a bright column where the class says so, of a Parquet file. */
    static Dataset<Row> parquet(Path folder) {
        StructType type =
                new StructType()
                        .add("pixels", DataTypes.BinaryType)
                        .add("label", DataTypes.IntegerType);
        SparkSession spark =
                SparkSession.builder().sparkContext(TestCluster.get().sc()).getOrCreate();
        String file = folder.toUri().toString();
        // One file: Spark cuts rows of the driver by the executors that have registered.
        spark.createDataFrame(TestCluster.get().parallelize(images(), 1), type)
                .write()
                .parquet(file);
        return spark.read().parquet(file);
    }

    private static List<Row> images() {
        Random random = new Random(1);
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            int label = random.nextInt(10);
            byte[] pixels = new byte[PIXELS];
            random.nextBytes(pixels);
            for (int y = 0; y < 28; y++) {
                pixels[28 * y + 2 * label] = (byte) 255;
            }
            rows.add(RowFactory.create(pixels, label));
        }
        return rows;
    }

    /** What stands between the marks of a test is on the page. */
    static void checkShown(Class<?> test) throws IOException {
        Path root = Path.of("").toAbsolutePath().getParent().getParent();
        String page = Files.readString(root.resolve("docs/spark.md"));
        String file = "src/test/java/org/lngd4j/spark/" + test.getSimpleName() + ".java";
        String source = Files.readString(Path.of(file));
        String begin = "    // docs/spark.md: begin\n";
        int at = source.indexOf(begin) + begin.length();
        String program =
                source.substring(at, source.indexOf("    // docs/spark.md: end", at))
                        .replaceAll("(?m)^    ", "")
                        .strip();
        assertThat(page).contains("```java\n" + program + "\n```");
    }
}
