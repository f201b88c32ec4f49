# Functions that read and write a gateway's SQLite database beside the gateway that serves. What is asked comes on standard
# input, so that no secret is in an argument. Before this text stand sql.sh and: directory (the gateway's) file (the
# database) partial (a copy of it that is made).
# Answers "yes" where it can be asked, else nothing.
tell_whether_it_can_be_asked() { if can_be_asked; then echo yes; fi; }

ask() { sql "$file"; }

# Says in one word what is there; reads alone, and makes no file where there is none.
look() {
    can_be_asked || { echo untold; return; }
    [ -e "$file" ] || { echo missing; return; }
    sql "$file"
}

# VACUUM INTO reads in one transaction: whole, and it cannot be made to begin again by a busy gateway, as .backup can.
back_up() {
    set -e
    umask 077
    cd "$directory"
    rm -f "$partial"
    echo "VACUUM INTO '$partial';" | sql "$file"
    sync "$partial"
}

discard_backup() { rm -f "$directory/$partial"; }

keep_backup() {
    set -e
    cd "$directory"
    kept=${partial%.partial}-$(date -u +%Y%m%dT%H%M%SZ).db
    mv -T "$partial" "$kept"
    echo "$PWD/$kept"
}

# Who has it open, "PID NAME" a line. /proc alone: neither fuser nor lsof is on a minimal Debian.
holders() {
    find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$file" 2> /dev/null | cut -d / -f 3 | sort -un |
        while read -r pid; do name=$(cat "/proc/$pid/comm" 2> /dev/null) && echo "$pid $name"; done
    true
}

# By what One API would let root in: "token", "password", "neither", or "unknown". Standard input: the access token in hex,
# then passwords, one a line. Every Debian has perl, and its crypt() knows the hashes that One API keeps.
root_access() {
    set -e
    read -r token
    known=$(printf "SELECT count(*) FROM users WHERE access_token = CAST(x'%s' AS TEXT) AND role = 100 AND status = 1;\n" \
        "$token" | sql "$file")
    [ "$known" = 0 ] || { echo token; return; }
    hash=$(echo "SELECT password FROM users WHERE username = 'root' AND role = 100 AND status = 1 LIMIT 1;" | sql "$file")
    [ -n "$hash" ] || { echo neither; return; }
    command -v perl > /dev/null || { echo unknown; return; }
    # shellcheck disable=SC2016 # these are perl's variables
    { printf '%s\n' "$hash"; cat; } | perl -e '
        chomp(my $hash = <STDIN>);
        my $probe = crypt("x", q($2a$04$abcdefghijklmnopqrstuu)) // "";
        if ($probe !~ /^\$2a\$04\$/) { print "unknown\n"; exit }
        while (defined(my $password = <STDIN>)) {
            chomp $password;
            if ((crypt($password, $hash) // "") eq $hash) { print "password\n"; exit }
        }
        print "neither\n";
    '
}
