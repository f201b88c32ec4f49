# What the files of One API or new-api in data/logs tell of what the table `logs` has no row for. Lines:
#   since|2026/11/30|20:05:46     the oldest line that was read, in the gateway's time zone
#   failed|DAY|CHANNEL|COUNT      attempts that a channel refused or failed (controller/relay.go), DAY as 2026/11/30;
#                                 each is empty where it was not asked for
#   more|COUNT                    the same of further days and channels
#   lost|COUNT                    rows that could not be written (model/log.go)
# Before this text stand: directory, begin_text ("2026/11/30 20:05:46", from when on), begin (the same in seconds), by
# ("day channel": what was asked for), and the function as_owner. At most the newest 256 MiB are read: the host has
# other things to do.
failures() {
    as_owner sh -c '
        cd "$1/data/logs" 2> /dev/null || exit 0
        left=268435456
        # The name is the day of the start, so the newest comes first.
        for file in $(find . -maxdepth 1 -type f -name "oneapi*.log" -newermt "@$2" | sort -r); do
            [ "$left" -gt 0 ] || break
            size=$(stat -c %s "$file")
            tail -c "$left" "$file" | awk "
                \$2 ~ /^[0-9][0-9][0-9][0-9]\/[0-9][0-9]\/[0-9][0-9]\$/ && \$4 ~ /^[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\$/ {
                    print \"since|\" \$2 \"|\" \$4; exit
                }"
            if [ "$size" -le "$left" ]; then
                grep -a "^\[ERR" "$file"
            else
                tail -c "$left" "$file" | grep -a "^\[ERR"
            fi
            left=$((left - size))
        done
    ' failures "$directory" "$begin" 2> /dev/null | awk -v begin="$begin_text" -v by=" $by " '
        /^since\|/ { if (since == "" || $0 < since) since = $0; next }
        # The upstream chooses the words of an error: what is no line of One API itself is passed over.
        !/^\[ERR(OR)?\] [0-9][0-9][0-9][0-9]\/[0-9][0-9]\/[0-9][0-9] - [0-9][0-9]:[0-9][0-9]:[0-9][0-9] \| / { next }
        $2 " " $4 < begin { next }
        # The one by One API, the other by new-api.
        match($0, /(relay error \(channel id |channel error \(channel #)[0-9]+, /) {
            number = substr($0, RSTART, RLENGTH)
            gsub(/[^0-9]/, "", number)
            key = (by ~ / day / ? $2 : "") "|" (by ~ / channel / ? number : "")
            if (key in failed || kinds++ < 800) failed[key]++; else more++
            next
        }
        / failed to record log: / { lost++ }
        END {
            if (since != "") print since
            for (key in failed) print "failed|" key "|" failed[key]
            if (more) print "more|" more
            print "lost|" lost + 0
        }'
}
