"""Studies: what is done with a network, from a configuration to tables, figures and checked claims."""
