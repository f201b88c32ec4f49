# Loads the archive of an image that was sent, and keeps it by the image's ID for files/start-gateway: as a link, since what is sent
# next takes the place of the one name, and not of the other. Before this text stand: sent (the archive) image wanted (the IDs that
# it may have) kept (a directory).
docker load --quiet --input "$sent" && id=$(docker image inspect "$image" --format '{{.Id}}') || exit
case " $wanted " in
    *" $id "*) ;;
    *) echo "after loading, $image is $id on the host, not the image of the archive" >&2; exit 1 ;;
esac
# shellcheck disable=SC2174 # the mode is meant for that one alone
mkdir -p -m 700 "$kept" && ln -f "$sent" "$kept/$(printf %.12s "${id#sha256:}").tar"
