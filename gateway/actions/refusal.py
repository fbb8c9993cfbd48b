"""Why an action cannot be done."""


class ActionRefusedError(ValueError):
    """The action cannot be done as proposed; the message tells agent and people why."""
