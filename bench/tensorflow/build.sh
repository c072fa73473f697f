#!/bin/sh
# Builds the addon of @tensorflow/tfjs-node for Linux on x64 where its own download cannot be had, against the C library inside
# TensorFlow's Python package, and puts it into this project's node_modules. Needs python3 with pip, g++ and 2.5 GB of disk.
#   sh bench/tensorflow/build.sh          # tensorflow-cpu: the engine 'tensorflow'
#   sh bench/tensorflow/build.sh gpu      # tensorflow, with CUDA: the engine 'tensorflow-gpu'
# What is built lies in TAPWEIGHT_TENSORFLOW (~/.cache/tapweight/tensorflow where absent); node_modules gets a link to it. What is
# there already is not made again.
set -eu
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
sh "$root/bin/ensure"
PATH="$root/node_modules/.bin:$PATH"
addon=4.22.0
headers=1.9.0
tensorflow=2.21.0
case ${1:-cpu} in
  cpu) wheel=tensorflow-cpu package=tfjs-node ;;
  gpu) wheel=tensorflow package=tfjs-node-gpu ;;
  *) echo "build.sh: '$1' is neither cpu nor gpu" >&2; exit 2 ;;
esac
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "build.sh: only Linux on x64 has these libraries" >&2; exit 1; }
at=${TAPWEIGHT_TENSORFLOW:-${XDG_CACHE_HOME:-$HOME/.cache}/tapweight/tensorflow}/$wheel-$tensorflow
built=$at/$package/lib/napi-v8/tfjs_binding.node
say() { echo "build.sh: $*" >&2; }

mkdir -p "$at"
cd "$at"
if [ ! -f library/done ]; then
  say "TensorFlow's C library and headers, from $wheel $tensorflow"
  rm -rf library wheel
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest wheel "$wheel==$tensorflow"
  python3 - <<'PYTHON'
import glob, zipfile
with zipfile.ZipFile(glob.glob("wheel/*.whl")[0]) as wheel:
    wanted = ("tensorflow/include/", "tensorflow/libtensorflow_")
    wheel.extractall("library", [name for name in wheel.namelist() if name.startswith(wanted)])
PYTHON
  rm -rf wheel
  touch library/done
fi

if [ ! -f "$built" ]; then
  say "@tensorflow/$package $addon, without its install script"
  rm -rf "$package" sources && mkdir sources
  (cd sources && npm pack --silent "@tensorflow/$package@$addon" "node-api-headers@$headers" >/dev/null)
  mkdir "$package" headers 2>/dev/null || mkdir -p "$package" headers
  tar xzf sources/tensorflow-"$package"-*.tgz -C "$package" --strip-components 1
  tar xzf sources/node-api-headers-*.tgz -C headers --strip-components 1
  rm -rf sources

  say "what it depends on, beside TensorFlow.js itself"
  mkdir -p depended && echo '{ "private": true }' > depended/package.json
  node -e '
    const { dependencies } = require(process.argv[1])
    for (const [name, range] of Object.entries(dependencies)) if (name !== "@tensorflow/tfjs") console.log(name + "@" + range)
  ' "$at/$package/package.json" | (cd depended && xargs npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock)
  mv depended/node_modules "$package/node_modules"
  rm -rf depended

  say "the addon"
  mkdir -p "$package/deps/lib" "$package/lib/napi-v8"
  for name in cc framework; do
    ln -sf "$at/library/tensorflow/libtensorflow_$name.so.2" "$package/deps/lib/libtensorflow_$name.so.2"
  done
  # shellcheck disable=SC2016
  (cd "$package" && g++ -std=c++17 -O2 -shared -fPIC -DNAPI_VERSION=8 \
    -I"$at/headers/include" -I"$at/library/tensorflow/include" -I. binding/tfjs_backend.cc binding/tfjs_binding.cc \
    -Ldeps/lib -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 '-Wl,-rpath,$ORIGIN/../../deps/lib' \
    -o "$built.new")
  mv "$built.new" "$built"
fi

# One TensorFlow.js for all: an addon with one of its own would register its kernels there.
mkdir -p "$package/node_modules/@tensorflow"
for each in "$root"/node_modules/@tensorflow/*; do
  case $each in */tfjs-node*) ;; *) ln -sfn "$each" "$package/node_modules/@tensorflow/$(basename "$each")" ;; esac
done
if [ -e "$root/node_modules/@tensorflow/$package" ] && [ ! -L "$root/node_modules/@tensorflow/$package" ]; then
  say "node_modules has an installed @tensorflow/$package, which is left as it is"
else
  ln -sfn "$at/$package" "$root/node_modules/@tensorflow/$package"
  say "linked as node_modules/@tensorflow/$package (npm ci takes the link away; run this again)"
fi
cd "$root"
TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3} node --no-deprecation -e '
  const tf = require("@tensorflow/" + process.argv[1])
  const [sum] = tf.tensor([1, 2, 3]).square().sum().dataSync()
  if (sum !== 14) throw new Error("1 + 4 + 9 gave " + sum)
  console.log("TensorFlow.js runs on " + tf.getBackend() + ": 1 + 4 + 9 = " + sum)
' "$package"
