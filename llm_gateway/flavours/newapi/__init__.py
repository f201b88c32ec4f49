"""new-api, the fork of One API that is still developed: its admin API, its versions, and what its log means."""
