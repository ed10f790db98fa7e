"""The one place where parts and engines are put together: an installation, and what is done with one."""

from headset.app.installation import Installation, open_installation

__all__ = ["Installation", "open_installation"]
