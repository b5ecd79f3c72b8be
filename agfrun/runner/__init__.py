"""From a configuration to a finished run in its folder, and doing it again."""
