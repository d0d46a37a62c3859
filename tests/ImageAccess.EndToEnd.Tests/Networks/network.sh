# What the recipes' tests have in common; run in mount, network and process namespaces of their own, with RECIPE and WORK set.
set -euo pipefail
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
cp /etc/passwd "$WORK/passwd"
echo 'imageaccess:x:987:987::/nonexistent:/usr/sbin/nologin' >>"$WORK/passwd"
mount --bind "$WORK/passwd" /etc/passwd
mkdir -p /run/netns

machine() { # NAME: with a network of its own
  ip netns add "$1"
  ip -n "$1" link set lo up
}

# Addresses are up at once: nobody else is on these networks.
address() { # MACHINE INTERFACE ADDRESS...
  local machine=$1 interface=$2 one
  shift 2
  for one; do
    case $one in *:*) ip -n "$machine" address add "$one" dev "$interface" nodad ;; *) ip -n "$machine" address add "$one" dev "$interface" ;; esac
  done
  ip -n "$machine" link set "$interface" up
}

cable() { # MACHINE INTERFACE MACHINE INTERFACE
  ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
}

forwarding() { # MACHINE
  in_machine "$1" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

in_machine() { # MACHINE COMMAND...
  local machine=$1
  shift
  ip netns exec "$machine" "$@"
}

gateway() { # MACHINE ADDRESS...: where it sends what it knows no other way for
  local machine=$1 one
  shift
  for one; do
    case $one in *:*) ip -n "$machine" -6 route add default via "$one" ;; *) ip -n "$machine" route add default via "$one" ;; esac
  done
}

says() { # MACHINE WORD PORT: answers every connection and datagram, of both families, with the word
  in_machine "$1" socat "TCP6-LISTEN:$3,fork,reuseaddr,ipv6only=0" "SYSTEM:echo $2" &
  in_machine "$1" socat "UDP6-RECVFROM:$3,fork,reuseaddr,ipv6only=0" "SYSTEM:read line; echo $2" &
  for _ in $(seq 100); do
    if in_machine "$1" socat -u "TCP4:127.0.0.1:$3" OPEN:/dev/null 2>/dev/null; then return; fi
    sleep 0.05
  done
  echo "$2 does not listen" >&2
  exit 1
}

ask() { # MACHINE USER ADDRESS: who answers there on port 443
  local machine=$1 user=$2 address=$3 protocol answer
  for protocol in tcp udp; do
    answer=$("$protocol" 0.5)
    # On a busy machine an answer may take its time.
    [ -n "$answer" ] || answer=$("$protocol" 2)
    echo "$machine $user $protocol $address: ${answer:-nobody}"
  done
}

tcp() { # SECONDS_AT_MOST
  in_machine "$machine" setpriv --reuid="$user" --clear-groups socat -t "$1" -u "TCP:$address:443,connect-timeout=2" - 2>/dev/null || true
}

udp() { # SECONDS_AT_MOST
  echo | in_machine "$machine" setpriv --reuid="$user" --clear-groups socat -t "$1" - "UDP:$address:443" 2>/dev/null || true
}
