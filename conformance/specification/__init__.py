"""What a contract calls for in one home: verdicts and the rule that decides, without a probe."""
