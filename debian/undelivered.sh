# Set `count` to the number of messages that wait in the daemon's queue, to nothing if there are none.
queue=/var/spool/pysendmail/queue.db
undelivered() {
    count=
    [ -f "$queue" ] || return 0
    count=$(python3 -ISc '
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10)
print(db.execute("SELECT count(DISTINCT message) FROM recipient WHERE state <= 5").fetchone()[0] or "")
' "$queue" 2>/dev/null) || count="an unknown number of"
}
