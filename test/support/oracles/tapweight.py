"""Writes tapweight.safetensors: TapWeight on the tiny RoBERTa of encoders/roberta, by PyTorch, transformers and Betty.

    python3 test/support/oracles/tapweight.py        # needs torch, transformers and betty-ml (2.15, 5.24.0 and 0.1.1 wrote what is here)

Three problems as in TapWeight's released text code: pretrain (masked tokens, contrast, order of segments, weighted by softmax(beta)),
finetune (a classifier, held to the encoder by gamma times the sum of squared differences), reweight (the classifier on other rows).
Each acts once a step, on a batch of its own. Dropout is off. All is computed in float64, so that what is stored has no rounding.

Stored: `start.*`, the heads that are in no folder; `data.<level>.<step>.<field>`, the batches; and for each step the losses, the
hypergradient of beta and the weights after it. `darts` is Betty's, once with its difference (radius 0.01); `exact` has the
derivative in its place.
"""
import logging
import os

import torch
import torch.nn.functional as F
import transformers
from betty import hypergradient
from betty.configs import Config, EngineConfig
from betty.engine import Engine
from betty.logging import logger_base
from betty.problems import ImplicitProblem
from safetensors.torch import save_file
from transformers.models.roberta.modeling_roberta import RobertaClassificationHead

here = os.path.dirname(os.path.abspath(__file__))
STEPS, ROWS, LENGTH, HIDDEN, CLASSES = 5, 4, 12, 2, 3
GAMMA, TEMPERATURE = 0.05, 0.1
RATE, DECAY, TOP_RATE = 0.01, 0.001, 20.0


def difference(vector, curr, prev):
    """Betty's `darts` of 0.1.1 with two repairs of its later source: parameters are put back afterwards (it adds without assigning),
    and a parameter that a loss does not read has gradient zero (it raises)."""
    params, wanted = curr.trainable_parameters(), prev.trainable_parameters()
    eps = curr.config.darts_alpha / torch.cat([v.reshape(-1) for v in vector]).norm()
    sides = []
    for shift in [eps, -2 * eps]:
        with torch.no_grad():
            for p, v in zip(params, vector):
                p.add_(v, alpha=shift.item())
        grads = torch.autograd.grad(curr.training_step_exec(curr.cur_batch), wanted, allow_unused=True)
        sides.append([torch.zeros_like(p) if g is None else g for p, g in zip(wanted, grads)])
    with torch.no_grad():
        for p, v in zip(params, vector):
            p.add_(v, alpha=eps.item())
    return [(behind - ahead) / (2 * eps) for ahead, behind in zip(*sides)]


def derivative(vector, curr, prev):
    """What `darts` is a difference for: minus the derivative, along the vector, of the gradient for what stands above."""
    params, wanted = curr.trainable_parameters(), prev.trainable_parameters()
    grads = torch.autograd.grad(curr.training_step_exec(curr.cur_batch), params, create_graph=True, allow_unused=True)
    along = sum((g * v).sum() for g, v in zip(grads, vector) if g is not None)
    found = torch.autograd.grad(along, wanted, allow_unused=True)
    return [torch.zeros_like(p) if g is None else -g for p, g in zip(wanted, found)]


class Level(ImplicitProblem):
    """A problem fed from a list of batches, which writes down its losses and what its optimizer is given."""

    def get_batch(self):
        self.drawn = getattr(self, "drawn", -1) + 1
        return self.batches[self.drawn]

    def one_step_descent(self, batch=None):
        self.telling = True
        return super().one_step_descent(batch)

    def tell(self, **values):
        # Betty evaluates a level again in each hop; what is told is the first evaluation of a step.
        if getattr(self, "telling", False):
            self.telling = False
            for key, value in values.items():
                self.told.setdefault(key, []).append(value.detach().clone())


class Pretrain(Level):
    def training_step(self, batch):
        model = self.module

        def hidden(ids):
            return model.roberta(input_ids=ids, attention_mask=(ids != 1).long()).last_hidden_state

        states = hidden(batch["masked"]).reshape(ROWS * LENGTH, -1)[batch["positions"].reshape(-1)]
        masked = F.cross_entropy(model.lm_head(states), batch["targets"].reshape(-1))
        one = hidden(batch["one"])
        a, b = (F.normalize(states[:, 0], dim=-1, eps=1e-6) for states in [one, hidden(batch["two"])])
        contrast = F.cross_entropy(a @ b.t() / TEMPERATURE, torch.arange(ROWS))
        order = F.cross_entropy(model.order(one), batch["order"])
        losses = torch.stack([masked, contrast, order])
        loss = (torch.softmax(self.reweight.module.beta, 0) * losses).sum()
        self.tell(losses=losses, loss=loss)
        return loss


def classify(module, batch):
    ids = batch["ids"]
    states = module.roberta(input_ids=ids, attention_mask=(ids != 1).long()).last_hidden_state
    return F.cross_entropy(module.classifier(states), batch["labels"])


class Finetune(Level):
    def training_step(self, batch):
        task = classify(self.module, batch)
        pairs = zip(self.module.roberta.parameters(), self.pretrain.module.roberta.parameters(), strict=True)
        distance = sum((a - b).square().sum() for a, b in pairs)
        self.tell(task=task, distance=distance, loss=task + GAMMA * distance)
        return task + GAMMA * distance


class Reweight(Level):
    def training_step(self, batch):
        loss = classify(self.finetune.module, batch)
        self.tell(loss=loss)
        return loss


class Beta(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = torch.nn.Parameter(torch.zeros(3))


def drawn():
    """Batches of all levels. Rows have padding (token 1) at their ends; hidden tokens stand before it."""
    generator = torch.Generator().manual_seed(5)

    def integers(low, high, *shape):
        return torch.randint(low, high, shape, generator=generator)

    def rows():
        ids = integers(4, 24, ROWS, LENGTH)
        ids[:, 0] = 0
        for row, real in enumerate(integers(LENGTH // 2, LENGTH + 1, ROWS)):
            ids[row, real - 1] = 2
            ids[row, real:] = 1
        return ids

    data = {}
    for step in range(STEPS):
        first = rows()
        at = torch.stack([1 + torch.randperm(LENGTH // 2 - 2, generator=generator)[:HIDDEN] for _ in range(ROWS)])
        masked = first.scatter(1, at, 3)
        data["pretrain", step] = dict(
            masked=masked, positions=at + LENGTH * torch.arange(ROWS)[:, None], targets=first.gather(1, at),
            one=first, two=torch.where(first > 3, 4 + (first + integers(0, 3, ROWS, LENGTH)) % 20, first),
            order=integers(0, 2, ROWS))
        for level in ["finetune", "reweight"]:
            data[level, step] = dict(ids=rows(), labels=integers(0, CLASSES, ROWS))
    return data


def models():
    folder = os.path.join(here, "encoders", "roberta")
    load = dict(dtype=torch.float64, attn_implementation="eager")
    theta = transformers.RobertaForMaskedLM.from_pretrained(folder, **load).eval()
    torch.manual_seed(3)
    order = transformers.RobertaConfig.from_pretrained(folder, num_labels=2)
    theta.order = RobertaClassificationHead(order).to(torch.float64)
    for parameter in theta.order.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    omega = transformers.RobertaForSequenceClassification.from_pretrained(os.path.join(folder, "classifier"), **load).eval()
    omega.roberta.load_state_dict(theta.roberta.state_dict())
    assert omega.config.num_labels == CLASSES
    for module in [theta, omega]:
        for part in module.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
    return theta, omega


def run(jvp, data):
    hypergradient.jvp_fn_mapping["darts"] = jvp
    theta, omega = models()
    start = {f"start.{name}": p.detach().clone() for name, p in theta.order.named_parameters()}
    beta = Beta()

    def adam(module):
        return torch.optim.Adam(module.parameters(), lr=RATE, weight_decay=DECAY)

    told = {}
    def level(kind, name, module, optimizer, **config):
        problem = kind(name=name, module=module, optimizer=optimizer, config=Config(**config))
        problem.batches = [data[name, step] for step in range(STEPS)]
        problem.told = told[name] = {}
        return problem

    low = level(Pretrain, "pretrain", theta, adam(theta), type="darts", unroll_steps=1)
    middle = level(Finetune, "finetune", omega, adam(omega), type="darts", unroll_steps=1)
    sgd = torch.optim.SGD(beta.parameters(), lr=TOP_RATE)
    top = level(Reweight, "reweight", beta, sgd, retain_graph=True)
    told["reweight"].update(hypergradient=[], weights=[])
    sgd.register_step_pre_hook(lambda *_: told["reweight"]["hypergradient"].append(beta.beta.grad.clone()))
    sgd.register_step_post_hook(lambda *_: told["reweight"]["weights"].append(torch.softmax(beta.beta.detach(), 0)))
    dependencies = {"u2l": {top: [low]}, "l2u": {low: [middle], middle: [top]}}
    engine = Engine(problems=[low, middle, top], config=EngineConfig(train_iters=STEPS), dependencies=dependencies)
    # Betty puts modules into training mode; dropout is zero, and nothing else here knows modes.
    engine.run()
    values = {f"{name}.{key}": torch.stack(value) for name, all in told.items() for key, value in all.items()}
    assert all(len(value) == STEPS for value in values.values()), {k: len(v) for k, v in values.items()}
    return start, values


def main():
    torch.set_default_dtype(torch.float64)
    logger_base.get_logger().setLevel(logging.ERROR)
    data = drawn()
    tensors = {f"data.{level}.{step}.{key}": value.to(torch.int32) for (level, step), batch in data.items() for key, value in batch.items()}
    for name, jvp in [("darts", difference), ("exact", derivative)]:
        start, values = run(jvp, data)
        tensors.update({key: value.float() for key, value in start.items()})
        tensors.update({f"{name}.{key}": value.float() for key, value in values.items()})
        print(name, values["reweight.hypergradient"], values["reweight.weights"], values["pretrain.losses"], sep="\n")
    save_file({key: value.contiguous() for key, value in tensors.items()}, os.path.join(here, "tapweight.safetensors"))


main()
