"""Have every gateway serve with the image again that served before its last upgrade.

    pyinfra inventory.py --limit gw1 deploys/rollback.py
    pyinfra inventory.py --limit gw1 --data yes=gw1 deploys/rollback.py

The second form where the newer image has changed the database's schema: the data from before the upgrade come back
then, and what was written since is kept in a backup only. Pin the image in the inventory afterwards.
"""

from pyinfra import host, state

from gateway.upgrades import rollback

rollback.roll_back(state, rollback.member_to_roll_back(state, host))
