"""The tiers of `parity.check`: each says what it proves."""
