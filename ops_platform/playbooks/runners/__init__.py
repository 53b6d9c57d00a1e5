"""The types of steps, one module each. What they have in common is the interface in `ops_platform.playbooks.steps`."""
