"""Every setting of the deployment: its default here, its meaning beside it. This file is the reference.

To change a setting for all your hosts, edit it here. For one host, put it in that host's data in
`inventory.py`; for a group, in `group_data/gateways.py` or `group_data/openclaw.py`.
A name that is not listed here is refused when it looks like a setting, so that a misspelling
is told instead of ignored.

Secrets are never settings. `"key": "DASHSCOPE_API_KEY"` below is the NAME of a secret; its value is read
from the environment of the shell that runs pyinfra or, where it is not there, from `secrets_file`.
"""

# ---------------------------------------------------------------- where secrets come from

# A file of `NAME=value` lines on the machine that runs pyinfra (mode 0600, or it is refused).
# A variable of the environment wins over it. None: the environment alone.
secrets_file = None

# ---------------------------------------------------------------- the gateway (group `gateways`)

# Everything of the gateway lives here: compose file, .env, secrets.env, data/, tiktoken/.
# To take over a gateway that was set up by hand, name its directory, the one that holds `data/`.
gateway_directory = "/opt/openclaw-llm-gateway"

# The port on the Tailscale address.
gateway_port = 3000

# The host's Tailscale IPv4 address. None: what the host itself has on `tailscale0`. When given, it is
# compared with the host's own, and a difference stops the run before anything is touched.
gateway_tailscale_address = None

# The time zone of log texts and log file names. (One API stores times as UTC seconds whatever this says.)
gateway_timezone = "Asia/Shanghai"

# The image, pinned by tag; `latest` is refused, since what it means changes without you. The digest
# ("sha256:…", 64 hex digits) pins the very bytes.
gateway_image = "justsong/one-api:v0.6.10"
gateway_image_digest = None

# For a host that reaches no registry: a file made by `docker save` on the machine that runs pyinfra. It is
# sent and loaded when the host has another image or none, and the host then never pulls.
gateway_image_archive = None

# The directory, on the machine that runs pyinfra, that holds One API's two tiktoken files. None: the
# cache (~/.cache/openclaw-llm-gateway/tiktoken), filled once by `make tiktoken` or by the first deploy.
gateway_tiktoken_directory = None

# How long a started gateway may take to answer, in seconds.
gateway_start_timeout = 120

# ---------------------------------------------------------------- Docker on the gateway hosts

# "distribution": Debian's or Ubuntu's own packages, installed where missing (Debian 13 and newer, Ubuntu 24.04
# and newer: older releases have Compose 1 only). "preinstalled": nothing is installed or configured.
docker_source = "distribution"

# Hosts in mainland China: mirrors of Docker Hub (docker.io images only), and the proxy of the Docker daemon. They
# are merged into /etc/docker/daemon.json; other keys there stay. Docker restarts when they change.
docker_registry_mirrors = []
docker_http_proxy = None
docker_https_proxy = None
docker_no_proxy = None

# ---------------------------------------------------------------- the channels of the gateway

# Each channel: where One API sends the requests for some models.
#   name      unique; a channel of that name is made, or changed to match. Channels not named here are left alone.
#   type      One API's channel type; 1 = OpenAI, right for every OpenAI-compatible service.
#   base_url  WITHOUT /v1 for type 1: One API appends /v1/chat/completions itself.
#   key       the NAME of the secret that holds the provider's key.
#   models    the model names that this channel serves, exactly as clients ask for them.
#   priority  optional, default 0: the highest wins, equals share the load.
gateway_channels = [
    {
        "name": "dashscope",
        "type": 1,
        "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
        "key": "DASHSCOPE_API_KEY",
        "models": ["qwen3.5-plus", "text-embedding-v4"],
    },
    {
        "name": "minimax",
        "type": 1,
        "base_url": "https://api.minimaxi.com",
        "key": "MINIMAX_API_KEY",
        "models": ["MiniMax-M2.5"],
    },
]

# ---------------------------------------------------------------- the models that agents use, and verification

# What OpenClaw hosts get as LLM_MODEL_ID and EMBEDDING_MODEL_ID, and what verification asks for.
llm_model = "MiniMax-M2.5"
embedding_model = "text-embedding-v4"

# The length of an embedding vector. Verification fails when the model answers with another.
embedding_dimensions = 1024

# Seconds that each verifying request may take.
verification_timeout = 60

# ---------------------------------------------------------------- OpenClaw hosts (group `openclaw`)

# The gateway that this host uses, by its name in the inventory. None: itself when it is in `gateways`,
# otherwise the only host there.
openclaw_gateway = None

# Its systemd unit, and whether that is a unit of the system or of the user ("system" or "user").
openclaw_unit = "openclaw-gateway.service"
openclaw_unit_scope = "system"

# True: a host without that unit fails. False: it is told so, and its .env is written all the same.
openclaw_unit_required = False

# The user that OpenClaw runs as. None: the unit's User=, or root.
openclaw_user = None

# OpenClaw's workspace, the directory that holds `skills/`: an absolute path, or one that begins with "~/", the home
# of its user ("~/.openclaw/workspace"). The client that Skills share is then kept at skills/shared/llm_client.js in
# it. The workspace must exist. None: no such file is deployed.
openclaw_workspace = None

# Variables that a drop-in takes out of the unit's environment, whatever set them: any of these would win over
# ~/.openclaw/.env and send OpenClaw or mem0 past the gateway.
openclaw_unset_environment = [
    "MEM0_DASHSCOPE_API_KEY",
    "OPENAI_API_BASE",
    "OPENAI_BASE_URL",
]
