# The files of TREE at their places, COMMANDS run, a file changed, and TREE's undo run; nothing of it outside.
set -euo pipefail
mount -t proc proc /proc
mount -t tmpfs tmpfs "$WORK"
for folder in etc usr; do
  mkdir "$WORK/$folder" "$WORK/$folder.work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$WORK/$folder,workdir=$WORK/$folder.work" "/$folder"
done
mount -t tmpfs tmpfs /run

state() {
  local trust=no names
  if openssl crl2pkcs7 -nocrl -certfile /etc/ssl/certs/ca-certificates.crt | openssl pkcs7 -print_certs -noout | grep -q "The company's"; then trust=; fi
  names=$(grep -v '^#' /etc/hosts | grep ' registry-1.docker.io ' | cut -d ' ' -f 1 | tr '\n' ' ' || true)
  echo "$1: ${trust:+no }trust, ${names:-no names}" | sed 's/ $//'
}

state before
cp -R "$TREE/etc" "$TREE/usr" /
bash -euc "$COMMANDS" >/dev/null 2>&1
state "done"
echo '# changed' >>/etc/buildkit/buildkitd.toml
printf '#!/bin/sh\n' >/usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl
code=0
sh "$TREE/undo" >/dev/null 2>"$WORK/said" || code=$?
grep '^kept' "$WORK/said" || true
echo "undo: $code"
state undone
for file in $(cd "$TREE" && find etc usr -type f); do
  if [ -e "/$file" ]; then echo "left: /$file"; fi
done
