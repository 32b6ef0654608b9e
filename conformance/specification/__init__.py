"""What a contract calls for in one home: a set of verdicts and the rule that decides, worked out without a probe."""
