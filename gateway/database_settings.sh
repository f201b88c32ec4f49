# The names of the settings by which One API keeps data elsewhere than in /data/one-api.db, of all that are read (lines of
# a container's environment, or of a .env, in each way that godotenv takes). Not their values: those hold passwords.
database_settings() { # [FILE...]
    sed -nE '
        s/^[[:space:]]*(export[[:space:]]+)?((LOG_)?SQL_DSN|SQLITE_PATH)[[:space:]]*[=:][[:space:]]*/\2=/
        T
        s/[[:space:]]+(#.*)?$//
        /=(|""|\x27\x27|#.*)$/d
        /^SQLITE_PATH=["\x27]?(\.\/|\/data\/)?one-api\.db["\x27]?$/d
        s/=.*//p
    ' "$@"
}
