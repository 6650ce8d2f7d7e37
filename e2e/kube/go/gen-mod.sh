#!/usr/bin/env bash
# Writes go.mod and go.sum for one version of Kubernetes: the requirements of k8s.io/kubernetes itself, with each of its
# staging modules (v0.0.0 there) replaced by the published v0.X.Y. Usage: gen-mod.sh v1.37.2
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
version=${1:?the version of Kubernetes, like v1.37.2}
staged=v0.${version#v1.}
go mod download "k8s.io/kubernetes@$version"
modules=$(go env GOMODCACHE)
source=$modules/cache/download/k8s.io/kubernetes/@v/$version.mod
staging=$(sed -n 's#^\t\(k8s.io/[a-z-]*\) => ./staging/.*#\1#p' "$source")
{
  printf 'module walrus.local/kube\n\n'
  grep -E '^(go|godebug) ' "$source"
  printf '\nrequire k8s.io/kubernetes %s\n\n' "$version"
  sed -n '/^require (/,/^)/p' "$source" | grep -v ' v0\.0\.0\( \|$\)'
  printf '\nreplace (\n'
  for module in $staging; do printf '\t%s => %s %s\n' "$module" "$module" "$staged"; done
  printf ')\n\nrequire (\n'
  for module in $staging; do grep -qE "^	$module v0\.0\.0" "$source" && printf '\t%s %s\n' "$module" "$staged"; done
  printf ')\n'
} >go.mod
# The sums of everything outside the staging modules, as Kubernetes itself pins them.
cp "$modules/k8s.io/kubernetes@$version/go.sum" go.sum
chmod u+w go.sum
