#!/bin/sh
# On a machine with a card: the laws' short form, then the workloads beside JAX, PyTorch and torch.compile, in 8 minutes, as one JSON.
#   sh bench/gpu/run.sh [--out card.json] [--minutes 8] [--python python3] [--rehearse]
# XLA's plugin is the one of the JAX that `python3` has, or that TAPWEIGHT_PJRT_PLUGIN names. Of an unpacked archive of
# bench/gpu/pack.sh nothing else is needed but Python with JAX and PyTorch. --rehearse: tiny settings, for a machine without a card.
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
node="$root/node_modules/.bin/node"
[ -x "$root/bin/node" ] && node="$root/bin/node"
[ -d "$root/python" ] && PYTHONPATH="$root/python${PYTHONPATH:+:$PYTHONPATH}" && export PYTHONPATH
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
# JAX and PyTorch take the card one after another, and neither more of it than it needs.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
# Without the JIT's own TF32, on any side, in float32.
export NVIDIA_TF32_OVERRIDE="${NVIDIA_TF32_OVERRIDE:-0}"
exec "$node" --conditions=tapweight-source --disable-warning=ExperimentalWarning "$root/bench/gpu/main.ts" "$@"
