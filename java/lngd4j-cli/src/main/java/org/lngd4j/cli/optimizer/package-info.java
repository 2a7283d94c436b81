/**
 * First-order comparators that DL4J lacks, and what all comparators share: schedule and averaging.
 */
package org.lngd4j.cli.optimizer;
