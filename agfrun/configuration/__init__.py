"""From the configuration tree and the command line to the typed configuration."""
