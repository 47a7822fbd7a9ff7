/* SPDX-License-Identifier: MIT
 *
 * cpuid.h - takes the place of the compiler's header of this name, in what is built against the
 * stand-in: CPUID is that of the stand-in's processor.
 */
#ifndef BACKPLANE_STANDIN_CPUID_H
#define BACKPLANE_STANDIN_CPUID_H

__attribute__((visibility("default"))) void standin_cpuid(unsigned leaf, unsigned subleaf,
                                                          unsigned out[4]);

#define __cpuid_count(leaf, subleaf, a, b, c, d)                                                   \
    do {                                                                                           \
        unsigned standin_out[4];                                                                   \
        standin_cpuid(leaf, subleaf, standin_out);                                                 \
        (a) = standin_out[0];                                                                      \
        (b) = standin_out[1];                                                                      \
        (c) = standin_out[2];                                                                      \
        (d) = standin_out[3];                                                                      \
    } while (0)

#endif
