"""Writes torch/: files of torch.save, good and bad, for TorchFile.test.ts.

    python3 test/support/oracles/torchfile.py

Needs torch (2.15.0 wrote what is here).
"""
import collections
import os

import torch

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch")
os.makedirs(here, exist_ok=True)


def save(name, value, **options):
    torch.save(value, os.path.join(here, name), **options)


torch.manual_seed(0)
words = torch.arange(12, dtype=torch.float32).reshape(4, 3) / 8
state = collections.OrderedDict(
    [
        ("words", words),
        ("tied", words),
        ("turned", words.t()),
        ("rows", words[1:3]),
        ("column", words[:, 1]),
        ("scalar", torch.tensor(2.5)),
        ("empty", torch.zeros(0, 3)),
        ("half", torch.tensor([1.0, -2.5, 65504.0, 6e-8, float("inf")], dtype=torch.float16)),
        ("brain", torch.tensor([1.0, -2.5, 3.0e38, float("-inf")], dtype=torch.bfloat16)),
        ("ids", torch.tensor([0, 1, 2**31 - 1, -5])),
        ("parameter", torch.nn.Parameter(torch.ones(2))),
    ]
)
save("state.bin", state)
save("protocol4.bin", dict(state), pickle_protocol=4)
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
save("module.bin", model.state_dict())
save("legacy.bin", {"w": torch.ones(2)}, _use_new_zipfile_serialization=False)
save("model.bin", torch.nn.Linear(2, 2))
save("nested.bin", {"epoch": 3, "model": {"w": torch.ones(2)}})
save("double.bin", {"w": torch.ones(2, dtype=torch.float64)})
save("large.bin", {"w": torch.tensor([2**40])})


class Call:
    def __reduce__(self):
        return os.system, ("echo it was executed",)


save("call.bin", {"w": Call()})
