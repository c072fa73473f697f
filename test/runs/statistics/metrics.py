"""Writes metrics.json: scores as scikit-learn and scipy compute them, for Metrics.test.ts and Statistics.test.ts to compare with.

    python3 test/runs/statistics/metrics.py > test/runs/statistics/metrics.json

Needs scikit-learn (Debian's python3-sklearn, or pip's).
"""
import json
import math

import numpy
import scipy
import sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_absolute_error, mean_squared_error, roc_auc_score

random = numpy.random.RandomState(7)
auc, errors = [], []
for rows, levels in [(2, 2), (5, 3), (20, 4), (20, 1000), (200, 10), (200, 100000)]:
    labels = numpy.concatenate([[0, 1], random.randint(0, 2, rows - 2)])
    scores = random.randint(0, levels, rows) / levels
    auc.append({"labels": labels.tolist(), "scores": scores.tolist(), "value": roc_auc_score(labels, scores)})
    truth = random.normal(size=rows)
    guess = truth + random.normal(size=rows)
    errors.append({
        "labels": truth.tolist(),
        "predictions": guess.tolist(),
        "rmse": math.sqrt(mean_squared_error(truth, guess)),
        "mae": mean_absolute_error(truth, guess),
    })

# Five tasks with missing labels; of the last two, one has no positive and one no label at all.
labels = random.randint(0, 2, (60, 5)).astype(float)
labels[random.rand(60, 5) < 0.3] = math.nan
labels[:, 3] = 0
labels[:, 4] = math.nan
scores = random.randint(0, 20, (60, 5)) / 20
tasks = []
for task in range(5):
    valid = ~numpy.isnan(labels[:, task])
    both = len(set(labels[valid, task])) == 2
    tasks.append(roc_auc_score(labels[valid, task], scores[valid, task]) if both else None)
multitask = {
    "labels": [None if math.isnan(x) else x for x in labels.ravel()],
    "scores": scores.ravel().tolist(),
    "tasks": tasks,
    "mean": float(numpy.mean([value for value in tasks if value is not None])),
}
# Classes, some of which occur in one of the two only, and predictions that are all the same.
classes = []
for rows, count in [(1, 2), (2, 2), (7, 2), (50, 2), (50, 3), (400, 6), (60, 13)]:
    labels = random.randint(0, count, rows)
    for predictions in (
        numpy.where(random.rand(rows) < 0.6, labels, random.randint(0, count + 1, rows)) % count,
        numpy.zeros(rows, int),
        labels,
    ):
        classes.append({
            "labels": labels.tolist(),
            "predictions": predictions.tolist(),
            "accuracy": accuracy_score(labels, predictions),
            "mcc": matthews_corrcoef(labels, predictions),
            "f1": f1_score(labels == 1, predictions == 1, zero_division=0),
            "macroF1": f1_score(labels, predictions, average="macro", zero_division=0),
        })

# Scores in steps, as STS-B's are, so that many are equal; far from zero, so that one pass over squares would lose them.
correlations = []
for rows, step, offset in [(2, 0.2, 0), (10, 1, 0), (200, 0.2, 0), (200, 0.001, 1e6), (1500, 0.25, 0)]:
    truth = numpy.round(random.rand(rows) * 5 / step) * step + offset
    guess = truth + numpy.round(random.normal(size=rows) * 3) * step
    correlations.append({
        "xs": truth.tolist(),
        "ys": guess.tolist(),
        "pearson": pearsonr(truth, guess)[0],
        "spearman": spearmanr(truth, guess)[0],
    })

print(json.dumps({"scipy": scipy.__version__, "classes": classes, "correlations": correlations, "sklearn": sklearn.__version__, "auc": auc, "errors": errors, "multitask": multitask}))
