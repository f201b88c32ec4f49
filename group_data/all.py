"""Every setting of the deployment: its default here, its meaning above it; docs/settings.md has both as a page.

To change a setting for all your hosts, edit it here. For one host, put it in that host's data in
`inventory.py`; for a group, in `group_data/gateways.py` or `group_data/openclaw.py`.
A name that is not listed here is refused when it looks like a setting, so that a misspelling
is told instead of ignored.

Secrets are never settings. `"key": "DASHSCOPE_API_KEY"` below is the NAME of a secret; its value is read
from the environment of the shell that runs pyinfra or, where it is not there, from `secrets_file`.

For developers: `make generated` writes this file from llm_gateway/inputs/settings.py, where a new setting goes.
"""

# ---------------------------------------------------------------- where secrets come from

# A file of `NAME=value` lines on the machine that runs pyinfra (mode 0600, or it is refused). A variable of the
# environment wins over it. None: the environment alone.
secrets_file = None

# ---------------------------------------------------------------- the gateway (group `gateways`)

# Everything of the gateway lives here: compose file, `.env`, `secrets.env`, `data/`, `tiktoken/`. To take over a
# gateway that was set up by hand, name its directory, the one that holds `data/`. A directory of its own: the system's
# (`/etc`, `/var/lib`, …) are refused, and so is what does not last (`/tmp`, `/run`, …).
gateway_directory = "/opt/openclaw-llm-gateway"

# The port on the Tailscale address.
gateway_port = 3000

# The host's Tailscale IPv4 address. None: what the host itself has on `tailscale0`. When given, it is compared with the
# host's own, and a difference stops the run before anything is touched.
gateway_tailscale_address = None

# Who may use the port. []: every machine that Tailscale lets in, by your tailnet's own rules. Otherwise these alone,
# tailnet addresses or networks: ["100.64.0.7", "100.64.1.0/24"]. What runs on the host itself always may, and nobody
# may by another way than Tailscale: the host's LAN, its other containers, the Internet.
gateway_allowed_peers = []

# The port, on the Tailscale address and on loopback, that this host serves the page of the fleet on, which
# `llm-gateway page` puts there: by the distribution's nginx in a unit of ours, while a person's own nginx is left as it
# is. Whoever wants to see it needs its token, or is one of `gateway_page_peers`. None: no page.
gateway_page_port = None

# Who sees that page. []: whoever has its token, which the host makes. Otherwise these alone, without a token: tailnet
# addresses or networks, as in `gateway_allowed_peers`.
gateway_page_peers = []

# What One API may reach besides the public Internet and DNS: IPv4 addresses or networks of the LAN, the tailnet or the
# host itself, with or without a port, ["192.168.1.5:8000", "10.0.0.0/24"]. Where a channel's `base_url` names an
# address, as in "http://192.168.1.5:8000", that is allowed already. A model server whose `base_url` is a name of the
# LAN or of the tailnet needs its address here, and so does a proxy that answers DNS with addresses of its own
# ("198.18.0.0/15").
gateway_private_upstreams = []

# One API's own variables, as {"RELAY_TIMEOUT": "300", "THEME": "berry", "HTTPS_PROXY": "http://192.168.1.9:7890"}; the
# address of a proxy is allowed by itself. Those that the deployment sets are refused, and so is what may be a secret,
# as a proxy's password: One API also reads lines `NAME=value` in `data/.env`, which is for root and it alone. A gateway
# that was set up by hand is taken over, or moved, only when all of its variables are here or there; None for one that
# is not wanted any more, {"THEME": None}.
gateway_environment = {}

# Names that One API is told the addresses of, {"ollama": "192.168.1.5"}, as `extra_hosts` of Docker does. Where a
# declared channel's `base_url` has such a name, that address is allowed by itself. The gateway's own host is 172.17.0.1
# to it (docker0): a service of the host has to listen there, and a container be published there. None, in the place of
# an address: a name of the gateway that is taken over, and that is not wanted any more.
gateway_extra_hosts = {}

# Where the gateway keeps what it knows. "sqlite": in a file on its host, which is right for one gateway. Otherwise the
# name of a secret that holds the DSN of an empty database of a PostgreSQL (13 or newer),
# `postgres://USER:PASSWORD@HOST:5432/DATABASE`, with signs of the password as `%XX`; `?sslmode=disable`, `prefer` or
# `require` may follow, and `TimeZone=` (docs/postgresql.md has more, and when not to).
gateway_database = "sqlite"

# The time zone of log texts and log file names. (One API stores times as UTC seconds whatever this says.)
gateway_timezone = "Asia/Shanghai"

# The image, pinned by tag; `latest` is refused, because what it means changes without you.
gateway_image = "justsong/one-api:v0.6.10"

# The digest ("sha256:…", 64 hex digits) pins the very bytes of the image. It is not used with `gateway_image_archive`,
# whose image ID is compared.
gateway_image_digest = None

# For a host that reaches no registry: a file made by `docker save` on the machine that runs pyinfra. It is sent and
# loaded when the host has another image or none, and the host then never pulls.
gateway_image_archive = None

# Where `gateway_image` is changed from One API to new-api or back: the names of channels, tokens, options and accounts
# that the other has nothing like, and that may become what the plan says. Others refuse the change.
gateway_may_lose = []

# The directory, on the machine that runs pyinfra, that holds One API's two tiktoken files. None: the cache
# (`~/.cache/openclaw-llm-gateway/tiktoken`), filled once by `make tiktoken` or by the first deploy.
gateway_tiktoken_directory = None

# How long a started gateway may take to answer, in seconds.
gateway_start_timeout = 120

# The number of the user and group that One API runs as, and that `data/` belongs to: of nobody else on the host. 0:
# root, for an image, or a file system below `data/`, that cannot do without.
gateway_user_id = 59300

# The most memory that One API may take, in MiB. Go is told to keep to 80 % of it (`GOMEMLIMIT`): with 1024, 16 requests
# of 20 MB at once pass. Beyond, the kernel ends it and it is started again.
gateway_memory_mb = 1024

# How many processors One API may take; where the host has fewer, those that it has.
gateway_cpus = 2.0

# For how many days One API's log is kept: the rows of its table `logs`, which the admin page shows, and the files in
# `data/logs`. Each hour the host removes what is older, a little at a time, while the gateway serves; that goes for the
# log of a gateway that was taken over, too. The database's file does not shrink by it, its room is used again. None:
# nothing is ever removed.
gateway_log_days = 90

# What the models cost, for `llm-gateway usage`: a list of dicts,
# {"model": "qwen3.5-plus", "currency": "CNY", "prompt": 0.8, "completion": 4.8}. A model without a price has a cost
# that is not known, which the report says.
#   model       the provider's name of it: where `model_mapping` maps one, the name that it is mapped to.
#   currency    "CNY" or "USD"; those are never added to each other.
#   prompt      for a million tokens that are sent.
#   completion  for a million tokens that are answered; 0 for embeddings.
#   since       the day from which on it holds, "2026-11-01", in `gateway_timezone`; left out: always. A model may have
#               several, each with a day of its own.
gateway_prices = []

# ---------------------------------------------------------------- backups on the gateway hosts

# When each host makes a backup into `backups/` in the gateway's directory, by itself: "daily", "hourly", "*-*-* 03:30"
# (`systemd-analyze calendar` explains more), in the host's time zone. A missed one is made up for after the next start.
# None: no timer; `deploys/backup.py` makes one when it is run. `backups/` may be a link to another disk, or to a NAS
# where root alone can write.
gateway_backup_schedule = "daily"

# How many backups are kept. The three newest are kept however old, and the newest always; a file that is not named like
# a backup is never removed.
gateway_backup_keep = 14

# For how many days backups are kept.
gateway_backup_keep_days = 90

# A public key of age ("age1…"): what leaves the host, by `gateway_backup_command` or by `backup.py --fetch`, is
# encrypted for it. What stays in `backups/` is for root alone and not encrypted, as `restore.py` needs it.
gateway_backup_recipient = None

# A shell command that the host runs, as root, after each backup, such as 'rclone copy "$1" remote:gateway' or
# 'restic backup "$1"'; `$1` is the file. Where it fails, the backup counts as failed. Its credentials belong in a file
# on the host, as the settings are no place for secrets. What it says goes to `backups/.command.log` there.
gateway_backup_command = None

# ---------------------------------------------------------------- the canary on the gateway hosts

# How often each host asks `llm_model` for one word through its own gateway (a model that thinks takes some hundred
# tokens for it), by an API token of its own that may do nothing else, and looks at the disk, the backups and the
# firewall's rules: "30s", "5min", "1h". `status.py` shows the last results. None: never.
gateway_canary_interval = "5min"

# The alert command runs after this many failures in a row, and once more on recovery. A disk that is nearly full (5 %,
# or 256 MiB) and rules of the firewall that are not those that were loaded are told at once.
gateway_canary_failures = 3

# Where each host sends its alarms: a list of `KIND:SECRET_NAME`, ["ntfy:NTFY_URL", "feishu:OPS_ROBOT"], whose secrets
# are in `secrets_file` or the environment. `ntfy`: `https://[TOKEN@]HOST/TOPIC`. `telegram`: `BOT_TOKEN/CHAT_ID`.
# `feishu`, `dingtalk`, `wecom`: the robot's webhook URL, behind `#` its signing secret (not WeCom). `email`:
# `smtps://USER:PASSWORD@HOST?to=ADDRESS`. `webhook`: a URL, which gets JSON. One message when something begins and one
# when it is over; `llm-gateway alerts` sends a test (docs/alarms.md has more).
gateway_alerts = []

# The language of the messages to `gateway_alerts`: English ("en") or Chinese ("zh").
gateway_alerts_language = "en"

# A shell command that the host runs, as root, to tell somebody: `$1` is `failing` or `recovered`, `$2` a line of text
# without secrets: 'curl -fsS -m 20 -d "$1: $2" https://ntfy.example/gateways', 'echo "$2" | mail -s "$1" root'. It has
# 60 seconds; where it fails, it is called again the next time. What it says goes to `canary-alert.log` in
# `/var/lib/openclaw-llm-gateway`. It and `gateway_backup_command`, when a timer calls that, can write to `/var` and to
# a `/tmp` of their own, not to `/home`, `/root`, `/usr`, `/boot` and `/etc`, and can reach the network, but cannot
# mount anything. A drop-in of yours can allow more. `HOME` is `/root` for both, where rclone and others find their
# settings.
gateway_alert_command = None

# Where the host writes its metrics for Prometheus (`openclaw_llm_gateway.prom`): the directory that its node_exporter
# reads (`--collector.textfile.directory`), which no directory of the system or of the gateway may be. None:
# `/var/lib/openclaw-llm-gateway/metrics`.
gateway_metrics_directory = None

# ---------------------------------------------------------------- Docker on the gateway hosts

# Where Docker is installed from where it is missing; one that is there is used, and never replaced. "distribution":
# Debian's or Ubuntu's own packages (Debian 13 and newer, Ubuntu 24.04 and newer: older releases have Compose 1 only).
# "docker": Docker's own packages, from its apt repository, for those as well. "preinstalled": nothing is installed or
# configured.
docker_source = "distribution"

# Docker's apt repository, without the distribution at its end, or a mirror of it such as
# "https://mirrors.aliyun.com/docker-ce/linux". A repository of Docker's that the host's apt has already is used as it
# is.
docker_apt_url = "https://download.docker.com/linux"

# The fingerprint of the key that signs Docker's apt repository, and a mirror's packages, too.
docker_apt_key = "9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88"

# Hosts in mainland China: mirrors of Docker Hub (docker.io images only). They and the proxy below are merged into
# `/etc/docker/daemon.json`: what a person has put there stays, be it other mirrors or hosts of no-proxy, and what is
# left out here is taken out again. Docker is asked first whether it would start with that; then it is restarted, with
# all containers that it runs (other people's are named), and has its old settings back where it fails.
docker_registry_mirrors = []

# The proxy by which the Docker daemon pulls images over http.
docker_http_proxy = None

# The proxy by which the Docker daemon pulls images over https, as from Docker Hub.
docker_https_proxy = None

# Hosts and networks that the Docker daemon reaches without the proxy, with commas between them:
# "localhost,.ts.net,100.64.0.0/10".
docker_no_proxy = None

# ---------------------------------------------------------------- what the gateway holds: channels, tokens, options

# Each channel: where One API sends the requests for some models. A field that is left out has the value shown below.
#   name           unique; a channel of that name is made, or changed to match. Others are left alone.
#   type           "openai", which is right for every OpenAI-compatible service; the name of another of One API's types
#                  ("azure", "anthropic", "gemini", "deepseek", ...), or its number.
#   base_url       WITHOUT `/v1`: One API appends `/v1/chat/completions` itself (types "openai-compatible", "proxy" and
#                  "gemini-openai-compatible" take it as it is). Only with a type that is named and has one of its own
#                  may it be left out.
#   key            the NAME of the secret that holds the provider's key.
#   models         the model names that this channel serves, exactly as clients ask for them.
#   model_mapping  {}: names that the provider calls otherwise, {"asked-for": "the provider's"}. One API writes the
#                  requests for these anew and drops fields such as `enable_thinking`; a run names them.
#   groups         ["default"]: the user groups that may use it; the tokens below, and the hosts', are of "default".
#   priority       0: the highest wins, equals share the load. Of a model's two channels the first gets 10 and the spare
#                  0, which takes over where the first refuses or fails (`RetryTimes`, below). Not 0 and -1: with a
#                  memory cache One API heeds priorities only if the highest is above 0, and a run says so.
#   weight         0: kept by One API, without effect on its routing.
#   status         "enabled", or "disabled".
#   config         {}: what some types need besides, such as {"api_version": "2024-10-21"} for "azure". For "ak", "sk"
#                  and "vertex_ai_adc" it is the NAME of a secret, as for the key. A service account of Google
#                  ("vertex_ai_adc") is handed in as what its file holds: `export MY_ADC="$(cat service-account.json)"`.
#   system_prompt  "": takes the place of the caller's own. One API v0.6.10 adds it only for models that `model_mapping`
#                  maps to another name (to itself is none), so it is refused where there are none.
#   pass_through   False. With True new-api sends the body of a request on as it came; otherwise it drops fields that it
#                  does not know, such as `thinking_budget`, `repetition_penalty` and a tool's `strict`. One API sends
#                  it on in any case, unless the model is mapped.
gateway_channels = [
    {
        "name": "dashscope",
        "type": "openai",
        "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
        "key": "DASHSCOPE_API_KEY",
        "models": ["qwen3.5-plus", "text-embedding-v4"],
    },
    {
        "name": "minimax",
        "type": "openai",
        "base_url": "https://api.minimaxi.com",
        "key": "MINIMAX_API_KEY",
        "models": ["MiniMax-M2.5"],
    },
]

# Tokens besides those of the OpenClaw hosts and of verification, which are made without being declared. One API chooses
# the key; it is shown in the admin page. A field that is left out has the value shown below.
#   name     unique, at most 30 bytes. Tokens not named here are left alone.
#   models   []: the only models that it may use; empty for all.
#   quota    None, no limit: all that it may ever use, in One API's units (500,000 to the dollar).
#   expires  None, never: a day, "2027-01-31" (its end, UTC), or a moment, "2027-01-31T18:00:00+08:00".
#   subnets  []: the only networks that it may be used from, ["100.64.0.0/10"]; empty for all.
#   status   None, as a person left it: "enabled" or "disabled" is made so at each run.
gateway_tokens = []

# The gateway's own options, by its names: {"SystemName": "Our gateway", "ModelRatio": {"my-model": 1.5}}. Ratios are
# put among those that are there. Options not named are left alone, except those below, which are made so.
#   RegisterEnabled                      False: nobody can make himself an account.
#   RetryTimes                           10: how often a request that failed is tried elsewhere. The first retry asks
#                                        the failed channel's equals alone, each later one any channel by chance, so few
#                                        retries miss the spare (2: 42 of 100 requests reached it, 10: all). One that
#                                        hits the channel that has just failed makes no request, so a model with a
#                                        single channel is asked once.
#   ApproximateTokenEnabled              True: the tokens of a request are estimated by its length; billed is what the
#                                        provider says. False counts them, which takes minutes of a processor for 1 MB
#                                        of Chinese.
#   SelfUseModeEnabled                   True, new-api alone: models without a price are served, too.
#   performance_setting.monitor_enabled  False, new-api alone: otherwise it refuses every request while the host's
#                                        processors are above 90 %, its memory above 90 % or its disk above 95 %.
gateway_options = {}

# What a run may remove. False: nothing. True: channels and tokens that an earlier run made and that are no longer
# declared. ["channel:old", "token:old-host"]: these alone, whoever made them.
gateway_prune = False

# True: every channel's key is sent again, also where it is known to be unchanged. For a single run:
# `--data gateway_force_keys=True`.
gateway_force_keys = False

# ---------------------------------------------------------------- the models that agents use, and verification

# What OpenClaw hosts get as `LLM_MODEL_ID`, and what verification asks for a completion.
llm_model = "MiniMax-M2.5"

# What OpenClaw hosts get as `EMBEDDING_MODEL_ID`, and what verification asks for an embedding.
embedding_model = "text-embedding-v4"

# The length of an embedding vector. Verification fails when the model answers with another.
embedding_dimensions = 1024

# Seconds that each verifying request may take.
verification_timeout = 60

# Which of the declared models a gateway is asked for besides `llm_model` and `embedding_model`, one word of each, or
# one embedding: "all"; "changed", those of the channels that this run made or changed; "none". None: "changed" in
# `deploy.py`, "all" in `verify.py`.
verification_models = None

# What kind of model it is, where its name does not tell: {"my-model": "embedding"}. "chat", "embedding", or "none" for
# a model that is not to be asked (images, audio, rerank).
verification_model_kinds = {}

# ---------------------------------------------------------------- OpenClaw hosts (group `openclaw`)

# The gateway that this host uses, by its name in the inventory. ["gw1", "gw2"]: `gw1` as long as it answers, and `gw2`
# as its fallback. None: itself when it is in `gateways`, otherwise the only host there.
openclaw_gateway = None

# What this host may use of its gateway in a calendar month of `gateway_timezone`:
# {"tokens": 5_000_000, "at_limit": "disable"}, {"CNY": 50}. The gateway's host looks every five minutes; at 80 % and at
# 100 % its canary tells. None: no limit.
#   tokens    prompt and completion tokens together. Or one of the next two.
#   CNY       money, by `gateway_prices`, which must have a price in that currency for each model of this host.
#   USD       the same in that currency.
#   per       "month", which is all that there is.
#   at_limit  what happens at 100 %: "alarm", it is told; "disable", it is told, and the token of this host is refused
#             until the month is over or the budget is raised. Left out: "alarm".
openclaw_budget = None

# OpenClaw's systemd unit.
openclaw_unit = "openclaw-gateway.service"

# Whether `openclaw_unit` is a unit of the system ("system") or of the user ("user").
openclaw_unit_scope = "system"

# True: a host without that unit fails. False: it is told so, and its `.env` is written all the same.
openclaw_unit_required = False

# The user that OpenClaw runs as, whose `~/.openclaw/.env` it is; a unit of the user needs it
# (`openclaw_unit_scope = "user"`). None: the unit's `User=`, or root.
openclaw_user = None

# OpenClaw's workspace, the directory that holds `skills/`: an absolute path, or one that begins with "~/", the home of
# its user ("~/.openclaw/workspace"). The client that Skills share is then kept at `skills/shared/llm_client.js` in it.
# The workspace must exist. None: no such file is deployed.
openclaw_workspace = None

# Variables that a drop-in takes out of the unit's environment, whatever set them, besides the four that the deployment
# writes: any of these would win over `~/.openclaw/.env` and send OpenClaw or mem0 past the gateway.
openclaw_unset_environment = [
    "MEM0_DASHSCOPE_API_KEY",
    "OPENAI_API_BASE",
    "OPENAI_BASE_URL",
]

# OpenClaw's own configuration (`openclaw.json`) decides what it uses. It is changed by OpenClaw's own command; what was
# there before is given back by `remove.py`. This is the name of the provider that stands for the gateway: its URL, key
# and model follow `.env`, so that a rotation or a migration changes that file alone. None: all of it is left alone.
openclaw_provider = "default_llm"

# Whether `LLM_MODEL_ID` of `openclaw_provider` becomes the default model of OpenClaw's agents.
openclaw_default_model = True

# Whether `EMBEDDING_MODEL_ID` of `openclaw_provider` becomes what OpenClaw's memory searches by (OpenClaw then indexes
# its memory anew).
openclaw_memory_search = True

# More models of the gateway that `/model` in a chat offers: their names, or "all" that the gateway's channels declare.
openclaw_models = []

# How long a conversation OpenClaw may send, in tokens of the model.
openclaw_context_window = 131072

# How long an answer OpenClaw may ask for, in tokens of the model.
openclaw_max_tokens = 8192

# When OpenClaw's own agent is to answer a turn through the gateway, which costs some 10,000 tokens and is seen in One
# API's log: "first", when a deployment first writes `openclaw.json` (which is given back where none is answered);
# "always", in each verification; "never". `python verify.py inventory.py --turn` asks for one at any time.
openclaw_turn = "first"

# How long a restarted OpenClaw may take until it is ready, in seconds (seen: 15 to 30 on an idle machine).
openclaw_start_timeout = 300

# What a run does with an OpenClaw that works, where it has something new for it. "now": it is restarted, and finishes
# what it has begun, for as long as its unit gives it (`TimeoutStopSec=`). "idle": first it is waited for until no turn
# runs, at most `openclaw_idle_timeout` seconds; after that the run changes nothing there, and fails. "never": `.env`
# and drop-in are written, and a person restarts it; until then its old token goes on working, and `openclaw.json` is
# only changed while it is stopped. A migration, which would leave it without a gateway, and its removal want it
# stopped.
openclaw_restart = "now"

# For how many seconds `openclaw_restart = "idle"` waits until no turn runs.
openclaw_idle_timeout = 600
