#!/bin/sh
# Puts the platform on a systemd server: account, directories, this release, units. Run as root; safe to repeat.
#
#   deploy/install.sh              from a checkout or an unpacked release
#   OPS_BUILD_ONLY=1 deploy/install.sh    only builds the release and prints where (`ops upgrade` does the rest)
#
# It asks nothing of the network but the locked packages, starts nothing that is not configured, and prints what to do.
set -eu

[ "$(id -u)" -eq 0 ] || { echo "install: run me as root" >&2; exit 2; }
source=$(cd "$(dirname "$0")/.." && pwd)
base=${OPS_BASE:-/opt/ops}
etc=${OPS_ETC:-/etc/ops}
home=${OPS_VAR:-/var/lib/ops}
backups=${OPS_BACKUP_DIR:-/var/backups/ops}
units=${OPS_UNITS:-/etc/systemd/system}

commit=$(git -C "$source" rev-parse HEAD 2>/dev/null || cat "$source/RELEASE" 2>/dev/null || echo unknown)
release=$base/releases/$(date -u +%Y%m%dT%H%M%SZ)-$(printf %.10s "$commit")

if [ -z "${OPS_BUILD_ONLY:-}" ]; then
    getent group ops >/dev/null || groupadd --system ops
    getent passwd ops >/dev/null || useradd --system --gid ops --home-dir "$home" --shell /usr/sbin/nologin ops
    install -d -m 0755 "$base" "$base/releases"
    install -d -m 0700 -o ops -g ops "$home" "$backups"
    install -d -m 0750 -o root -g ops "$etc"
    # A bot's file is opened by its own runs alone (docs/operations.md); all of them run as this account.
    install -d -m 0700 -o ops -g ops "$etc/credentials"
    # What the units fix is left out: a file of settings would win over them.
    if [ ! -e "$etc/ops.env" ]; then
        install -m 0640 -o root -g ops /dev/null "$etc/ops.env"
        grep -v -E '^OPS_(ENV|HOME|CREDENTIALS|BACKUPS)=' "$source/.env.example" >"$etc/ops.env"
    fi

fi

mkdir "$release"
if git -C "$source" rev-parse HEAD >/dev/null 2>&1; then
    git -C "$source" archive HEAD | tar -x -C "$release"
else
    (cd "$source" && tar -c --exclude=.venv --exclude=.ops --exclude=.env --exclude=credentials .) | tar -x -C "$release"
fi
printf '%s\n' "$commit" >"$release/RELEASE"
# One file of settings for every release; what a unit sets wins over it.
ln -s "$etc/ops.env" "$release/.env"
# Compiled now: the services may not write beside the code, and would compile it anew at every start.
UV_COMPILE_BYTECODE=1 make -C "$release" --no-print-directory install >&2
install -d "$release/dbt_project/target" "$release/dbt_project/logs"
# What was prepared there is prepared again where settings change it.
chown -R ops:ops "$release/dbt_project/target" "$release/dbt_project/logs"
# By a shell of the account's own: what root may still enter while it changes accounts, a service may not.
if ! setpriv --reuid=ops --regid=ops --init-groups sh -c "exec '$release/.venv/bin/python' -c ''" 2>/dev/null; then
    echo "install: the account ops may not run $(readlink -f "$release/.venv/bin/python"): name a Python that it may," \
        "as in PYTHON=/usr/bin/python3 $0" >&2
    rm -rf "$release"
    exit 1
fi
"$release/.venv/bin/python" -m compileall -q -j 2 "$release/ops_platform" "$release/assets" "$release/jobs" \
    "$release/sensors" "$release/resources" >/dev/null || true

# An upgrade looks at it first, and switches itself.
if [ -n "${OPS_BUILD_ONLY:-}" ]; then
    echo "$release"
    exit 0
fi

# The switch is one rename, so there is never a moment without a release.
ln -s "$release" "$base/next.$$"
mv -T "$base/next.$$" "$base/current"

for unit in "$source"/deploy/systemd/*; do
    sed -e "s#/opt/ops#$base#g; s#/var/lib/ops#$home#g; s#/var/backups/ops#$backups#g; s#/etc/ops#$etc#g" "$unit" \
        >"$units/$(basename "$unit")"
done

cat >"$base/ops" <<WRAPPER
#!/bin/sh
# \`ops\` as the services run it: their account, their settings.
export OPS_ENV=production OPS_HOME=$home OPS_CREDENTIALS=$etc/credentials OPS_BACKUPS=$backups HOME=$home
cd "$base/current"
# These build, switch and start, and run everything else as the account themselves.
case "\${1:-}" in upgrade | rollback) exec "$base/current/.venv/bin/ops" "\$@" ;; esac
[ "\$(id -un)" = ops ] && exec "$base/current/.venv/bin/ops" "\$@"
exec setpriv --reuid=ops --regid=ops --init-groups "$base/current/.venv/bin/ops" "\$@"
WRAPPER
chmod 0755 "$base/ops"
[ -n "${OPS_NO_SYSTEMCTL:-}" ] || systemctl daemon-reload

cat <<SAID
Installed $release.
  1. Fill in $etc/ops.env (one shared file) and $etc/credentials/<bot>.env (mode 0600, owner ops).
  2. $base/ops doctor
  3. systemctl enable --now ops.target ops-watchdog.timer
  4. $base/ops web       prints a link that signs in
SAID
