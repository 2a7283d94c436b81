// SPDX-License-Identifier: Apache-2.0
/**
 * Checks the native library against golden vectors: JSON files with one LNGD layer in double
 * precision, every input and every intermediate result of an update in them.
 */
package org.lngd4j.cli.golden;
