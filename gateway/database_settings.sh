# The names of the settings by which a gateway keeps data elsewhere than in its data/one-api.db: of its containers'
# environments, and of the .env in its data, in each way that godotenv takes. Not their values: those hold passwords.
database_settings() { # DATA [CONTAINER...]
    data=$1
    shift
    {
        [ $# = 0 ] || docker container inspect "$@" --format '{{range .Config.Env}}{{println .}}{{end}}'
        cat "$data/.env"
    } 2>/dev/null | sed -nE '
        s/^[[:space:]]*(export[[:space:]]+)?((LOG_)?SQL_DSN|SQLITE_PATH)[[:space:]]*[=:][[:space:]]*/\2=/
        T
        s/[[:space:]]+(#.*)?$//
        /=(|""|\x27\x27|#.*)$/d
        /^SQLITE_PATH=["\x27]?(\.\/|\/data\/)?one-api\.db["\x27]?$/d
        s/=.*//p
    '
}
