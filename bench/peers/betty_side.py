"""One round of one workload on PyTorch with Betty, as JSON:
betty_side.py <workload> <threads> <settling> <steps> <file> [compiled]

Under `compiled` torch.compile makes each level's loss and its gradient one program each; Betty calls them as ever.

The file (safetensors) holds the initial values and the batches that the other side, workloads.ts, starts from.
"""

import os
import sys

import numpy as np
import side
import torch
import torch._functorch.config
import torch.nn.functional as F
from betty import hypergradient
from betty.configs import Config, EngineConfig
from betty.engine import Engine
from betty.logging import logger_base
from betty.problems import ImplicitProblem

# The processor, or a card (`cuda`); and what forward passes compute in: a step's products, as autocast divides them.
DEVICE = os.environ.get("TAPWEIGHT_BENCH_DEVICE", "cpu")
HALF = os.environ.get("TAPWEIGHT_BENCH_PRECISION", "float32") == "bfloat16"
torch.set_default_device(DEVICE)


def clocks():
    """Of a card, when it is done."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()
    return side.clocks()


def load(path):
    return {
        name: torch.from_numpy(array.copy() if array.dtype == np.float32 else array.astype(np.int64)).to(DEVICE)
        for name, array in side.load(path).items()
    }


def darts(vector, curr, prev):
    """Betty's `darts` of 0.1.1 with two repairs of its later source: parameters are put back afterwards (it adds without
    assigning), and a parameter that a loss does not read has gradient zero (it raises)."""
    params = curr.trainable_parameters()
    wanted = prev.trainable_parameters()
    norm = torch.cat([v.reshape(-1) for v in vector]).norm()
    eps = (curr.config.darts_alpha / (norm + 1e-15)).item()

    def shift(alpha):
        with torch.no_grad():
            for p, v in zip(params, vector):
                p.add_(v, alpha=alpha)

    def gradient():
        loss = curr.training_step_exec(curr.cur_batch)
        grads = torch.autograd.grad(loss, wanted, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, grads)]

    shift(eps)
    ahead = gradient()
    shift(-2 * eps)
    behind = gradient()
    shift(eps)
    return [(b - a).div_(2 * eps) for a, b in zip(ahead, behind)]


hypergradient.jvp_fn_mapping["darts"] = darts


class Params(torch.nn.Module):
    """The leaves of one variable by path."""

    def __init__(self, tensors, prefix):
        super().__init__()
        self.leaf = {}
        for name, tensor in tensors.items():
            if name == prefix or name.startswith(prefix + "."):
                path = name[len(prefix) + 1 :]
                # Filters come as [height, width, in, out].
                parameter = torch.nn.Parameter(tensor.permute(3, 2, 0, 1).contiguous() if path.endswith("filter") else tensor)
                self.register_parameter(path.replace(".", "_") or "value", parameter)
                self.leaf[path] = parameter


class Level(ImplicitProblem):
    """A problem fed from memory that remembers its last loss."""

    def feed(self, batches):
        self.batches = batches
        self.drawn = 0
        return self

    def get_batch(self):
        self.drawn += 1
        return self.batches[(self.drawn - 1) % len(self.batches)]

    def one_step_descent(self, batch=None):
        told = super().one_step_descent(batch)
        self.last = told["loss"]
        return told


def level(kind, name, tensors, variable, optimizer, **config):
    params = Params(tensors, variable)
    problem = kind(name=name, module=params, optimizer=optimizer(params.parameters()), config=Config(**config))
    return problem.feed(side.batches(tensors, name))


def sgd(rate):
    return lambda params: torch.optim.SGD(params, lr=rate)


def adam(rate):
    return lambda params: torch.optim.Adam(params, lr=rate)


def affine(p, path, x):
    return torch.addmm(p[path + ".b"], x, p[path + ".w"])


# 1. Per-feature logistic regression


class Fit(Level):
    def training_step(self, batch):
        w = self.module.leaf[""]
        loss = F.binary_cross_entropy_with_logits(batch["x"] @ w, batch["y"])
        return loss + 0.5 * (self.tune.module.leaf[""] * w * w).sum()


class Tune(Level):
    def training_step(self, batch):
        return F.binary_cross_entropy_with_logits(batch["x"] @ self.fit.module.leaf[""], batch["y"])

    def param_callback(self, params):
        for p in params:
            p.data.clamp_(min=1e-8)


def logistic(tensors):
    fit = level(Fit, "fit", tensors, "w", sgd(0.1), type="darts", unroll_steps=10)
    tune = level(Tune, "tune", tensors, "penalty", sgd(1.0), retain_graph=True)
    return [fit, tune], {"u2l": {tune: [fit]}, "l2u": {fit: [tune]}}, 10


# 2. Data reweighting


def mlp(p, x, layers):
    for i in range(layers):
        x = affine(p, str(i), x if i == 0 else F.relu(x))
    return x


class Classifier(Level):
    def training_step(self, batch):
        losses = F.cross_entropy(mlp(self.module.leaf, batch["x"], 3), batch["y"], reduction="none")
        weights = torch.sigmoid(mlp(self.reweight.module.leaf, losses.detach().reshape(-1, 1), 2))
        return (weights.reshape(-1) * losses).mean()


class Reweight(Level):
    def training_step(self, batch):
        return F.cross_entropy(mlp(self.classifier.module.leaf, batch["x"], 3), batch["y"])


def reweighting(tensors):
    low = level(Classifier, "classifier", tensors, "model", sgd(0.1), type="darts", unroll_steps=1)
    top = level(Reweight, "reweight", tensors, "weigher", adam(0.001), retain_graph=True)
    return [low, top], {"u2l": {top: [low]}, "l2u": {low: [top]}}, 1


# 3. TapWeight on a Transformer


def norm(p, path, x):
    return F.layer_norm(x, x.shape[-1:], p[path + ".scale"], p[path + ".offset"], 1e-5)


def encode(p, ids):
    """As Transformer.ts, with PyTorch's fused kernels: layer norm, attention, exact gelu."""
    batch, length = ids.shape
    width = p["encoder.tokens"].shape[1]
    bias = (ids == 0).float().mul(-1e9).reshape(batch, 1, 1, length)
    x = F.embedding(ids, p["encoder.tokens"]) + p["encoder.positions"][:length]
    x = x.reshape(batch * length, width)
    layer = 0
    while f"encoder.layers.{layer}.attention.qkv.w" in p:
        at = f"encoder.layers.{layer}"
        w = p[at + ".attention.qkv.w"]
        _, _, heads, depth = w.shape
        flat = torch.addmm(
            p[at + ".attention.qkv.b"].reshape(-1), norm(p, at + ".attention.norm", x), w.reshape(width, 3 * width)
        )
        query, key, value = flat.reshape(batch, length, 3, heads, depth).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + affine(p, at + ".attention.out", mixed.transpose(1, 2).reshape(batch * length, width))
        up = affine(p, at + ".perceptron.up", norm(p, at + ".perceptron.norm", x))
        x = x + affine(p, at + ".perceptron.down", F.gelu(up))
        layer += 1
    return norm(p, "encoder.norm", x).reshape(batch, length, width)


def average(hidden, ids):
    real = (ids != 0).float().unsqueeze(-1)
    return (hidden * real).sum(1) / real.sum(1).clamp(min=1)


def classify(p, batch):
    return F.cross_entropy(affine(p, "head", average(encode(p, batch["ids"]), batch["ids"])), batch["labels"])


class Pretrain(Level):
    def training_step(self, batch):
        p = self.module.leaf
        hidden = encode(p, torch.cat([batch["mlm"], batch["one"], batch["two"]]))
        mlm, one, two = hidden.chunk(3)
        selected = mlm.reshape(-1, mlm.shape[-1])[batch["positions"].reshape(-1)]
        nats = F.cross_entropy(selected @ p["encoder.tokens"].t(), batch["targets"].reshape(-1), reduction="none")
        weights = batch["weights"].reshape(-1)
        hiding = (nats * weights).sum() / weights.sum().clamp(min=1)
        a = F.normalize(average(one, batch["one"]), dim=-1)
        b = F.normalize(average(two, batch["two"]), dim=-1)
        contrast = F.cross_entropy(a @ b.t() / 0.1, torch.arange(len(a)))
        order = F.cross_entropy(affine(p, "order", one[:, 0]), batch["order"])
        return (torch.softmax(self.reweight.module.leaf[""], 0) * torch.stack([hiding, contrast, order])).sum()


class Finetune(Level):
    def training_step(self, batch):
        p, q = self.module.leaf, self.pretrain.module.leaf
        distance = sum((p[path] - q[path]).square().sum() for path in p if path.startswith("encoder."))
        return classify(p, batch) + 0.001 * distance


class ReweightTasks(Level):
    def training_step(self, batch):
        return classify(self.finetune.module.leaf, batch)


def transformer(tensors):
    low = level(Pretrain, "pretrain", tensors, "theta", adam(1e-4), type="darts", unroll_steps=1)
    middle = level(Finetune, "finetune", tensors, "omega", adam(1e-4), type="darts", unroll_steps=1)
    top = level(ReweightTasks, "reweight", tensors, "beta", sgd(1.0), retain_graph=True)
    return [low, middle, top], {"u2l": {top: [low]}, "l2u": {low: [middle], middle: [top]}}, 1


# 4. TapWeight on ResNet18


def resnet18(p, x):
    """As torchvision's, normalised by the batch, without running statistics."""

    def unit(path, x, stride):
        w = p[path + ".filter"]
        y = F.conv2d(x, w, stride=stride, padding=(w.shape[-1] - 1) // 2)
        return F.batch_norm(y, None, None, p[path + ".norm.scale"], p[path + ".norm.offset"], training=True)

    x = F.max_pool2d(F.relu(unit("encoder.stem", x, 2)), 3, 2, 1)
    for stage in range(4):
        for i in range(2):
            at = f"encoder.stages.{stage}.{i}"
            stride = 2 if stage > 0 and i == 0 else 1
            around = unit(at + ".skip", x, stride) if at + ".skip.filter" in p else x
            x = F.relu(unit(at + ".second", F.relu(unit(at + ".first", x, stride)), 1) + around)
    return x.mean((2, 3))


class PretrainPictures(Level):
    def training_step(self, batch):
        p = self.module.leaf
        found = resnet18(p, batch["x"])
        losses = [F.cross_entropy(affine(p, at, found), batch[at]) for at in ("small", "medium", "large", "jigsaw")]
        return (torch.softmax(self.reweight.module.leaf[""], 0) * torch.stack(losses)).sum()


def classify_pictures(p, batch):
    return F.cross_entropy(affine(p, "head", resnet18(p, batch["x"])), batch["labels"])


class FinetunePictures(Level):
    def training_step(self, batch):
        p, q = self.module.leaf, self.pretrain.module.leaf
        distance = sum((p[path] - q[path]).square().sum() for path in p if path.startswith("encoder."))
        return classify_pictures(p, batch) + 0.001 * distance


class ReweightPictures(Level):
    def training_step(self, batch):
        return classify_pictures(self.finetune.module.leaf, batch)


def momentum(rate):
    return lambda params: torch.optim.SGD(params, lr=rate, momentum=0.9)


def resnet(tensors):
    for name in list(tensors):
        if name.endswith(".x"):
            tensors[name] = tensors[name].permute(0, 3, 1, 2).contiguous()
    low = level(PretrainPictures, "pretrain", tensors, "theta", momentum(0.02), type="darts", unroll_steps=1)
    middle = level(FinetunePictures, "finetune", tensors, "omega", momentum(0.01), type="darts", unroll_steps=1)
    top = level(ReweightPictures, "reweight", tensors, "beta", sgd(1.0), retain_graph=True)
    return [low, middle, top], {"u2l": {top: [low]}, "l2u": {low: [middle], middle: [top]}}, 1


WORKLOADS = {"logistic": logistic, "reweighting": reweighting, "transformer": transformer, "resnet": resnet}


def main():
    name, threads, settling, steps, path, *form = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    logger_base.get_logger().setLevel("ERROR")
    begun = clocks()
    problems, dependencies, inner = WORKLOADS[name](load(path))
    if HALF:
        for problem in problems:
            problem.training_step = torch.autocast(DEVICE, torch.bfloat16)(problem.training_step)
    if form == ["compiled"]:
        # A level's loss is differentiated more than once where Betty keeps its graph: no buffer of it may be given away.
        torch._functorch.config.donated_buffer = False
        for problem in problems:
            problem.training_step = torch.compile(problem.training_step, dynamic=False)
    engine = Engine(problems=problems, config=EngineConfig(logger_type="none"), dependencies=dependencies)
    losses = []

    def run(count):
        engine.train_iters = count * inner
        engine.run()

    start = 0
    for step in range(int(settling)):
        run(1)
        if step == 0:
            start = clocks() - begun
        if step < side.TOLD:
            losses.append([problem.last for problem in problems])
    settled = clocks()
    run(int(steps))
    elapsed = clocks() - settled
    side.tell(elapsed, int(steps), start, losses)


main()
