"""One round of one bilevel workload in JAX under jit, as JSON: jax_side.py <workload> <threads> <settling> <steps> <file>

Each outer step is one compiled function; the hop is the exact derivative of the lower gradient along v, which is what JAX
offers where the other sides take a finite difference.
"""

import os
import sys
import time

name, threads, settling, steps, path = sys.argv[1:]
if int(threads) < (os.cpu_count() or 1):
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: int(threads)]))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import side  # noqa: E402


def params(tensors, prefix):
    return {key[len(prefix) :]: jnp.asarray(x) for key, x in tensors.items() if key == prefix or key.startswith(prefix + ".")}


def entropy(logits, targets):
    return jnp.mean(jax.nn.softplus(logits) - logits * targets)


def nats(logits, labels):
    return jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]


def hop(lower, w, x, batch, v):
    """-d<grad_w L, v>/dx, by forward mode over the gradient with respect to x."""
    _, tangent = jax.jvp(lambda w: jax.grad(lower, 1)(w, x, batch), (w,), (v,))
    return jax.tree.map(jnp.negative, tangent)


def descend(params, gradient, rate):
    return jax.tree.map(lambda p, g: p - rate * g, params, gradient)


def logistic(tensors):
    def inner(w, penalty, batch):
        return entropy(batch["x"] @ w, batch["y"]) + 0.5 * jnp.sum(penalty * w * w)

    def outer(w, batch):
        return entropy(batch["x"] @ w, batch["y"])

    @jax.jit
    def step(state, low, high):
        w, penalty = state
        for _ in range(10):
            loss, gradient = jax.value_and_grad(inner)(w, penalty, low)
            w = descend(w, gradient, 0.1)
        value, v = jax.value_and_grad(outer)(w, high)
        penalty = descend(penalty, hop(inner, w, penalty, low, v), 1.0)
        return (w, jnp.maximum(penalty, 1e-8)), (loss, value)

    return step, (params(tensors, "w")[""], params(tensors, "penalty")[""]), ("fit", "tune")


def mlp(p, x, layers):
    for i in range(layers):
        x = (x if i == 0 else jax.nn.relu(x)) @ p[f".{i}.w"] + p[f".{i}.b"]
    return x


def reweighting(tensors):
    def inner(model, weigher, batch):
        losses = nats(mlp(model, batch["x"], 3), batch["y"])
        weights = jax.nn.sigmoid(mlp(weigher, jax.lax.stop_gradient(losses)[:, None], 2))[:, 0]
        return jnp.mean(weights * losses)

    def outer(model, batch):
        return jnp.mean(nats(mlp(model, batch["x"], 3), batch["y"]))

    def adam(params, gradient, state, rate=0.001, a=0.9, b=0.999):
        m, s, t = state
        t = t + 1
        m = jax.tree.map(lambda m, g: a * m + (1 - a) * g, m, gradient)
        s = jax.tree.map(lambda s, g: b * s + (1 - b) * g * g, s, gradient)
        move = lambda p, m, s: p - rate * (m / (1 - a**t)) / (jnp.sqrt(s / (1 - b**t)) + 1e-8)
        return jax.tree.map(move, params, m, s), (m, s, t)

    @jax.jit
    def step(state, low, high):
        model, weigher, optimizer = state
        loss, gradient = jax.value_and_grad(inner)(model, weigher, low)
        model = descend(model, gradient, 0.1)
        value, v = jax.value_and_grad(outer)(model, high)
        weigher, optimizer = adam(weigher, hop(inner, model, weigher, low, v), optimizer)
        return (model, weigher, optimizer), (loss, value)

    model, weigher = params(tensors, "model"), params(tensors, "weigher")
    zeros = jax.tree.map(jnp.zeros_like, weigher)
    return step, (model, weigher, (zeros, zeros, 0)), ("classifier", "reweight")


def main():
    begun = time.perf_counter()
    tensors = side.load(path)
    step, state, levels = {"logistic": logistic, "reweighting": reweighting}[name](tensors)
    low, high = (side.batches(tensors, level) for level in levels)
    drawn = 0

    def run(state):
        nonlocal drawn
        drawn += 1
        return step(state, low[(drawn - 1) % len(low)], high[(drawn - 1) % len(high)])

    losses = []
    for i in range(int(settling)):
        state, values = run(state)
        if i == 0:
            jax.block_until_ready(values)
            start = time.perf_counter() - begun
        if i < side.TOLD:
            losses.append([float(value) for value in values])
    jax.block_until_ready(state)
    settled = time.perf_counter()
    for _ in range(int(steps)):
        state, values = run(state)
    jax.block_until_ready(state)
    elapsed = time.perf_counter() - settled
    side.tell(elapsed, int(steps), start, losses)


main()
