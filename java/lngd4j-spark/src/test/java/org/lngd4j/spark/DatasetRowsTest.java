// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Which rows lie in which partition does not depend on how many executors there are. */
@ExtendWith(TestCluster.class)
class DatasetRowsTest {
    private static final StructType TYPE = new StructType().add("id", DataTypes.IntegerType);
    // More than the cluster has cores, of which Spark would make the partitions.
    private static final int PARTITIONS = 7;

    @TempDir Path folder;
    private SparkSession spark;

    @BeforeEach
    void session() {
        spark = SparkSession.builder().sparkContext(TestCluster.get().sc()).getOrCreate();
    }

    @AfterEach
    void asItWas() {
        spark.conf().unset(DatasetRows.LEAVES);
    }

    private static List<Row> rows(int count) {
        return IntStream.range(0, count).mapToObj(i -> RowFactory.create(i)).toList();
    }

    private static List<List<Integer>> content(JavaRDD<Row> rows) {
        List<List<Integer>> content = new ArrayList<>();
        for (List<Row> partition : rows.glom().collect()) {
            content.add(partition.stream().map(row -> row.getInt(0)).toList());
        }
        return content;
    }

    /** Seven files, the later ones shorter, so that their order is that of their sizes. */
    private Dataset<Row> files() {
        String path = folder.resolve("files").toUri().toString();
        for (int i = 0; i < PARTITIONS; i++) {
            spark.createDataFrame(rows(4000 - 300 * i), TYPE)
                    .coalesce(1)
                    .write()
                    .mode("append")
                    .parquet(path);
        }
        return spark.read().parquet(path);
    }

    @Test
    void filesArePackedForTheRanks() {
        Dataset<Row> data = files();
        List<List<Integer>> content = content(DatasetRows.of(data, PARTITIONS));
        assertThat(content).hasSize(PARTITIONS);
        for (int i = 0; i < PARTITIONS; i++) {
            assertThat(content.get(i)).hasSize(4000 - 300 * i);
        }
        assertThat(spark.conf().getOption(DatasetRows.LEAVES).isEmpty()).isTrue();
        // Also where the data set was read before, in partitions of those days.
        assertThat(data.toJavaRDD().getNumPartitions()).isLessThan(PARTITIONS);
        assertThat(content(DatasetRows.of(data, PARTITIONS))).isEqualTo(content);
    }

    @Test
    void soAreRowsOfTheDriver() {
        Dataset<Row> data = spark.createDataFrame(rows(21), TYPE);
        List<List<Integer>> content = content(DatasetRows.of(data, PARTITIONS));
        assertThat(content).hasSize(PARTITIONS).allMatch(partition -> partition.size() == 3);
    }

    @Test
    void whatTheUserSaysCounts() {
        spark.conf().set(DatasetRows.LEAVES, "5");
        Dataset<Row> data = spark.createDataFrame(rows(20), TYPE);
        assertThat(DatasetRows.of(data, PARTITIONS).getNumPartitions()).isEqualTo(5);
        assertThat(spark.conf().get(DatasetRows.LEAVES)).isEqualTo("5");
    }
}
