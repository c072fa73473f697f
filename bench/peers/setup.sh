#!/bin/sh
# The Python side of `npm run bench:peers`, in bench/.venv (git-ignored): sh bench/peers/setup.sh
# For x86-64 Linux the registry's torch is the CUDA build; it runs on the CPU here, but takes several GB of disk.
set -e
cd "$(dirname "$0")/.."
python3 -m venv .venv
.venv/bin/pip install torch==2.15.0 numpy==2.3.5 jax==0.10.2
# Its declared requirements (torch>=1.6.*) are no valid specifiers for a current pip, so they stand above.
.venv/bin/pip install --no-deps betty-ml==0.1.1
.venv/bin/python -c 'import betty, jax, torch; print("torch", torch.__version__, "jax", jax.__version__)'
