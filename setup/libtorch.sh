#!/usr/bin/env bash
# Makes .libtorch, the libtorch that atrous is built against with the feature `torch`. Taken from
# the folder that LIBTORCH names (a libtorch zip, or the torch folder of a pip installation), else
# from the user's cache, else fetched by pip into the cache, checked against the hashes beside this
# script. With --cuda also the libraries that a GPU needs (2.7 GB on disk).
set -euo pipefail
version=2.11.0
here=$(cd "$(dirname "$0")" && pwd)
view=$(dirname "$here")/.libtorch
cache=${XDG_CACHE_HOME:-$HOME/.cache}/atrous
kept=$cache/libtorch-$version
cuda=${1:-}

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $1"
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}
otherwise=("or unpack the libtorch $version zip of pytorch.org (CPU, C++11 ABI) and name its folder:"
  "    make torch LIBTORCH=/path/to/libtorch"
  "The CPU engine needs none of this: make install-lite")

# fetch FOLDER REQUIREMENTS PATTERN...: the members of the wheels that match, below FOLDER
fetch() {
  local into=$1 list=$2
  shift 2
  [[ $(uname -sm) == "Linux x86_64" ]] ||
    fail "no pinned libtorch for $(uname -sm)" "On this machine:" "${otherwise[@]}"
  python3 -m pip --version >/dev/null 2>&1 ||
    fail "fetching libtorch needs python3 with pip" "Install them (Debian: python3-pip)," "${otherwise[@]}"
  mkdir -p "$into/wheels"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
    --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
    --platform manylinux_2_12_x86_64 --platform manylinux1_x86_64 \
    --platform manylinux_2_5_x86_64 --dest "$into/wheels" --requirement "$list" >&2 ||
    fail "pip could not fetch libtorch (its own message is above)" \
      "Without a network, copy $kept from a machine that has it," "${otherwise[@]}"
  python3 - "$into" "$@" <<'PYTHON'
import fnmatch, glob, sys, zipfile
into, patterns = sys.argv[1], sys.argv[2:]
for wheel in glob.glob(into + "/wheels/*.whl"):
    with zipfile.ZipFile(wheel) as members:
        for name in members.namelist():
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                members.extract(name, into)
PYTHON
  rm -r "$into/wheels"
}

# One run at a time fills the cache, in a folder of its own that gets its name when complete.
fill_cache() {
  local part
  mkdir -p "$cache"
  exec 9>"$cache/libtorch.lock"
  flock 9
  rm -rf "$cache"/.libtorch-*
  part=$(mktemp -d "$cache/.libtorch-XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$part'" EXIT
  if [[ ! -e $kept ]]; then
    say "fetching libtorch $version for the CPU into $kept (540 MB to download, once)"
    fetch "$part" "$here/libtorch.txt" 'torch/include/*' torch/lib/libtorch_cpu.so \
      torch/lib/libc10.so torch/lib/libgomp.so.1 'nvidia/*/lib/libcudart.so.*' \
      'nvidia/*/lib/libcupti.so.*'
    mkdir -p "$part/libtorch/lib"
    mv "$part/torch/include" "$part/libtorch/include"
    mv "$part"/torch/lib/* "$part"/nvidia/*/lib/* "$part/libtorch/lib/"
    echo "$version" >"$part/libtorch/build-version"
    mv -T "$part/libtorch" "$kept"
  fi
  if [[ $cuda == --cuda && ! -e $kept/lib/cuda ]]; then
    say "fetching the GPU libraries of libtorch into $kept/lib/cuda (2.2 GB to download, once)"
    fetch "$part/cuda" "$here/libtorch-cuda.txt" torch/lib/libtorch_cuda.so \
      torch/lib/libtorch_cuda_linalg.so torch/lib/libc10_cuda.so torch/lib/libtorch_nvshmem.so \
      torch/lib/libcaffe2_nvrtc.so 'nvidia/*/lib/*.so*'
    mv -T "$part/cuda" "$kept/lib/cuda"
  fi
  flock -u 9
}

from=${LIBTORCH:-}
if [[ -z $from ]]; then
  from=$kept
  if [[ ! -e $kept || ($cuda == --cuda && ! -e $kept/lib/cuda) ]]; then
    fill_cache
  fi
fi
from=$(realpath -m "$from")
[[ -e $from/lib/libtorch_cpu.so && -e $from/include/ATen/ATen.h ]] ||
  fail "$from is no libtorch: it has no lib/libtorch_cpu.so or no include/ATen/ATen.h" \
    "Let LIBTORCH name the folder that holds lib and include, or leave it out."
found=$(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$from/version.py" 2>/dev/null ||
  cat "$from/build-version" 2>/dev/null || true)
[[ -z $found || ${found%%+*} == "$version" ]] ||
  fail "$from is libtorch $found; atrous is built against $version"

say "libtorch $version: $from"
[[ $(cat "$view/from" 2>/dev/null) != "$from" || ! -e $view/lib/libtorch_cpu.so ]] || exit 0

# Links to the libraries, but for libtorch.so: a pip installation's needs every GPU library at the
# start of the program, so a linker script stands in for it (docs/decisions/libtorch.md).
part=$(mktemp -d "$view.XXXXXX")
mkdir "$part/lib"
ln -s "$from/include" "$part/include"
shopt -s nullglob
for library in "$from"/lib/*.so* "$from"/../nvidia/*/lib/lib{cudart,cupti}.so.*; do
  case ${library##*/} in
    libtorch.so | libtorch_python.so | *cuda.so | *cuda_linalg.so | *nvrtc.so | *nvshmem.so) ;;
    *) ln -s "$library" "$part/lib/" ;;
  esac
done
echo 'INPUT(-ltorch_cpu)' >"$part/lib/libtorch.so"
[[ ! -e $part/lib/libgomp.so.1 ]] || ln -s libgomp.so.1 "$part/lib/libgomp.so"
echo "$version" >"$part/build-version"
echo "$from" >"$part/from"
rm -rf "$view"
mv -T "$part" "$view"
