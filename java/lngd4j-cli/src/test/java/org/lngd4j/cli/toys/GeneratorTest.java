// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.eigen.Eigen;
import org.nd4j.linalg.factory.Nd4j;

/** The generators have the statistics that their documentation tells. */
class GeneratorTest {
    private static final int MANY = 20_000;

    static List<Problem> problems() {
        return Problems.ALL;
    }

    @ParameterizedTest
    @MethodSource("problems")
    void aSeedDecidesEverySample(Problem problem) {
        Problem.Data data = problem.data(3);

        assertThat(problem.data(3)).isEqualTo(data);
        assertThat(problem.data(4).training()).isNotEqualTo(data.training());
        assertThat(data.test()).isNotEqualTo(data.training());
    }

    // Random and StrictMath are specified to the bit, so this holds on every machine. A generator
    // that is changed on purpose needs a new number, and new figures in docs/small-problems.md.
    @Test
    void theSamplesAreThoseOfTheDocumentation() {
        int hash = 1;
        for (Problem problem : Problems.ALL) {
            Problem.Data data = problem.data(1);
            hash = 31 * (31 * hash + data.training().hashCode()) + data.test().hashCode();
        }
        assertThat(hash).isEqualTo(1691183001);
    }

    @ParameterizedTest
    @MethodSource("problems")
    void samplesFitTheNetwork(Problem problem) {
        Problem.Data data = problem.data(1);

        for (Samples samples : List.of(data.training(), data.test())) {
            assertThat(samples.inputs()).isEqualTo(problem.network().inputs());
            assertThat(samples.outputs()).isEqualTo(problem.network().outputs());
        }
        assertThat(data.training().count()).isEqualTo(problem.training());
        assertThat(data.test().count()).isEqualTo(problem.test());
        if (problem.network().output() == Output.SOFTMAX) {
            assertEachSampleHasOneOfAllClasses(data.training());
            assertEachSampleHasOneOfAllClasses(data.test());
        }
    }

    private static void assertEachSampleHasOneOfAllClasses(Samples samples) {
        Set<Integer> classes = new HashSet<>();
        for (int i = 0; i < samples.count(); i++) {
            int ones = 0;
            for (int k = 0; k < samples.outputs(); k++) {
                if (samples.target(i, k) == 1) {
                    ones++;
                    classes.add(k);
                } else {
                    assertThat(samples.target(i, k)).isZero();
                }
            }
            assertThat(ones).isOne();
        }
        assertThat(classes).hasSize(samples.outputs());
    }

    @Test
    void bagsOfWordsAreSparseAndFollowZipf() {
        Samples samples = WordData.bags(new Random(1), 1000, 10_000);
        double[] frequency = new double[WordData.WORDS];
        for (int k = 0; k < frequency.length; k++) {
            int word = k;
            frequency[k] = mean(samples.count(), i -> samples.feature(i, word));
        }

        double present = mean(WordData.WORDS, k -> frequency[k]);
        // 20 words a text, of which some are there twice, out of 1000.
        assertThat(present).isBetween(0.012, 0.020);
        // A hundred ranks each, for the factors exp(0.7 g) to cancel.
        double early = mean(100, k -> frequency[100 + k]);
        double late = mean(100, k -> frequency[800 + k]);
        // 1/k over 101 to 200 and over 801 to 900.
        double expected = (Math.log(201) - Math.log(101)) / (Math.log(901) - Math.log(801));
        assertThat(early / late).isCloseTo(expected, within(0.25 * expected));
    }

    @Test
    void aQuarterOfTheLabelsIsTurnedOver() {
        Samples samples = ClassData.noisyLabels(new Random(1), 1, MANY, 10);
        double[][] score = scoresOf(new Random(1), 10, 1);

        double wrong = mean(MANY, i -> samples.target(i, 1) == (score[i][0] > 0 ? 1 : 0) ? 0 : 1);

        // Five deviations of the mean of so many draws.
        assertThat(wrong).isCloseTo(0.25, within(0.015));
    }

    @Test
    void twoHundredthsArePositive() {
        Samples samples = ClassData.rarePositives(new Random(1), 1, MANY, 20);

        assertThat(mean(MANY, i -> samples.target(i, 0))).isCloseTo(0.02, within(1e-4));
    }

    @Test
    void labelsHaveSharesFromAHalfToATenth() {
        Samples samples = ClassData.multiLabel(new Random(1), 1, MANY, 30, 8);

        for (int k = 0; k < 8; k++) {
            int label = k;
            double share = mean(MANY, i -> samples.target(i, label));
            assertThat(share).isCloseTo(ClassData.labelShare(k, 8), within(1e-4));
        }
        assertThat(ClassData.labelShare(0, 8)).isEqualTo(0.5);
        assertThat(ClassData.labelShare(7, 8)).isCloseTo(0.1, within(1e-12));
    }

    @Test
    void ordinalClassesHaveTheirShares() {
        Samples samples = ClassData.ordinal(new Random(1), 1, MANY, 15);

        double[] expected = {0.60, 0.25, 0.10, 0.04, 0.01};
        for (int k = 0; k < expected.length; k++) {
            int label = k;
            assertThat(mean(MANY, i -> samples.target(i, label)))
                    .isCloseTo(expected[k], within(1e-4));
        }
    }

    @Test
    void badlyScaledFeaturesHaveUnitsFromAHundredthToAHundred() {
        Samples samples = ClassData.badlyScaled(200, 3).draw(new Random(1), 1, 1000);

        double least = Double.POSITIVE_INFINITY;
        double most = 0;
        for (int k = 0; k < samples.inputs(); k++) {
            int input = k;
            double deviation = deviation(samples.count(), i -> samples.feature(i, input));
            least = Math.min(least, deviation);
            most = Math.max(most, deviation);
        }
        // 200 draws come near both ends; 1.1 for the estimate of a deviation.
        assertThat(least).isBetween(0.01 / 1.1, 0.02);
        assertThat(most).isBetween(50.0, 100 * 1.1);
    }

    @Test
    void correlatedFeaturesHaveConditionNumberTenThousand() {
        Samples samples = ClassData.correlated(20, 4).draw(new Random(1), 1, MANY);
        INDArray x = samples.allFeatures().castTo(DataType.DOUBLE);
        INDArray covariance = x.transpose().mmul(x).divi(MANY);

        // It writes over its argument.
        INDArray values = Eigen.symmetricGeneralizedEigenvalues(covariance.dup());

        double most = values.maxNumber().doubleValue();
        double least = values.minNumber().doubleValue();
        // The extreme eigenvalues of an estimated covariance: a few hundredths off for so many.
        assertThat(most).isCloseTo(1, within(0.1));
        assertThat(most / least).isCloseTo(1e4, within(1e3));
        // None of the features is one of the directions.
        assertThat(Nd4j.diag(covariance).minNumber().doubleValue()).isGreaterThan(10 * least);
    }

    @Test
    void friedmanHasItsMeanItsDeviationAndItsNoise() {
        Samples raw = RealData.friedmanRaw(new Random(1), 1, MANY);
        assertThat(mean(MANY, i -> raw.target(i, 0))).isCloseTo(14.4, within(0.2));
        assertThat(deviation(MANY, i -> raw.target(i, 0))).isCloseTo(5, within(0.2));
        assertThat(deviation(MANY, i -> raw.target(i, 0) - friedman(raw, i)))
                .isCloseTo(1, within(0.03));

        Samples standard = RealData.friedman(new Random(1), 500, MANY);
        assertThat(mean(500, i -> standard.target(i, 0))).isCloseTo(0, within(1e-6));
        assertThat(deviation(500, i -> standard.target(i, 0))).isCloseTo(1, within(1e-6));
        assertThat(standard.feature(7, 3)).isEqualTo(raw.feature(7, 3));
    }

    private static double friedman(Samples samples, int i) {
        double bend = samples.feature(i, 2) - 0.5;
        return 10 * Math.sin(Math.PI * samples.feature(i, 0) * samples.feature(i, 1))
                + 20 * bend * bend
                + 10 * samples.feature(i, 3)
                + 5 * samples.feature(i, 4);
    }

    @Test
    void theSineHasItsNoise() {
        Samples samples = RealData.sine(new Random(1), 1, MANY);

        assertThat(deviation(MANY, i -> samples.target(i, 0) - Math.sin(3 * samples.feature(i, 0))))
                .isCloseTo(0.1, within(0.003));
    }

    @Test
    void pricesAreSomeHundreds() {
        Samples samples = RealData.prices(new Random(1), MANY, MANY, 8);

        // The teacher's outputs are not quite normal: a tenth of room.
        assertThat(mean(MANY, i -> samples.target(i, 0))).isCloseTo(217, within(22.0));
        assertThat(deviation(MANY, i -> samples.target(i, 0))).isCloseTo(93, within(15.0));
        assertThat(deviation(MANY, i -> Math.log(samples.target(i, 0))))
                .isCloseTo(0.4 * Math.sqrt(1 + 0.25 * 0.25), within(0.01));
    }

    @Test
    void oneOfTwentyTargetsIsFarOff() {
        Samples samples = RealData.outliers(new Random(1), MANY, MANY, 10);
        double[][] t = targetsOf(new Random(1), 10, 1);

        double far = mean(MANY, i -> Math.abs(samples.target(i, 0) - t[i][0]) > 0.5 ? 1 : 0);

        // A normal number of deviation 2 is above 0.5 with probability 0.803.
        assertThat(far).isCloseTo(0.05 * 0.803, within(0.007));
    }

    @Test
    void eachTargetOfMultiOutputHasNoise() {
        Samples samples = RealData.multiOutput(new Random(1), MANY, MANY, 10, 5);
        double[][] t = targetsOf(new Random(1), 10, 5);

        for (int k = 0; k < 5; k++) {
            int output = k;
            assertThat(deviation(MANY, i -> samples.target(i, output) - t[i][output]))
                    .isCloseTo(0.1, within(0.003));
        }
    }

    @Test
    void aBarIsSevenBrightPixelsSomewhere() {
        Samples samples = ImageData.bars(new Random(1), 1, 5000);

        double[] sum = new double[samples.count()];
        for (int i = 0; i < sum.length; i++) {
            for (int k = 0; k < samples.inputs(); k++) {
                sum[i] += samples.feature(i, k);
            }
        }
        // 144 pixels of noise 0.4: deviation 4.8 of a sum, and of 0.07 of their mean.
        assertThat(mean(sum.length, i -> sum[i])).isCloseTo(7 * 1.5, within(0.35));
        for (int k = 0; k < samples.inputs(); k++) {
            int pixel = k;
            // Every pixel is on some bar: above what noise alone gives, 0.006.
            assertThat(mean(sum.length, i -> samples.feature(i, pixel))).isGreaterThan(0.006);
        }
    }

    @Test
    void spotsAreIntensitiesAndTheirOwnTargets() {
        Samples samples = ImageData.spots(new Random(1), 1, 200);

        for (int i = 0; i < samples.count(); i++) {
            for (int k = 0; k < samples.inputs(); k++) {
                assertThat(samples.feature(i, k)).isBetween(0f, 1f);
                assertThat(samples.target(i, k)).isEqualTo(samples.feature(i, k));
            }
        }
    }

    @Test
    void patternsHaveTheirNoiseAndDifferByClass() {
        Samples samples = ImageData.patterns(new Random(1), 1, MANY);

        // Per pixel 1 of noise; the pattern has variance 1, and the contrast a mean square of
        // 1.083.
        double variance = 0;
        for (int k = 0; k < samples.inputs(); k++) {
            int pixel = k;
            double deviation = deviation(MANY, i -> samples.feature(i, pixel));
            variance += deviation * deviation / samples.inputs();
        }
        assertThat(variance).isBetween(1.6, 2.3);
    }

    // The scores that a label generator without noise begins with.
    private static double[][] scoresOf(Random random, int inputs, int outputs) {
        double[][] x = Teacher.normal(random, MANY, inputs, 1);
        double[][] score = new Teacher(random, 1, inputs, 16, outputs).ofAll(x);
        Columns.standardise(score, MANY);
        return score;
    }

    // The targets that a regression with a teacher adds its noise to.
    private static double[][] targetsOf(Random random, int inputs, int outputs) {
        double[][] x = Teacher.normal(random, MANY, inputs, 1);
        double[][] t = new Teacher(random, 1.5, inputs, 16, outputs).ofAll(x);
        Columns.standardise(t, MANY);
        return t;
    }

    private static double mean(int count, IntToDoubleFunction value) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += value.applyAsDouble(i);
        }
        return sum / count;
    }

    private static double deviation(int count, IntToDoubleFunction value) {
        double mean = mean(count, value);
        return Math.sqrt(
                mean(
                        count,
                        i -> {
                            double off = value.applyAsDouble(i) - mean;
                            return off * off;
                        }));
    }
}
