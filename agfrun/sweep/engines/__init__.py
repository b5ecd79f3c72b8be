"""What runs the batches of a sweep: processes on this machine, a batch system, a cluster."""
