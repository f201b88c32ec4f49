# A file made the same as one on another host, by sending only what differs: what a part of the file is like is told by
# a hash for each 8 MiB, and within those by one for each 64 KiB. coreutils and awk alone, for minimal hosts have no more.
# Before this text stand: doing (one of the functions at the end), file, and where they are needed: work, a directory
# for this alone, and copies, more files (without blanks in their paths) that are as `file` is.
export LC_ALL=C
umask 077
segment=8388608 piece=65536
per_segment=$((segment / piece))

large_hashes() { split -b "$segment" --filter='b2sum -l 256' "$file" | cut -d ' ' -f 1; }

small_hashes() { # NUMBER OF A SEGMENT. Cut into files first: a process for each piece would take longer than the hashes
    rm -f "$work"/piece.*
    dd if="$file" bs="$segment" skip="$1" count=1 status=none | split -b "$piece" -a 3 -d - "$work/piece."
    [ ! -e "$work/piece.000" ] || b2sum -l 128 "$work"/piece.* | cut -d ' ' -f 1
}

hashes() { # prints: the number of a segment and its hash, then those of its pieces, each with the segment's number
    mkdir -p "$work"
    [ -f "$file" ] || return 0
    large_hashes | awk '{ print NR - 1, $1 }' > "$work/large"
    while read -r number hash; do
        echo "large $number $hash"
        small_hashes "$number" | awk -v number="$number" '{ print "small", number, $1 }'
    done < "$work/large"
    rm -f "$work"/piece.*
}

remember() { # reads what `hashes` printed on the other host
    rm -rf "$work/theirs"
    mkdir -p "$work/theirs"
    : > "$work/theirs/large"
    awk -v place="$work/theirs" '
        $1 == "large" { print $3 > (place "/large") }
        $1 == "small" { if (place "/" $2 != kept) { if (kept) close(kept); kept = place "/" $2 } print $3 > kept }
    '
}

runs() { # NUMBER OF A SEGMENT: where it differs from theirs, "FIRST PIECE, PIECES" a line
    first=$(($1 * per_segment))
    if [ ! -f "$work/theirs/$1" ]; then
        echo "$first $per_segment"
        return
    fi
    small_hashes "$1" | paste -d , - "$work/theirs/$1" | awk -F , -v first="$first" '
        $1 == "" || $1 == $2 { if (count) print first + begin, count; count = 0; next }
        { if (!count) begin = NR - 1; count++ }
        END { if (count) print first + begin, count }
    '
}

send() { # prints: "segment NUMBER HASH", "run FIRST_PIECE BYTES" and those bytes, in the end "end SIZE"
    size=$(stat -c %s "$file")
    large_hashes | paste -d , - "$work/theirs/large" |
        awk -F , '$1 != "" && $1 != $2 { print NR - 1, $1 }' > "$work/differing"
    while read -r number hash; do
        echo "segment $number $hash"
        runs "$number" > "$work/runs"
        while read -r begin count; do
            left=$((size - begin * piece)) bytes=$((count * piece))
            [ "$bytes" -le "$left" ] || bytes=$left
            [ "$bytes" -gt 0 ] || continue
            echo "run $begin $bytes"
            dd if="$file" bs="$piece" skip="$begin" count="$bytes" iflag=count_bytes status=none
        done < "$work/runs"
    done < "$work/differing"
    echo "end $size"
    rm -f "$work"/piece.*
}

receive() { # reads what `send` printed; the numbers of the segments that are not as they were announced go to $work/others
    mkdir -p "$work"
    : >> "$file"
    : > "$work/announced"
    size=''
    while read -r word one two; do
        case $word in
            segment) echo "$one $two" >> "$work/announced" ;;
            run)
                dd of="$file" bs="$piece" seek="$one" count="$two" iflag=fullblock,count_bytes conv=notrunc status=none
                for copy in $copies; do
                    dd if="$file" of="$copy" bs="$piece" skip="$one" seek="$one" count="$two" iflag=count_bytes \
                        conv=notrunc status=none
                done
                ;;
            end) size=$one && break ;;
            *) break ;;
        esac
    done
    [ -n "$size" ] || { echo 'the copy broke off before its end' >&2; return 1; }
    for each in "$file" $copies; do truncate -s "$size" "$each"; done
    while read -r number hash; do
        there=$(dd if="$file" bs="$segment" skip="$number" count=1 status=none | b2sum -l 256 | cut -d ' ' -f 1)
        [ "$there" = "$hash" ] || echo "$number"
    done < "$work/announced" > "$work/others"
    sync "$file"
}

set -eu
case $doing in
    hashes) hashes ;;
    remember) remember ;;
    send) send | gzip -1 ;;
    receive) gzip -dc | receive ;;
esac
