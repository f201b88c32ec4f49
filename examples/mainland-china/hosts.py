"""Hosts that reach no container registry: the image comes from this machine, as a file of `docker save`."""

_no_registry = {
    "ssh_user": "root",
    "gateway_image": "justsong/one-api:v0.6.10",
    "gateway_image_archive": "one-api.tar",  # sent where the host has another image ID; the host then never pulls
    "gateway_timezone": "Asia/Shanghai",
    "gateway_channels": [
        {
            "name": "dashscope",
            "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
            "key": "DASHSCOPE_API_KEY",
            "models": ["qwen3.5-plus", "text-embedding-v4"],
            "priority": 10,
        },
    ],
    "llm_model": "qwen3.5-plus",
}

gateways = [("gw1.your-tailnet.ts.net", _no_registry)]

openclaw = [("agent1.your-tailnet.ts.net", {"ssh_user": "root", "llm_model": "qwen3.5-plus"})]
