// SPDX-License-Identifier: Apache-2.0

import java.io.File;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.spark.api.RDDTrainingApproach;
import org.deeplearning4j.spark.impl.multilayer.SparkDl4jMultiLayer;
import org.deeplearning4j.spark.impl.paramavg.ParameterAveragingTrainingMaster;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.lossfunctions.LossFunctions;

/**
 * Seconds a step of DL4J's own training on Spark, with averaging of parameters: the rival of {@code
 * ScalingMeasurement}. The network, its batches and the executors are the same, the optimizer is
 * Adam. A step here is one minibatch on each worker, so that a batch of all workers together has
 * as many samples.
 */
public final class Averaging {
    private Averaging() {}

    /** Arguments: widths with "-" between, batch, steps, workers with "," between. */
    public static void main(String[] args) throws IOException {
        int[] widths = Arrays.stream(args[0].split("-")).mapToInt(Integer::parseInt).toArray();
        int batch = Integer.parseInt(args[1]);
        int steps = Integer.parseInt(args[2]);
        for (String workers : args[3].split(",")) {
            measure(widths, batch, steps, Integer.parseInt(workers));
        }
    }

    private static void measure(int[] widths, int batch, int steps, int workers)
            throws IOException {
        try (JavaSparkContext context = new JavaSparkContext(configuration(workers))) {
            context.setLogLevel("ERROR");
            for (int frequency : new int[] {1, 5}) {
                List<DataSet> batches = batches(widths, batch / workers, steps * workers);
                JavaRDD<DataSet> data = context.parallelize(batches, workers);
                ParameterAveragingTrainingMaster master =
                        new ParameterAveragingTrainingMaster.Builder(workers, batch / workers)
                                .batchSizePerWorker(batch / workers)
                                .averagingFrequency(frequency)
                                .workerPrefetchNumBatches(2)
                                // The other one exports to a file system that there is not.
                                .rddTrainingApproach(RDDTrainingApproach.Direct)
                                .build();
                SparkDl4jMultiLayer net =
                        new SparkDl4jMultiLayer(context, network(widths), master);
                net.fit(data); // compiles what is needed
                long start = System.nanoTime();
                net.fit(data);
                double seconds = (System.nanoTime() - start) / 1e9;
                System.out.printf(
                        Locale.ROOT,
                        "{\"workers\": %d, \"averaging_frequency\": %d, \"step\": %.6f}%n",
                        workers,
                        frequency,
                        seconds / steps);
            }
        }
    }

    private static List<DataSet> batches(int[] widths, int size, int count) {
        Nd4j.getRandom().setSeed(1);
        List<DataSet> batches = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            INDArray labels = Nd4j.zeros(size, widths[widths.length - 1]);
            for (int j = 0; j < size; j++) {
                labels.putScalar(j, (i + j) % widths[widths.length - 1], 1);
            }
            batches.add(new DataSet(Nd4j.randn(size, widths[0]), labels));
        }
        return batches;
    }

    private static MultiLayerConfiguration network(int[] widths) {
        NeuralNetConfiguration.ListBuilder layers =
                new NeuralNetConfiguration.Builder().seed(1).updater(new Adam(1e-3)).list();
        for (int i = 1; i < widths.length; i++) {
            layers.layer(
                    i < widths.length - 1
                            ? new DenseLayer.Builder()
                                    .nIn(widths[i - 1])
                                    .nOut(widths[i])
                                    .activation(Activation.RELU)
                                    .build()
                            : new OutputLayer.Builder(LossFunctions.LossFunction.MCXENT)
                                    .nIn(widths[i - 1])
                                    .nOut(widths[i])
                                    .activation(Activation.SOFTMAX)
                                    .build());
        }
        return layers.build();
    }

    private static SparkConf configuration(int workers) throws IOException {
        Path jars = Files.createDirectories(Path.of(System.getenv("SPARK_HOME"), "jars"));
        List<String> folders = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            Path path = Path.of(entry).toAbsolutePath();
            if (Files.isDirectory(path)) {
                folders.add(path.toString());
            } else {
                try {
                    Files.createSymbolicLink(jars.resolve(path.getFileName()), path);
                } catch (FileAlreadyExistsException e) {
                    // of the run before
                }
            }
        }
        return new SparkConf()
                .setAppName("averaging")
                .setMaster("local-cluster[" + workers + ",1,2048]")
                .set("spark.executor.memory", "2g")
                .set("spark.driver.host", "127.0.0.1")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.ui.enabled", "false")
                .set("spark.locality.wait", "0")
                .set("spark.executor.extraClassPath", String.join(File.pathSeparator, folders))
                .set("spark.executor.extraJavaOptions", System.getenv("AVERAGING_JVM"))
                .set("spark.executorEnv.OMP_NUM_THREADS", "1")
                .set("spark.executorEnv.OPENBLAS_NUM_THREADS", "1");
    }
}
