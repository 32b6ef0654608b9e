"""Does every exit code mean the same to probe, Manager and contract?"""
