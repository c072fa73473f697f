"""Writes metrics.json: scores as scikit-learn computes them, for Metrics.test.ts to compare with.

    /usr/bin/python3 test/runs/statistics/metrics.py > test/runs/statistics/metrics.json

Needs Debian's python3-sklearn.
"""
import json
import math

import numpy
import sklearn
from sklearn.metrics import mean_absolute_error, mean_squared_error, roc_auc_score

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
print(json.dumps({"sklearn": sklearn.__version__, "auc": auc, "errors": errors, "multitask": multitask}))
