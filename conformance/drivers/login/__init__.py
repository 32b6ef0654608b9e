"""A login as it is scripted: the agent's CLI in its terminal, and the Manager on loopback."""
