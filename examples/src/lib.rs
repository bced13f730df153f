//! Nothing: the package exists for its programs. `echo_agent` is an A2A agent, `submit_job` and `follow_events` use a captain,
//! `python/client.py` does the same without any library, `user-api.toml` is the demo's plan, `agent-id-card.json` a worker's card.
