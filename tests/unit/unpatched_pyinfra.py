"""pyinfra's command line without what its import does: the threads and sockets of all tests would be gevent's."""

from unittest import mock

with mock.patch("gevent.monkey.patch_all"):
    from pyinfra_cli import cli as cli
    from pyinfra_cli import inventory as inventory
