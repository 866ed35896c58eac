"""Webhooks: from events to messages, from messages to receivers, at least once and in order. `manager` is what others use."""
