// SPDX-License-Identifier: Apache-2.0
/** Small generated problems, to see whether an optimizer's defaults hurt where nobody tunes. */
package org.lngd4j.cli.toys;
