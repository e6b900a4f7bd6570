"""Output files that are checked in advance and replaced atomically."""

import os
import tempfile
from pathlib import Path


class Output:
    """A file whose content is replaced as a whole each time it is written.

    Args:
        path: The path of the file.
    """

    def __init__(self, path: Path) -> None:
        # The target of a symbolic link is replaced, not the link.
        self.path = path.resolve()

    @property
    def is_replaced(self) -> bool:
        """Whether it is, or will be, a regular file; a pipe or device is written only once."""
        return self.path.is_file() or not self.path.exists()

    def problem(self) -> str:
        """Return a phrase that says why the file cannot be written, or an empty string."""
        folder = self.path.parent
        if self.path.is_dir():
            return f"{self.path} is a folder"
        if not folder.is_dir():
            return f"the folder {folder} does not exist"
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return f"{self.path} is write-protected"
        if self.is_replaced:
            try:
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                return f"nothing can be written into the folder {folder}: {error.strerror}"
        return ""

    def write(self, data: bytes) -> None:
        """Replace the content of the file.

        The file holds either the old or the new data at any time, even if this process is
        killed.

        Raises:
            OSError: If the disk is full or the folder was removed.
        """
        if not self.is_replaced:
            self.path.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).chmod(self._permissions())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _permissions(self) -> int:
        if self.path.exists():
            return self.path.stat().st_mode & 0o777
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
