"""Probe, Manager and contract held against each other: does every exit code mean the same to all three?"""
