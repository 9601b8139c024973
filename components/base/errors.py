"""The one error tree of the platform.

    TidemillError
    ├── PermanentError               trying again is useless until somebody changes something
    │   ├── SettingsError            an environment variable TIDEMILL_* is wrong
    │   ├── ContractError            the problem's YAML breaks its schema
    │   ├── DataError                data break a hard limit of the contract, or cannot be read
    │   ├── ModelRefusedError        a model is not good enough, or not the one that was promised
    │   ├── StepFailedError          a step of a pipeline ended with an error
    │   └── StoreRequestError        the object store answered, and the answer is no
    │       ├── ObjectMissingError   nothing is stored under that key
    │       └── StoreAccessError     the credentials are unknown or not allowed to do that
    └── TransientError               something is out of reach; the same call may succeed later
        ├── StoreUnavailableError    the object store does not answer
        ├── EndpointUnavailableError the prediction endpoint does not answer
        ├── NotLoggedError           the prediction log cannot write what must be written before an answer
        └── RulingsUnavailableError  the governor's database does not answer

A class of its own has what somebody catches by name. Every text reads
`<where>: <invariant> must hold, but got <name=value>. <What to do.>`, and checks collect all faults before they raise.
Adapters alone retry, and only what is transient. Commands format errors for the terminal; other code never prints.
"""

import difflib
from collections.abc import Iterable, Sequence

# Below this likeness difflib offers names that only share letters with what was typed.
_NAME_LIKENESS = 0.6


class TidemillError(Exception):
    """Base of every error that the platform raises on purpose."""


class PermanentError(TidemillError):
    """Trying again is useless until a person changes data, code or configuration."""


class SettingsError(PermanentError):
    """An environment variable TIDEMILL_* is unknown or has a wrong value."""


class ContractError(PermanentError):
    """The problem contract breaks its schema."""


class DataError(PermanentError):
    """Data break a hard limit of the contract, or cannot be read."""


class ModelRefusedError(PermanentError):
    """A model is not good enough, or is not the one that was promised."""


class StepFailedError(PermanentError):
    """A step of a pipeline ended with an error."""


class StoreRequestError(PermanentError):
    """The object store answered, and the answer is no."""


class ObjectMissingError(StoreRequestError):
    """Nothing is stored under that key."""


class StoreAccessError(StoreRequestError):
    """The credentials are unknown to the object store, or not allowed to do that."""


class TransientError(TidemillError):
    """Something is out of reach: the same call may succeed later."""


class StoreUnavailableError(TransientError):
    """The object store does not answer."""


class EndpointUnavailableError(TransientError):
    """The prediction endpoint does not answer."""


class NotLoggedError(TransientError):
    """The prediction log cannot write the rows of a request that must not be answered without them."""


class RulingsUnavailableError(TransientError):
    """The governor's database does not answer, or cannot write."""


def describe_faults(where: str, faults: Sequence[str]) -> str:
    """Write one fault as `<where>: <fault>`, several as `<where>: <n> faults.` with one line each."""
    if len(faults) == 1:
        return f"{where}: {faults[0]}"
    return "\n  ".join([f"{where}: {len(faults)} faults.", *faults])


def raise_faults(kind: type[TidemillError], where: str, faults: Iterable[str]) -> None:
    """Raise all faults as one error of the kind; return when there are none.

    Raises:
        TidemillError: of the given kind, when there is at least one fault.
    """
    collected = list(faults)
    if collected:
        raise kind(describe_faults(where, collected))


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean '<nearest>'?`, or an empty text when no known name is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=_NAME_LIKENESS)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""
