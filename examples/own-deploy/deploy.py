"""Steps of somebody's own, for all hosts, and the two halves of our deployment, each for its group."""

from pyinfra.operations import apt

from llm_gateway import deploy_gateway, point_openclaw

apt.packages(
    name="Install what every host of ours has", packages=["unattended-upgrades"], update=True, cache_time=86400
)

deploy_gateway()  # hosts of `gateways`; others are passed over
point_openclaw()  # hosts of `openclaw`
