"""The networks of the workloads in JAX, on parameters by path, as jax_side.py reads them."""

import jax
import jax.numpy as jnp


def affine(p, path, x):
    return x @ p[path + ".w"] + p[path + ".b"]


def nats(logits, labels):
    return jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]


def mlp(p, x, layers):
    for i in range(layers):
        x = affine(p, f".{i}", x if i == 0 else jax.nn.relu(x))
    return x


# A Transformer as Transformer.ts. Under `scanned` the layers' parameters stand stacked as `layers.<path>` and one compiled body
# is looped over; else they are `layers.<i>.<path>` and every layer is compiled by itself.


def stacked(p, prefix="encoder."):
    """Parameters with each layer's put together along a new first axis."""
    layers = sorted({int(key.split(".")[2]) for key in p if key.startswith(prefix + "layers.")})
    paths = [key.split(".", 3)[3] for key in p if key.startswith(f"{prefix}layers.{layers[0]}.")]
    rest = {key: x for key, x in p.items() if not key.startswith(prefix + "layers.")}
    return rest | {f"{prefix}layers.{at}": jnp.stack([p[f"{prefix}layers.{i}.{at}"] for i in layers]) for at in paths}


def norm(p, path, x):
    centred = x - jnp.mean(x, -1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(jnp.square(centred), -1, keepdims=True) + 1e-5)
    return centred / deviation * p[path + ".scale"] + p[path + ".offset"]


def block(p, x, bias):
    """One layer: x [b · t, d]; `bias` [b, 1, 1, t] is added to the scores of each key."""
    w = p["attention.qkv.w"]
    width, _, heads, depth = w.shape
    batch, length = bias.shape[0], bias.shape[3]
    flat = norm(p, "attention.norm", x) @ w.reshape(width, 3 * width) + p["attention.qkv.b"].reshape(-1)
    query, key, value = flat.reshape(batch, length, 3, heads, depth).transpose(2, 0, 3, 1, 4)
    scores = (query * depth**-0.5) @ key.swapaxes(2, 3)
    mixed = jax.nn.softmax(scores + bias) @ value
    x = x + affine(p, "attention.out", mixed.transpose(0, 2, 1, 3).reshape(batch * length, width))
    return x + affine(p, "perceptron.down", jax.nn.gelu(affine(p, "perceptron.up", norm(p, "perceptron.norm", x)), approximate=False))


def below(p, prefix):
    return {key[len(prefix) :]: x for key, x in p.items() if key.startswith(prefix)}


def transformer(p, ids):
    batch, length = ids.shape
    width = p["encoder.tokens"].shape[1]
    bias = jnp.where(ids == 0, -1e9, 0.0).reshape(batch, 1, 1, length)
    x = (p["encoder.tokens"][ids] + p["encoder.positions"][:length]).reshape(batch * length, width)
    if "encoder.layers.attention.qkv.w" in p:
        x, _ = jax.lax.scan(lambda x, layer: (block(layer, x, bias), None), x, below(p, "encoder.layers."))
    else:
        layer = 0
        while f"encoder.layers.{layer}.attention.qkv.w" in p:
            x = block(below(p, f"encoder.layers.{layer}."), x, bias)
            layer += 1
    return norm(p, "encoder.norm", x).reshape(batch, length, width)


def average(hidden, ids):
    real = (ids != 0).astype(jnp.float32)[..., None]
    return (hidden * real).sum(1) / jnp.maximum(real.sum(1), 1)


def unit_rows(x):
    return x / jnp.sqrt(jnp.sum(jnp.square(x), -1, keepdims=True) + 1e-12)


# ResNet18 as ResNet.ts, channels first: with channels last, XLA's CPU took seven times as long as our program, whose channels are first.


def channels_first(p):
    """Filters [height, width, in, out] as [out, in, height, width]."""
    return {key: x.transpose(3, 2, 0, 1) if key.endswith("filter") else x for key, x in p.items()}


def resnet18(p, x):
    """Normalised by the batch, without running statistics: pictures [n, channels, height, width]."""

    def unit(path, x, stride):
        w = p[path + ".filter"]
        around = (w.shape[-1] - 1) // 2
        y = jax.lax.conv_general_dilated(
            x, w, (stride, stride), [(around, around)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
        mean = jnp.mean(y, (0, 2, 3), keepdims=True)
        variance = jnp.mean(jnp.square(y - mean), (0, 2, 3), keepdims=True)
        factor = p[path + ".norm.scale"][:, None, None] * jax.lax.rsqrt(variance + 1e-5)
        return y * factor + (p[path + ".norm.offset"][:, None, None] - mean * factor)

    x = jax.nn.relu(unit("encoder.stem", x, 2))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for stage in range(4):
        for i in range(2):
            at = f"encoder.stages.{stage}.{i}"
            stride = 2 if stage > 0 and i == 0 else 1
            around = unit(at + ".skip", x, stride) if at + ".skip.filter" in p else x
            x = jax.nn.relu(unit(at + ".second", jax.nn.relu(unit(at + ".first", x, stride)), 1) + around)
    return x.mean((2, 3))
