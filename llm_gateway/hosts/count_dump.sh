# How many rows a dump of pg_dump holds, "NUMBER TABLE" a line; fails where it has no end. Before this text stands: dump (its path).
export LC_ALL=C
[ -f "$dump" ] && [ ! -L "$dump" ] || { echo "$dump is not there" >&2; exit 1; }
awk '
    inside && $0 == "\\." { print rows, table; inside = 0; next }
    inside { rows++; next }
    /^COPY [^ ]+ \(/ { table = $2; sub(/^[^.]*\./, "", table); gsub(/"/, "", table); rows = 0; inside = 1; next }
    /^-- PostgreSQL database dump complete/ { whole = 1 }
    END { if (inside || !whole) exit 3 }
' "$dump" || { echo "it is cut off before its end" >&2; exit 1; }
