// SPDX-License-Identifier: Apache-2.0
/**
 * Data-parallel training on Spark: {@link org.lngd4j.spark.SparkLngd} trains a PyTorch module
 * ({@link org.lngd4j.spark.TorchNetwork}) on the executors of a job. docs/spark.md has a program.
 */
package org.lngd4j.spark;
