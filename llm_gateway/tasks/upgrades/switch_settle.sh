# After a switch that stays: what it kept finds its place. It may be cut off and run again.
# Before this text stand: PROJECT DIRECTORY KEPT_NAME NEXT_NAME.
set -eu
umask 077
cd "$DIRECTORY"
if [ -d switching ] && [ ! -d "/var/lib/$PROJECT/unfinished" ] && [ ! -d "/var/lib/$PROJECT/undoing" ]; then
    case $(cat switching/purpose) in
        upgrade)
            rm -rf previous
            mv -T switching previous
            ;;
        rollback)
            rm -rf previous
            # Where it went back to older data, the newer ones are kept.
            if [ -e switching/newer ] && [ -d switching/data ]; then
                mkdir -p backups
                mv -T switching/data "backups/$(cat switching/newer)"
            fi
            rm -rf switching
            ;;
        *) rm -rf switching ;; # the same image by another name: what an upgrade has left stays
    esac
    sync .
fi
# Archives of images that are gone, and would not be served again.
previous=$([ ! -f previous/image ] || head -n 1 previous/image)
for archive in images/*.tar; do
    id=${archive#images/} id=${id%.tar}
    case $id in *[!0-9a-f]*) continue ;; ????????????) ;; *) continue ;; esac # a person's own
    case "$(cat images/served 2> /dev/null) $previous" in *"sha256:$id"*) continue ;; esac
    docker image inspect "$id" > /dev/null 2>&1 || rm -f "$archive"
done
# Names of images that nothing here needs any more; an image goes with its last name.
needed=''
[ ! -f previous/image ] || { read -r id < previous/image && id=${id#sha256:} && needed=$KEPT_NAME:$(printf %.12s "$id"); }
for name in "$KEPT_NAME" "$NEXT_NAME"; do
    docker image ls "$name" --format '{{.Repository}}:{{.Tag}}' | while read -r tag; do
        [ "$tag" = "$needed" ] || docker image rm "$tag" > /dev/null
    done
done
