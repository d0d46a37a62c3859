# tests/bench/compare --against REVISION: the build of a revision and that of the working tree take turns in one run. Sourced by it.
# Each round starts both anew, with empty data: so a build is not judged by what one process happened to compile and where its memory
# happened to lie, and the first pull of an image in a round is a cold one.

builds=(imageaccess imageaccess-before)
instances=(imageaccess imageaccess-tls imageaccess-before imageaccess-before-tls)
images=3 # for the pulls, for each scheme
warming=1

install curl nginx wrk skopeo nodejs git
revision=$(git rev-parse --short --verify --quiet "$against^{commit}") || fail "$against is no revision of this repository"
today=$(git rev-parse --short HEAD)
[ -z "$(git status --porcelain)" ] || today+=" (changed)"

say "building $revision (Release)"
before=$work/before
git worktree add --quiet --detach "$before" "$revision"
build "$before/src/ImageAccess.Proxy"
if [ -z "${NO_BUILD:-}" ]; then
  say "building the working tree, $today"
  build tests/ImageAccess.FakeHub
  build src/ImageAccess.Proxy
fi
declare -A program=([imageaccess]=$proxy [imageaccess-before]=$before/src/ImageAccess.Proxy/$built/imageaccess.dll)

free_ports files hub hub-auth hub-api hub-cdn hub-index "${instances[@]}" "${instances[@]/%/-admin}"
hot_content
for ((i = 1; i <= images; i++)); do
  for scheme in "${schemes[@]}"; do cold_content "cold-$scheme-${i}x"; done
done
start_upstream
policy "$entries"
create_certificate "$proxy"

start_builds() {
  local build scheme
  rm -rf "$work"/imageaccess*.data
  for build in "${builds[@]}"; do start_proxy "$build" "${program[$build]}"; done
  for build in "${builds[@]}"; do await_peer "$build"; done
  for scheme in "${schemes[@]}"; do
    each warm_build "$scheme"
  done
  settle
}

settle() { # waits until nothing is left of the warm-up: what it made hot is compiled in the background for a second or two
  local before after
  for _ in $(seq 40); do
    before=$(ticks imageaccess) after=$(ticks imageaccess-before)
    sleep 0.5
    [ $(($(ticks imageaccess) + $(ticks imageaccess-before) - before - after)) -gt 2 ] || return 0
  done
  fail "the builds do not come to rest after the warm-up"
}

each() { # COMMAND...: for both builds, one right after the other; which one is first changes from row to row and from round to round
  local order=("${builds[@]}")
  turn=$((1 - turn))
  [ "$turn" = 0 ] || order=("${builds[1]}" "${builds[0]}")
  "$@" "${order[0]}"
  "$@" "${order[1]}"
}

warm_build() { # SCHEME BUILD
  first_pull "$1" "$2"
  warm_up "$1" "$2" manifests blobs-1MiB denials
}

pull_image() { # ROW SCHEME REPOSITORY BUILD
  pull "$1" "$2" "$4" "$3"
}

all_repositories() { # BUILD: makes the targets of a hundred repositories for "grown", and lets the build keep all their manifests
  repositories 100 "$1"
  cp "$work/targets" "$work/targets-$1"
  load http "$1" 32 "$warming" >/dev/null
}

grown() { # ROW REPOSITORIES CONNECTIONS BUILD
  head -n "$2" "$work/targets-$4" >"$work/targets"
  measure "$1" http "$4" "$3"
}

peak_memory() { # BUILD
  printf '{"row":"memory","scheme":"","peer":"%s","round":%d,"kilobytes":%d}\n' "$1" "$round" "$(kilobytes "$1" VmHWM)" >>"$results"
}

for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  turn=$((round % 2))
  start_builds
  for scheme in "${schemes[@]}"; do
    for row in manifests blobs-1MiB blobs-100MiB denials; do each hot "$row" "$scheme"; done
    for row in cold-pull hot-pull; do
      for ((i = 1; i <= images; i++)); do each pull_image "$row" "$scheme" "library/cold-$scheme-${i}x"; done
    done
  done
  each all_repositories
  each grown grown-base 10 32
  each grown grown-connections 10 320
  each grown grown-repositories 100 32
  entries_in_force $((entries * 10)) "${builds[@]}"
  each grown grown-entries 10 32
  each peak_memory
  stop "${instances[@]}"
  policy "$entries"
done

json=${json:-$root/TestResults/against.json}
mkdir -p "$(dirname "$json")"
machine "\"revision\": \"$revision\", \"today\": \"$today\", \"date\": \"$(date --utc +%F)\"" | node "$here/against.mjs" "$results" "$json"
say "results in $json"
