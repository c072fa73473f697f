"""Writes paired.json: tests and intervals of paired differences as scipy has them, for Paired.test.ts to compare with.

    python3 test/runs/statistics/paired.py > test/runs/statistics/paired.json

Needs scipy alone.
"""
import json
import math

import numpy
import scipy
from scipy.stats import binomtest, bootstrap, norm, permutation_test, t

random = numpy.random.RandomState(11)


def mean(x, axis=-1):
    return numpy.mean(x, axis=axis)


# Signs flipped: all patterns of few differences, drawn ones of many. Ties, a zero, and differences of any size among them.
flips = []
for n in [2, 3, 4, 5, 6, 7, 8, 10, 12, 16]:
    for differences in (
        random.normal(size=n) + 0.5,
        numpy.round(random.normal(size=n) * 2),
        1e-9 * (random.normal(size=n) + 1),
        1e9 * random.normal(size=n),
        0.1 * numpy.ones(n),
    ):
        found = permutation_test((differences,), mean, permutation_type="samples", n_resamples=numpy.inf, vectorized=True)
        flips.append({"differences": differences.tolist(), "p": float(found.pvalue)})
many = []
for n in [17, 25, 40]:
    differences = random.normal(size=n) + 0.3
    found = permutation_test((differences,), mean, permutation_type="samples", n_resamples=400_000, vectorized=True, batch=20_000, random_state=random)
    many.append({"differences": differences.tolist(), "p": float(found.pvalue)})

# Percentiles of the means of resamples, as far out as Hesterberg's expanded interval takes them. 10,000 resamples give an end between
# the percentiles 4.5 deviations of a count away; with it comes scipy's own interval that is corrected for bias and skewness.
resamples = 10_000
intervals = []
for n in [3, 4, 5, 8, 12, 30]:
    for values in (random.normal(size=n), random.exponential(size=n), numpy.round(random.normal(size=n) * 3)):
        tail = norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
        off = 4.5 * math.sqrt(tail * (1 - tail) / resamples)
        ends = []
        for share in (max(tail - off, 1e-5), tail, tail + off):
            found = bootstrap((values,), mean, confidence_level=1 - 2 * share, n_resamples=400_000, method="percentile", vectorized=True, batch=20_000, random_state=random)
            ends.append([float(found.confidence_interval.low), float(found.confidence_interval.high)])
        intervals.append({"values": values.tolist(), "tail": tail, "outer": ends[0], "middle": ends[1], "inner": ends[2]})

# Holm by its definition, for want of statsmodels: the i-th smallest of m times m - i, never below one before, at most 1.
holms = []
for m in [1, 2, 3, 5, 9, 20]:
    for ps in (random.rand(m), random.rand(m) ** 4, numpy.round(random.rand(m), 1)):
        order = numpy.argsort(ps, kind="stable")
        stepped = numpy.maximum.accumulate((m - numpy.arange(m)) * ps[order])
        corrected = numpy.empty(m)
        corrected[order] = numpy.minimum(1, stepped)
        holms.append({"ps": ps.tolist(), "corrected": corrected.tolist()})

signs = [
    {"won": won, "lost": lost, "p": float(binomtest(won, won + lost).pvalue)}
    for won, lost in [(1, 0), (3, 1), (5, 5), (0, 8), (14, 6), (40, 23), (120, 80)]
]
tails = [
    {"t": x, "freedom": freedom, "student": float(t.sf(x, freedom)), "normal": float(norm.sf(x))}
    for freedom in [1, 2, 3, 5, 9, 30, 200]
    for x in [0, 0.01, 0.5, 1, 2.5, 4, 10, 30]
]
improvements = []
for a, b in [(3, 4), (6, 6), (10, 2)]:
    one, other = numpy.round(random.normal(size=a) * 2), numpy.round(random.normal(size=b) * 2)
    u = scipy.stats.mannwhitneyu(one, other).statistic
    improvements.append({"one": one.tolist(), "other": other.tolist(), "share": float(u / (a * b))})

print(json.dumps({"scipy": scipy.__version__, "flips": flips, "many": many, "intervals": intervals, "holms": holms, "signs": signs, "tails": tails, "improvements": improvements}))
