# An OpenClaw host's .env and drop-in: kept before they are replaced, given back, or not needed any more.
# Before this text stand: user uid gid scope unit ("" where there is none) environment copy environment_note dropin
# dropin_note configuration ("" where it is left alone) record, and for give_back what keep has said; behind it the name of the function.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

# In the user's directories as the user, so that root follows no link that is put there. Not runuser: PAM sets limits,
# which the unit that gives back may not (SystemCallFilter=~@resources).
as_user() {
    if [ "$user" = root ]; then "$@"; else setpriv --reuid "$uid" --regid "$gid" --init-groups -- "$@"; fi
}
as_owner() { if [ "$scope" = user ]; then as_user "$@"; else "$@"; fi; }
manager() {
    if [ "$scope" = system ]; then systemctl "$@"; else as_user env XDG_RUNTIME_DIR="/run/user/$uid" systemctl --user "$@"; fi
}
yes_or_no() { if "$@" 2>/dev/null; then echo yes; else echo no; fi; }

# keep_file RUNNER PATH: the file itself, by a second name, so that it comes back with its owner, mode and times; a copy
# where the kernel refuses that (fs.protected_hardlinks), or where others write into the file. Says whether there is one.
keep_file() {
    "$1" sh -euc '
        if [ -e "$1" ]; then
            { [ "$2" = ours ] && ln -fT "$1" "$1.llmgw-kept" 2>/dev/null; } || cp -pfT "$1" "$1.llmgw-kept"
            echo yes
        else
            rm -f "$1.llmgw-kept"
            echo no
        fi' keep "$2" "${3:-ours}"
}
# give_back_file RUNNER PATH HAD HAD_DIRECTORY: may be cut off at any point and run again.
give_back_file() {
    "$1" sh -euc '
        if [ "$2" = yes ]; then
            if [ "$1.llmgw-kept" -ef "$1" ]; then
                rm -f "$1.llmgw-kept" # it was not replaced, and mv refuses two names of one file
            elif [ -e "$1.llmgw-kept" ]; then
                mv -fT "$1.llmgw-kept" "$1"
            fi
        else
            rm -f "$1"
            [ "$3" = yes ] || rmdir "$(dirname "$1")" 2>/dev/null || :
        fi' give-back "$2" "$3" "$4"
}
keep() {
    set -eu
    echo "had_copy=$(yes_or_no as_user test -e "$copy")"
    echo "had_directory=$(yes_or_no as_user test -d "${environment%/*}")"
    echo "had_environment_note=$(yes_or_no test -e "$environment_note")"
    had=$(keep_file as_user "$environment") # by itself, so that a failure ends this
    echo "had_environment=$had"
    if [ -n "$configuration" ]; then
        had=$(keep_file as_user "$configuration" theirs)
        echo "had_configuration=$had"
        echo "had_record=$(yes_or_no test -e "$record")"
    fi
    [ -n "$unit" ] || return 0
    echo "had_dropin_directory=$(yes_or_no as_owner test -d "${dropin%/*}")"
    echo "had_dropin_note=$(yes_or_no test -e "$dropin_note")"
    had=$(keep_file as_owner "$dropin")
    echo "had_dropin=$had"
    manager show "$unit" -p MainPID -p ActiveState | sed 's/^MainPID=/pid=/; s/^ActiveState=/state=/'
}
give_back() {
    set -eu
    give_back_file as_user "$environment" "$had_environment" "$had_directory"
    [ "$had_copy" = yes ] || as_user rm -f "$copy"
    [ "$had_environment_note" = yes ] || rm -f "$environment_note"
    if [ -n "$configuration" ]; then
        give_back_file as_user "$configuration" "$had_configuration" yes
        [ "$had_record" = yes ] || rm -f "$record"
    fi
    [ -n "$unit" ] || return 0
    give_back_file as_owner "$dropin" "$had_dropin" "$had_dropin_directory"
    [ "$had_dropin_note" = yes ] || rm -f "$dropin_note"
    # A user who has left has no systemd, and so no OpenClaw that runs with what was taken back.
    [ "$scope" = system ] || [ -d "/run/user/$uid/systemd" ] || return 0
    manager daemon-reload
    case $state in inactive | failed) return 0 ;; esac
    # Only where another process than before reads it. Whether it then runs is looked at, and is no reason to try again.
    [ "$(manager show "$unit" -p MainPID --value)" = "$pid" ] || manager restart "$unit" || :
}
discard() {
    as_user rm -f "$environment.llmgw-kept"
    [ -z "$configuration" ] || as_user rm -f "$configuration.llmgw-kept" "$configuration.llmgw-new" "$configuration.llmgw-new.bak"
    [ -z "$unit" ] || as_owner rm -f "$dropin.llmgw-kept"
}
