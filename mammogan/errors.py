"""What can go wrong in a way that a user can mend: one message, one exit code, no traceback."""

from __future__ import annotations


class MammoganError(Exception):
    """A failure told to the user: the value in quotes, where it stands, what is allowed, what to do."""

    exit_code = 2


class ConfigError(MammoganError):
    """A setting is unknown, missing or out of range."""


class DataError(MammoganError):
    """Input data are missing, damaged or not what the step needs."""


class ClusterError(MammoganError):
    """The scheduler, the container runtime or a site's profile does not do what was asked."""


class RunFailedError(MammoganError):
    """A run's own work failed: a job died, training diverged, a disk filled up."""

    exit_code = 1


class StopRequestedError(MammoganError):
    """A job saved its state and stopped as the scheduler asked; the batch script queues it again."""

    exit_code = 85
