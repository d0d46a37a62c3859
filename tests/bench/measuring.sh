# How tests/bench/compare measures: load by wrk, pulls by skopeo, processor time and memory by /proc. Sourced by it.
# Each measurement is a line of JSON in the file "results"; "round", "seconds" and "warming" (seconds of warm-up for a row) are the caller's.

ids() { # PEER: its processes, workers and both schemes' instances
  local id
  for id in ${process[$1]} ${process[$1-tls]:-}; do
    echo "$id"
    cat "/proc/$id/task/$id/children" 2>/dev/null | tr ' ' '\n'
  done | grep .
}

ticks() { # PEER: processor time so far
  ids "$1" | sed 's|.*|/proc/&/stat|' | xargs cat 2>/dev/null | sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

kilobytes() { # PEER FIELD: VmHWM or VmRSS of its processes
  ids "$1" | sed 's|.*|/proc/&/status|' | xargs cat 2>/dev/null | awk -v field="$2:" '$1 == field { sum += $2 } END { print sum + 0 }'
}

token() { # SCHEME PEER REPOSITORY: fetched as a client fetches it, through the proxy under test; of a range ("image[0-9]") a line for each
  curl --silent --fail --max-time 10 --write-out '\n' --cacert "$work/certificates/ca.crt" --user bob:builder \
    "$1://$(address "$1" "$2")/token?service=registry.docker.io&scope=repository:$3:pull" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p'
}

targets() { # SCHEME PEER REPOSITORY TAIL: appends a line to the file of targets
  local credential=-
  [[ $2 != imageaccess* ]] || credential=$(token "$1" "$2" "$3")
  echo "/v2/$3/$4 $credential" >>"$work/targets"
}

aim() { # ROW SCHEME PEER: makes the file of targets of a hot row, and sets "connections"
  local repository=library/bench0 tail=manifests/latest
  connections=32
  case $1 in
    blobs-1MiB) tail=blobs/$small connections=8 ;;
    blobs-100MiB) tail=blobs/$large connections=4 ;;
    denials) repository=someuser/bench0 ;;
  esac
  : >"$work/targets"
  targets "$2" "$3" "$repository" "$tail"
}

load() { # SCHEME PEER CONNECTIONS SECONDS: one line of JSON, from wrk
  timeout $(($4 + 20)) wrk -t 2 -c "$3" -d "$4s" --timeout 30s -s "$here/targets.lua" "$1://$(address "$1" "$2")" -- "$work/targets" >"$work/wrk.out" 2>&1 ||
    { cat "$work/wrk.out" >&2; fail "wrk failed on $2"; }
  grep '^{' "$work/wrk.out" || { cat "$work/wrk.out" >&2; fail "wrk said nothing of $2"; }
}

ticks_a_second=$(getconf CLK_TCK)
measure() { # ROW SCHEME PEER CONNECTIONS: over the file of targets
  local before after said
  before=$(ticks "$3")
  said=$(load "$2" "$3" "$4" "$seconds")
  after=$(ticks "$3")
  printf '{"row":"%s","scheme":"%s","peer":"%s","round":%d,"cpu":%s,%s\n' "$1" "$2" "$3" "$round" \
    "$(awk "BEGIN { print ($after - $before) / $ticks_a_second }")" "${said#\{}" >>"$results"
}

hot() { # ROW SCHEME PEER
  aim "$@"
  measure "$@" "$connections"
}

warm_up() { # SCHEME PEER ROW...: a program that is compiled at run time needs some thousand requests to reach its speed
  local row
  for row in "${@:3}"; do
    aim "$row" "$1" "$2"
    load "$1" "$2" "$connections" "$warming" >/dev/null
  done
}

pull() { # ROW SCHEME PEER REPOSITORY: the seconds that a whole pull takes
  local began ended verify=(--src-tls-verify=false)
  [ "$2" = http ] || verify=(--src-cert-dir "$work/trusted")
  rm -rf "$work/pulled"
  began=$EPOCHREALTIME
  timeout 60 skopeo --insecure-policy copy --quiet "${verify[@]}" --src-creds bob:builder \
    "docker://$(address "$2" "$3")/$4:latest" "dir:$work/pulled" >"$work/skopeo.out" 2>&1 ||
    { cat "$work/skopeo.out" >&2; fail "skopeo could not pull $4 from $3 ($2)"; }
  ended=$EPOCHREALTIME
  printf '{"row":"%s","scheme":"%s","peer":"%s","round":%d,"took":%s}\n' "$1" "$2" "$3" "$round" \
    "$(awk "BEGIN { printf \"%.4f\", $ended - $began }")" >>"$results"
}

first_pull() { # SCHEME PEER: fills its cache, and compares what it serves with what was made
  pull warm-up "$1" "$2" library/bench0
  cmp -s "$work/pulled/manifest.json" "$content/manifests/$manifest" || fail "$2 serves another manifest"
}

repositories() { # COUNT PEER: as many targets, each with its own token
  token http "$2" "library/bench[0-$(($1 - 1))]" | awk '{ printf "/v2/library/bench%d/manifests/latest %s\n", NR - 1, $0 }' >"$work/targets"
}

policy_version() { # PEER
  curl --silent --max-time 5 "http://127.0.0.1:${port[$1-admin]}/readyz" | grep -o '"policyVersion": *"[^"]*"'
}

entries_in_force() { # COUNT PEER...
  local peer
  declare -A before
  for peer in "${@:2}"; do before[$peer]=$(policy_version "$peer"); done
  policy "$1"
  for _ in $(seq 50); do
    for peer in "${!before[@]}"; do
      [ "$(policy_version "$peer")" = "${before[$peer]}" ] || unset "before[$peer]"
    done
    [ "${#before[@]}" -gt 0 ] || return 0
    sleep 0.1
  done
  fail "the policy with $1 entries is not in force"
}

machine() { # [VERSIONS]: what the measurements were made on, as JSON
  cat <<MACHINE
{
  "cores": $(nproc), "memoryGiB": $(awk '/MemTotal/ { printf "%d", $2 / 1048576 + 0.5 }' /proc/meminfo),
  "rounds": $rounds, "secondsPerRun": $seconds,
  "versions": {
    "dotnet": "$(dotnet --list-runtimes | sed -n 's/^Microsoft.AspNetCore.App \([^ ]*\).*/\1/p' | tail -n 1)",
    "nginx": "$(nginx -v 2>&1 | sed 's|.*/||')", "skopeo": "$(skopeo --version | awk '{ print $3 }')"${1:+, $1}
  }
}
MACHINE
}
