"""The settings of a node: read once from a YAML file and the environment, checked, and not changed afterwards.

- What is not known is refused, never ignored: keys, GEOROOT_* names, values.
- Whatever is wrong is one ConfigError of one line that calls the setting what the user called it.
- What came from a GEOROOT_<NAME>_FILE may be a secret: no message and no log line shows it.

units reads what people write, sources says where it was written, settings is the documented model, and loading puts
them together. docs/settings.md is made of the model's docstrings; a test compares them.
"""

from sidecar.config.loading import load
from sidecar.config.settings import Peer, Settings, Target

__all__ = ["Peer", "Settings", "Target", "load"]
