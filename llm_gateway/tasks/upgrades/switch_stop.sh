# Stops the gateway and keeps a copy of its data as they are then.
# Before this text stand: DIRECTORY UNIT.
set -eu
umask 077
systemctl stop "$UNIT"
cd "$DIRECTORY"
rm -rf switching/data.new
mkdir switching/data.new
cp -dp --reflink=auto data/one-api.db* switching/data.new/
sync
mv -T switching/data.new switching/data
