"""One round of one workload in JAX under jit, as JSON:
jax_side.py <workload> <threads> <settling> <steps> <file> [<form>]

Each outer step is one compiled function whose state is donated. `form` says what is chosen where JAX offers a choice, its parts
joined by commas: `exact`, the default, or `difference`, how a hop differentiates the lower gradient along a direction (forward
mode over it, or the central difference of the other sides); `unrolled`, the default, or `scanned`, how repeated layers are
compiled.
"""

import math
import os
import sys
from functools import partial

name, threads, settling, steps, path, *rest = sys.argv[1:]
if os.environ.get("TAPWEIGHT_BENCH_PRECISION", "float32") != "float32":
    sys.exit("error: JAX has no automatic casts, and these workloads are stated in float32 alone there")
form = set(",".join(rest).split(","))
if int(threads) < (os.cpu_count() or 1):
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: int(threads)]))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import side  # noqa: E402
from jax_models import affine, average, channels_first, mlp, nats, resnet18, stacked, transformer, unit_rows  # noqa: E402

compiled = partial(jax.jit, donate_argnums=0)


def params(tensors, prefix):
    return {key[len(prefix) :]: jnp.asarray(x) for key, x in tensors.items() if key == prefix or key.startswith(prefix + ".")}


def along(gradient, w, v):
    """The derivative of a function of w along v."""
    if "difference" not in form:
        return jax.jvp(gradient, (w,), (v,))[1]
    epsilon = 0.01 / (jnp.sqrt(sum(jnp.sum(x * x) for x in jax.tree.leaves(v))) + 1e-30)
    ahead = gradient(jax.tree.map(lambda w, v: w + epsilon * v, w, v))
    behind = gradient(jax.tree.map(lambda w, v: w - epsilon * v, w, v))
    return jax.tree.map(lambda a, b: (a - b) * (0.5 / epsilon), ahead, behind)


def hop(lower, w, x, batch, v):
    """-d<grad_w L, v>/dx: the gradient with respect to x, differentiated along v."""
    return jax.tree.map(jnp.negative, along(lambda w: jax.grad(lower, 1)(w, x, batch), w, v))


def descend(params, gradient, rate):
    return jax.tree.map(lambda p, g: p - rate * g, params, gradient)


def zeros(params):
    return jax.tree.map(jnp.zeros_like, params)


def adam(params, gradient, state, rate, a=0.9, b=0.999):
    m, s, t = state
    t = t + 1
    # 1 - b^t in float32 would be off by its rounding over 1 - b: 5e-5 at the first steps.
    rest = lambda decay: -jnp.expm1(t * math.log(decay))
    m = jax.tree.map(lambda m, g: a * m + (1 - a) * g, m, gradient)
    s = jax.tree.map(lambda s, g: b * s + (1 - b) * g * g, s, gradient)
    move = lambda p, m, s: p - rate * (m / rest(a)) / (jnp.sqrt(s / rest(b)) + 1e-8)
    return jax.tree.map(move, params, m, s), (m, s, t)


def momentum(params, gradient, state, rate):
    state = jax.tree.map(lambda m, g: 0.9 * m + g, state, gradient)
    return descend(params, state, rate), state


# 1. Per-feature logistic regression


def logistic(tensors):
    def entropy(logits, targets):
        return jnp.mean(jax.nn.softplus(logits) - logits * targets)

    def inner(w, penalty, batch):
        return entropy(batch["x"] @ w, batch["y"]) + 0.5 * jnp.sum(penalty * w * w)

    def outer(w, batch):
        return entropy(batch["x"] @ w, batch["y"])

    @compiled
    def step(state, low, high):
        w, penalty = state
        for _ in range(10):
            loss, gradient = jax.value_and_grad(inner)(w, penalty, low)
            w = descend(w, gradient, 0.1)
        value, v = jax.value_and_grad(outer)(w, high)
        penalty = descend(penalty, hop(inner, w, penalty, low, v), 1.0)
        return (w, jnp.maximum(penalty, 1e-8)), (loss, value)

    return step, (params(tensors, "w")[""], params(tensors, "penalty")[""]), ("fit", "tune")


# 2. Data reweighting


def reweighting(tensors):
    def inner(model, weigher, batch):
        losses = nats(mlp(model, batch["x"], 3), batch["y"])
        weights = jax.nn.sigmoid(mlp(weigher, jax.lax.stop_gradient(losses)[:, None], 2))[:, 0]
        return jnp.mean(weights * losses)

    def outer(model, batch):
        return jnp.mean(nats(mlp(model, batch["x"], 3), batch["y"]))

    @compiled
    def step(state, low, high):
        model, weigher, optimizer = state
        loss, gradient = jax.value_and_grad(inner)(model, weigher, low)
        model = descend(model, gradient, 0.1)
        value, v = jax.value_and_grad(outer)(model, high)
        weigher, optimizer = adam(weigher, hop(inner, model, weigher, low, v), optimizer, 0.001)
        return (model, weigher, optimizer), (loss, value)

    model, weigher = params(tensors, "model"), params(tensors, "weigher")
    return step, (model, weigher, (zeros(weigher), zeros(weigher), jnp.zeros(()))), ("classifier", "reweight")


# 3, 4. TapWeight


def tapweight(theta, omega, beta, objectives, classify, update, fresh):
    """The step of three levels: `objectives` gives level I's losses, `update(level)` its optimizer, `fresh` that one's state."""

    def pretrain(theta, beta, batch):
        return jnp.sum(jax.nn.softmax(beta) * jnp.stack(objectives(theta, batch)))

    def finetune(omega, theta, batch):
        distance = sum(jnp.sum(jnp.square(w - theta[key])) for key, w in omega.items() if key.startswith("encoder."))
        return classify(omega, batch) + 0.001 * distance

    @compiled
    def step(state, first, second, third):
        theta, omega, beta, low, middle = state
        one, gradient = jax.value_and_grad(pretrain)(theta, beta, first)
        theta, low = update("pretrain")(theta, gradient, low)
        two, gradient = jax.value_and_grad(finetune)(omega, theta, second)
        omega, middle = update("finetune")(omega, gradient, middle)
        three, v = jax.value_and_grad(classify)(omega, third)
        # Heads of level I's own are not held to anything of level II: nothing flows back to them.
        back = hop(finetune, omega, theta, second, v)
        beta = descend(beta, hop(pretrain, theta, beta, first, back), 1.0)
        return (theta, omega, beta, low, middle), (one, two, three)

    return step, (theta, omega, beta, fresh(theta), fresh(omega)), ("pretrain", "finetune", "reweight")


def without_dot(params):
    return {key[1:]: x for key, x in params.items()}


def on_transformer(tensors):
    def objectives(p, batch):
        hidden = transformer(p, jnp.concatenate([batch["mlm"], batch["one"], batch["two"]]))
        mlm, one, two = jnp.split(hidden, 3)
        selected = mlm.reshape(-1, mlm.shape[-1])[batch["positions"].reshape(-1)]
        weights = batch["weights"].reshape(-1)
        hiding = jnp.sum(nats(selected @ p["encoder.tokens"].T, batch["targets"].reshape(-1)) * weights)
        a, b = unit_rows(average(one, batch["one"])), unit_rows(average(two, batch["two"]))
        contrast = jnp.mean(nats(a @ b.T / 0.1, jnp.arange(len(a))))
        order = jnp.mean(nats(affine(p, "order", one[:, 0]), batch["order"]))
        return hiding / jnp.maximum(jnp.sum(weights), 1), contrast, order

    def classify(p, batch):
        return jnp.mean(nats(affine(p, "head", average(transformer(p, batch["ids"]), batch["ids"])), batch["labels"]))

    theta, omega = (without_dot(params(tensors, variable)) for variable in ("theta", "omega"))
    if "scanned" in form:
        theta, omega = stacked(theta), stacked(omega)
    fresh = lambda p: (zeros(p), zeros(p), jnp.zeros(()))
    return tapweight(
        theta, omega, params(tensors, "beta")[""], objectives, classify, lambda _: partial(adam, rate=1e-4), fresh
    )


def on_resnet(tensors):
    def objectives(p, batch):
        features = resnet18(p, batch["x"])
        return [jnp.mean(nats(affine(p, at, features), batch[at])) for at in ("small", "medium", "large", "jigsaw")]

    def classify(p, batch):
        return jnp.mean(nats(affine(p, "head", resnet18(p, batch["x"])), batch["labels"]))

    for key in tensors:
        if key.endswith(".x"):
            tensors[key] = np.ascontiguousarray(tensors[key].transpose(0, 3, 1, 2))
    theta, omega = (channels_first(without_dot(params(tensors, variable))) for variable in ("theta", "omega"))
    rates = {"pretrain": 0.02, "finetune": 0.01}
    update = lambda level: partial(momentum, rate=rates[level])
    return tapweight(theta, omega, params(tensors, "beta")[""], objectives, classify, update, zeros)


WORKLOADS = {"logistic": logistic, "reweighting": reweighting, "transformer": on_transformer, "resnet": on_resnet}


def main():
    begun = side.clocks()
    tensors = side.load(path)
    step, state, levels = WORKLOADS[name](tensors)
    data = [jax.device_put(side.batches(tensors, level)) for level in levels]
    drawn = 0

    def run(state):
        nonlocal drawn
        drawn += 1
        return step(state, *(batches[(drawn - 1) % len(batches)] for batches in data))

    # Parameters and the state of optimizers that start equal are buffers of their own, or they could not be donated.
    state = jax.tree.map(jnp.copy, state)
    losses = []
    for i in range(int(settling)):
        state, values = run(state)
        if i == 0:
            jax.block_until_ready(values)
            start = side.clocks() - begun
        if i < side.TOLD:
            losses.append([float(value) for value in values])
    jax.block_until_ready(state)
    settled = side.clocks()
    for _ in range(int(steps)):
        state, values = run(state)
    jax.block_until_ready(state)
    elapsed = side.clocks() - settled
    side.tell(elapsed, int(steps), start, losses)


main()
