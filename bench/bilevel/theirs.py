"""benchmark_bilevel's JAX solvers on our problems: python theirs.py CHECKOUT FOLDER

FOLDER holds spec.json and the columns that it names as raw little-endian files. The solvers are the checkout's, unchanged; what stands
in for the rest is stated here: benchopt's base classes where that is not installed, and a sampler that reads the batches it is given,
so that both sides take the same ones. Prints JSON: by run the iterates at each record and the seconds between records.
"""

import contextlib
import importlib
import json
import sys
import time
import types
from functools import partial
from pathlib import Path


def stand_in_for_benchopt():
    class BaseSolver:
        def run_once(self, *_):
            pass

    @contextlib.contextmanager
    def safe_import_context():
        yield types.SimpleNamespace()

    class SufficientProgressCriterion:
        def __init__(self, **_):
            pass

    benchopt = types.ModuleType("benchopt")
    benchopt.BaseSolver, benchopt.safe_import_context = BaseSolver, safe_import_context
    stopping = types.ModuleType("benchopt.stopping_criterion")
    stopping.SufficientProgressCriterion = SufficientProgressCriterion
    sys.modules["benchopt"], sys.modules["benchopt.stopping_criterion"] = benchopt, stopping


# Their modules print as they are loaded: what is said is said at the end.
said, sys.stdout = sys.stdout, sys.stderr
checkout, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(checkout))
stand_in_for_benchopt()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

base = importlib.import_module("benchmark_utils.stochastic_jax_solver")
approximations = importlib.import_module("benchmark_utils.hessian_approximation")
spec = json.loads((folder / "spec.json").read_text())


def column(of):
    raw = np.fromfile(folder / of["file"], dtype="<i4" if of["dtype"] == "int32" else "<f4")
    return jnp.array(raw.reshape(of["shape"]))


lower = {name: column(of) for name, of in spec["lower"].items()}
upper = {name: column(of) for name, of in spec["upper"].items()}
n, m = (next(iter(side.values())).shape[0] for side in (lower, upper))
z0, x0 = column(spec["z0"]), column(spec["x0"])


def quadratic(z, x, rows):
    s, t, p, q, a, b = (rows[name] for name in "stpqab")
    return jnp.mean(0.5 * (s @ z) ** 2 + 0.5 * (t @ x) ** 2 + (p @ x) * (q @ z) + a @ z + b @ x)


def log_loss(z, rows):
    return jnp.mean(jax.nn.softplus(-rows["y"] * (rows["x"] @ z)))


def cross_entropies(z, rows):
    logits = rows["x"] @ z.reshape(rows["x"].shape[1], 10)
    return jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, rows["y"][:, None], axis=1)[:, 0]


losses = {
    "quadratic": (quadratic, quadratic),
    "logistic": (
        lambda z, x, rows: log_loss(z, rows) + 0.5 * jnp.dot(jnp.exp(x) * z, z),
        lambda z, x, rows: log_loss(z, rows),
    ),
    "cleaning": (
        lambda z, x, rows: jnp.mean(jax.nn.sigmoid(x[rows["row"]]) * cross_entropies(z, rows)) + 0.2 * jnp.sum(z**2),
        lambda z, x, rows: jnp.mean(cross_entropies(z, rows)),
    ),
}
lower_loss, upper_loss = losses[spec["problem"]]


def sliced(loss, columns):
    @partial(jax.jit, static_argnames="batch_size")
    def of(inner_var, outer_var, start=0, batch_size=1):
        rows = {
            name: jax.lax.dynamic_slice(value, (start,) + (0,) * (value.ndim - 1), (batch_size,) + value.shape[1:])
            for name, value in columns.items()
        }
        return loss(inner_var, outer_var, rows)

    return of


def sampler_of(starts, size, rows):
    """As theirs, with the batches that are given in place of those that are drawn."""
    starts = jnp.array(starts, dtype=jnp.int32)

    def sample(state):
        start = starts[state["at"] % len(starts)]
        after = {**state, "at": state["at"] + 1}
        return start, start // size, size / rows, after

    return sample, {"at": jnp.array(0), "batch_order": jnp.arange(rows // size)}


def mended(carry, name, solver):
    """The previous iterate is the initial one, not zero, and the last direction the one there: all batches at once."""
    grad_lower = jax.grad(solver.f_inner, argnums=0)
    grad_upper = jax.grad(solver.f_outer, argnums=(0, 1))
    inner, outer = grad_upper(z0, x0, 0)
    if name == "FSLA":
        carry["memory_outer"] = jnp.stack([x0, outer])
    else:
        _, pull = jax.vjp(lambda x: grad_lower(z0, x, 0), x0)
        state = {"at": jnp.array(0)}
        fixed = lambda state: (0, 0, 1.0, state)  # noqa: E731
        u, _ = approximations.shia_jax(
            z0, x0, inner, state, solver.step_size, sampler=fixed, n_steps=solver.n_shia_steps, grad_inner=grad_lower
        )
        carry["memory_inner"] = jnp.stack([z0, grad_lower(z0, x0, 0)])
        carry["memory_outer"] = jnp.stack([x0, outer - pull(u)[0]])
    return carry


def numbers(x):
    """What is not finite has no number in JSON."""
    return [value if np.isfinite(value) else None for value in x.tolist()]


def run(of):
    Solver = importlib.import_module("solvers." + of["module"]).Solver
    solver = Solver()
    for name, values in Solver.parameters.items():
        setattr(solver, name, values[0])
    for name, value in of["parameters"].items():
        setattr(solver, name, value)
    solver.batch_size = "full" if of["batch"] is None else of["batch"]
    solver.eval_freq = of["every"]
    queue = [(of["lowerStarts"], of["batch"] or n, n), (of["upperStarts"], of["batch"] or m, m)]

    def init_sampler(n_samples, batch_size, key):
        return sampler_of(*queue.pop(0))

    base.init_sampler = init_sampler
    solver.set_objective(sliced(lower_loss, lower), sliced(upper_loss, upper), n, m, z0, x0)
    if of["mended"]:
        init = solver.init
        solver.init = lambda: mended(init(), of["name"], solver)
    records, seconds, last = [], [], None
    # A solver without epochs calls back at each of its iterations.
    calls, stride = -1, 1 if hasattr(solver, "one_epoch") else of["every"]

    def callback():
        nonlocal calls, last
        calls += 1
        if calls % stride != 0:
            return True
        z, x = np.asarray(solver.inner_var), np.asarray(solver.outer_var)
        if last is not None:
            seconds.append(time.perf_counter() - last)
            records.append({"z": numbers(z), "x": numbers(x)})
        last = time.perf_counter()
        return len(records) < of["records"]

    solver.run(callback)
    return {"name": of["name"], "records": records, "seconds": seconds}


json.dump({"jax": jax.__version__, "runs": [run(of) for of in spec["runs"]]}, said)
