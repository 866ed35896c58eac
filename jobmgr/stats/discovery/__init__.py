"""The discovery of patterns: from columns over attributes, tables and evidence to the few patterns that are told."""
