#!/bin/sh
# rooms.sh: every include line says which room it reaches into; a line in the wrong one fails. Prints a line a rule.
cd "$(dirname "$0")/.." || exit 1
failed=0
sources=$(ls policy/*.[ch] extract/*.[ch] daemon/*.[ch] daemon/*/*.[ch])

tell() { # RULE, offending lines
    if [ -n "$2" ]; then
        printf 'FAIL rooms/%s\n%s\n' "$1" "$2"
        failed=1
    else
        printf 'ok   rooms/%s\n' "$1"
    fi
}

includes() { grep -nE '^#include "' "$@" /dev/null; }

# a room, its files, and what they may include
room() {
    name=$1 allowed=$2
    shift 2
    tell "$name" "$(includes "$@" | grep -vE "#include \"($allowed)\"")"
}

room policy 'policy/[a-z_]+\.h' policy/*.[ch]
room extract 'extract/[a-z_]+\.h' extract/*.[ch]
room ground 'daemon/[a-z0-9_]+\.h|extract/frame\.h|policy/(proof|reach|value|sender|rules|verdict)\.h' \
    $(ls daemon/*.[ch] | grep -v daemon/main.c)
room verbs 'daemon/[a-z0-9_]+\.h|daemon/cli/(fault|identity|verbs)\.h' daemon/main.c
room courier 'daemon/[a-z0-9_]+\.h|daemon/courier/[a-z_]+\.h|policy/[a-z_]+\.h|extract/frame\.h' daemon/courier/*.[ch]
room cli 'daemon/[a-z0-9_]+\.h|daemon/cli/[a-z_]+\.h|policy/[a-z_]+\.h|extract/frame\.h' daemon/cli/*.[ch]
room smtp 'daemon/[a-z0-9_]+\.h|daemon/smtp/[a-z_]+\.h|policy/(decide|facts|sender|value|verdict)\.h' \
    daemon/smtp/*.[ch]

room imap 'daemon/[a-z0-9_]+\.h|daemon/imap/[a-z_]+\.h|policy/(decide|facts|sender|value|verdict)\.h' \
    daemon/imap/*.[ch]
room maildir 'daemon/[a-z0-9_]+\.h|daemon/maildir/[a-z_]+\.h|policy/verdict\.h' daemon/maildir/*.[ch]
room prover 'daemon/[a-z0-9_]+\.h|daemon/prover/[a-z_]+\.h|policy/align\.h' daemon/prover/*.[ch]
room after 'daemon/[a-z0-9_]+\.h|daemon/after/[a-z_]+\.h|policy/(rules|verdict)\.h' daemon/after/*.[ch]
room token 'daemon/[a-z0-9_]+\.h|daemon/token/[a-z_]+\.h|policy/value\.h' daemon/token/*.[ch]

# a foreign library has one file that knows it; the two jails are two programs
library() {
    header=$1 files=$2
    tell "only $files knows <$header>" \
        "$(grep -nE "^#include <$header" $sources | grep -vE "^($files):")"
}
library magic.h 'extract/sniff\.c'
library iconv.h 'extract/charset\.c|daemon/imap/boxname\.c'
library seccomp.h 'extract/jail\.c|daemon/jail\.c'
library ini.h 'daemon/ini\.c'
library nettle/ 'daemon/(digest\.[ch]|base64\.c)'
library jansson.h 'daemon/json\.c'
library 'sys/acl.h' 'daemon/courier/owner\.c'
library acl/ 'daemon/courier/owner\.c'
library gnutls/ 'daemon/tls(_key|_server|_inner)?\.[ch]'
library curl/ 'daemon/http_out\.c'
library libetpan/ 'daemon/imap/conn\.c'
library utf8proc.h 'policy/filename\.c'
library libpsl.h 'policy/align\.c'
library dkim.h 'daemon/prover/verify\.c'
library microhttpd.h 'daemon/after/window\.c'
library resolv.h 'daemon/prover/resolve\.c'

tell 'policy does no I/O' "$(grep -nE '(^|[^a-z_>.])(open|read|write|fopen|printf|time|getenv|syslog)\(' policy/*.c)"
tell 'no goto' "$(grep -nE '\bgoto\b' $sources | grep -vE '/\*')"
tell 'no // comments' "$(grep -nE '(^|[[:space:]])//' $sources | grep -vE 'https?://|/\*.*//')"
tell 'no util, common or misc' "$(printf '%s\n' $sources | grep -E '(^|/)(util|utils|common|misc|helpers)(\.|/)')"
# a string is not broken, and neither is the row of a table that the formatter is told to leave alone
tell 'lines of 100 columns' "$(for f in $sources; do
    expand -t8 "$f" | awk '/clang-format off/ { off = 1 } /clang-format on/ { off = 0 }
        { print off || /"/ ? "" : $0 }' | LC_ALL=C.UTF-8 grep -nE '^.{101,}' | sed "s|^|$f:|"; done)"
exit $failed
