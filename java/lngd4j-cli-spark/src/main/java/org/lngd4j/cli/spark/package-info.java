// SPDX-License-Identifier: Apache-2.0
/** {@code lngd train --spark}: all of the command that needs Spark. */
package org.lngd4j.cli.spark;
