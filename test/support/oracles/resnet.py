"""What torchvision's ResNet18 makes of weights and pictures that are formulas: writes resnet.json beside this file.

    python test/support/oracles/resnet.py        # needs torch and torchvision

Every number is a hash of (name, index), computed alike in test/support/resnet.ts.
"""

import json
import pathlib

import numpy as np
import torch
import torchvision


def hashed(name: str, count: int) -> np.ndarray:
    """Uniform in [-1, 1): FNV-1a of the name, then MurmurHash3's finalizer of each index."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return ((h >> np.uint32(8)).astype(np.float64) / 2**23 - 1).astype(np.float32)


def value(name: str, shape: torch.Size) -> torch.Tensor:
    u = hashed(name, int(np.prod(shape)))
    if len(shape) == 4:  # a filter: variance 2 / fan out
        u = u * np.float32(np.sqrt(6 / (shape[0] * shape[2] * shape[3])))
    elif name.endswith("running_var") or name.endswith("weight"):
        u = np.float32(1) + np.float32(0.25) * u
    else:
        u = np.float32(0.25) * u
    return torch.from_numpy(u.reshape(shape))


model = torchvision.models.resnet18(weights=None)
model.fc = torch.nn.Identity()
state = {k: v if k.endswith("num_batches_tracked") else value(k, v.shape) for k, v in model.state_dict().items()}
# Written by itself, so that the reader's order of axes is held against PyTorch's: pictures are [n, h, w, c] there.
x = torch.from_numpy(hashed("pictures", 4 * 64 * 64 * 3).reshape(4, 64, 64, 3)).permute(0, 3, 1, 2)


def some(t: torch.Tensor, count: int = 12) -> list[float]:
    """Equally spaced elements of a tensor in PyTorch's own order."""
    flat = t.detach().double().flatten()
    return flat[:: max(1, len(flat) // count)][:count].tolist()


model.load_state_dict(state)
model.eval()
with torch.no_grad():
    evaluated = model(x)

model.train()
features = model(x)
(features * torch.from_numpy(hashed("cotangent", features.numel()).reshape(features.shape))).sum().backward()

places = ["conv1", "bn1", "layer1.1.conv2", "layer2.0.downsample.0", "layer3.0.conv1", "layer4.1.bn2"]
after = model.state_dict()
out = {
    "evaluated": some(evaluated, 48),
    "trained": some(features, 48),
    "statistics": {
        f"{bn}.{which}": some(after[f"{bn}.{which}"])
        for bn in ["bn1", "layer2.0.downsample.1", "layer4.1.bn2"]
        for which in ["running_mean", "running_var"]
    },
    "gradients": {f"{p}.weight": some(model.get_parameter(f"{p}.weight").grad) for p in places},
}
file = pathlib.Path(__file__).with_suffix(".json")
file.write_text(json.dumps(out, indent=1) + "\n")
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}: {file.name}")
