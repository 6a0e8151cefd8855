"""Every error this project raises on purpose, in one tree.

    InspectionError
    ├── SettingsError          a setting is missing or makes no sense
    ├── OntologyError          the taxonomy file contradicts itself
    ├── ImageError             bytes that are no usable image
    │   ├── NotAnImageError    not decodable, truncated
    │   ├── UnsupportedImageError  decodable by somebody, not accepted here
    │   └── ImageTooLargeError over the byte or pixel limit
    ├── StoreError             an artifact is missing or the store refused
    ├── BundleError            a model bundle that must not be served
    ├── RegistryError          a decision about a model that cannot be taken
    ├── ImportDataError        a labelled data set that cannot be loaded
    ├── InsufficientDataError  too little evidence to train, calibrate or judge
    ├── CheckFailedError       a check on data or a model says no, and stops what follows
    ├── OverloadError          no capacity, or no model, to judge a part just now
    ├── OutboxError            verdicts cannot be written down on this machine just now
    ├── DuplicateError         an inspection id used again for another image
    └── ServiceError           a managed process or database that does not answer

The message says what is wrong and what to do, in one line: it is what a person reads.
"""


class InspectionError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(InspectionError):
    """A setting is missing or makes no sense."""


class OntologyError(InspectionError):
    """The taxonomy contradicts itself or is in use in a way that forbids the change."""


class ImageError(InspectionError):
    """Bytes that are no usable image."""


class NotAnImageError(ImageError):
    """The bytes do not decode: text, a truncated file, another format under a false name."""


class UnsupportedImageError(ImageError):
    """A real image of a kind that is not accepted here."""


class ImageTooLargeError(ImageError):
    """More bytes or more pixels than the limit."""


class StoreError(InspectionError):
    """An artifact is missing or the object store refused the operation."""


class BundleError(InspectionError):
    """A model bundle whose hash, class order or contents do not fit."""


class RegistryError(InspectionError):
    """A decision about a model that cannot be taken."""


class ImportDataError(InspectionError):
    """A labelled data set that cannot be loaded as it stands."""


class InsufficientDataError(InspectionError):
    """Too little evidence to train, to calibrate or to judge."""


class CheckFailedError(InspectionError):
    """A blocking check says no; what depends on it was not made.

    Attributes:
        checks: names of those that say no.
    """

    def __init__(self, message: str, checks: tuple[str, ...]) -> None:
        super().__init__(message)
        self.checks = checks


class OverloadError(InspectionError):
    """No capacity, or no model, to judge a part just now: try again, or let a person look."""


class OutboxError(InspectionError):
    """The outbox is damaged, or its disk does not take what it should hold: let a person look."""


class DuplicateError(InspectionError):
    """An inspection id used again for another image."""


class ServiceError(InspectionError):
    """A managed process, port or database that does not do its part."""
