"""Statistics that the audit, agreement, the probe and the comparison share."""
