#!/usr/bin/env bash
# Packs a default binary for other machines: dist.sh BINARY FOLDER. Makes
# FOLDER/atrous-VERSION-ARCH-linux.tar.gz with the stripped program, completions, manual pages, the
# models of the repository and all licences, and FOLDER/SHA256SUMS.
set -euo pipefail
binary=$1 folder=$2
root=$(cd "$(dirname "$0")/.." && pwd)
version=$("$binary" --version | cut -d ' ' -f 2)
name=atrous-$version-$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')

mkdir -p "$folder"
part=$(mktemp -d "$folder/.part-XXXXXX")
trap 'rm -rf "$part"' EXIT
top=$part/$name
mkdir -p "$top/bin" "$top/share/licences" "$top/share/atrous"

strip -o "$top/bin/atrous" "$binary"
atrous=$top/bin/atrous
generate() { # generate FILE ARGUMENTS...: what the program prints
  mkdir -p "$(dirname "$top/share/$1")"
  "$atrous" "${@:2}" >"$top/share/$1"
}
generate bash-completion/completions/atrous completions bash
generate zsh/site-functions/_atrous completions zsh
generate fish/vendor_completions.d/atrous.fish completions fish
"$atrous" man --out "$top/share/man/man1"
cp -r "$root/models" "$root/workflow" "$top/share/atrous/"
cp "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$top/"

# the crates that are in the program, with the licence texts that they carry
sources=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/)
list=$top/share/licences/crates.tsv
printf 'crate\tversion\tlicence\n' >"$list"
(cd "$root" && cargo tree --locked --edges normal --prefix none --format '{p}|{l}') | sort -u |
  while IFS='|' read -r package licence; do
    read -r crate number _ <<<"$package"
    [[ $crate != atrous ]] || continue
    printf '%s\t%s\t%s\n' "$crate" "${number#v}" "${licence% (\*)}" >>"$list"
    for source in $sources; do
      for text in "$source$crate-${number#v}"/{LICEN[CS]E,COPYING,NOTICE,COPYRIGHT}*; do
        [[ -f $text ]] || continue
        mkdir -p "$top/share/licences/$crate"
        cp "$text" "$top/share/licences/$crate/"
      done
    done
  done

# the oldest C library that has all that the program asks of it
floor=$(objdump -T "$atrous" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
{
  echo "atrous $version, built $(uname -m) $(rustc --version)"
  echo "needs Linux with glibc ${floor#GLIBC_} or newer and nothing else; no GPU (make install has that)"
  echo "instruction sets are chosen when it runs: AVX-512, AVX2 or any"
} >"$top/BUILD.txt"

archive=$folder/$name.tar.gz
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='@0' -C "$part" -cf - "$name" |
  gzip -9n >"$part/archive"
mv "$part/archive" "$archive"
(cd "$folder" && sha256sum "$name.tar.gz" >SHA256SUMS)
cat "$top/BUILD.txt"
echo "$archive: $(stat -c %s "$archive") bytes"
