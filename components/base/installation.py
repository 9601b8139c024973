"""The names that the chart gives its objects, and where a pod finds them: one place for code, whoever makes the pod.

In: nothing. Out: names and folders. Read by the settings, the InferenceService and the steps of a pipeline; the chart's
templates use the same names.
"""

from pathlib import Path

# KFP names a volume after its object: a ConfigMap and a Secret of one name make a pod that Kubernetes refuses.
SETTINGS, SECRETS, PROBLEMS = "tidemill-settings", "tidemill-secrets", "tidemill-problems"
SETTINGS_FOLDER = Path("/etc/tidemill/settings")
"""Where the ConfigMap `tidemill-settings` is mounted in a pod; a file's name is the variable."""
SECRETS_FOLDER = Path("/etc/tidemill/secrets")
"""Where the Secret `tidemill-secrets` is mounted: a password in a file is in no process's environment."""
PROBLEMS_FOLDER = Path("/etc/tidemill/problems")
"""Where the ConfigMap `tidemill-problems` is mounted: the contracts."""
IMAGE_USER = 65532
"""The user of the image, by number: with a name a pod that must not be root waits for ever."""
