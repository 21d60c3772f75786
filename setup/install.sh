#!/usr/bin/env bash
# Installs a full build: install.sh BINARY PREFIX. The binary finds its libraries in
# PREFIX/lib/atrous, wherever PREFIX is moved to later.
set -euo pipefail
binary=$1 prefix=$2
view=$(cd "$(dirname "$0")/.." && pwd)/.libtorch

# link FROM... TO: hard links where the file system allows, else copies
link() { cp -rfL --link "$@" 2>/dev/null || cp -rfL "$@"; }

install -d "$prefix/bin" "$prefix/lib"
part=$(mktemp -d "$prefix/lib/.atrous-XXXXXX")
trap 'rm -rf "$part"' EXIT
chmod 755 "$part"
for library in "$view"/lib/*.so*; do
  # libtorch.so and libgomp.so are for the linker
  [[ ${library##*/} == @(libtorch|libgomp).so ]] || link "$library" "$part/"
done
if [[ -d $(cat "$view/from")/lib/cuda ]]; then
  link "$(cat "$view/from")/lib/cuda" "$part/"
fi
rm -rf "$prefix/lib/atrous"
mv -T "$part" "$prefix/lib/atrous"
trap - EXIT
install -m 755 "$binary" "$prefix/bin/.atrous.part"
mv -f "$prefix/bin/.atrous.part" "$prefix/bin/atrous"

atrous=$prefix/bin/atrous
"$atrous" --version
# generate FILE ARGUMENTS...: what the program prints
generate() {
  install -d "$(dirname "$prefix/share/$1")"
  "$atrous" "${@:2}" >"$prefix/share/$1"
}
generate bash-completion/completions/atrous completions bash
generate zsh/site-functions/_atrous completions zsh
generate fish/vendor_completions.d/atrous.fish completions fish
"$atrous" man --out "$prefix/share/man/man1"
echo "installed $atrous; its libraries are in $prefix/lib/atrous"
[[ :$PATH: == *:"$prefix/bin":* ]] || echo "add $prefix/bin to PATH"
