// SPDX-License-Identifier: Apache-2.0
/** Sentences: parallel corpora, subwords, batches, BLEU. Knows no framework. */
package org.lngd4j.cli.text;
