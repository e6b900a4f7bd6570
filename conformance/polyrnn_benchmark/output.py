"""Files that are checked before anything is measured, and whole whenever they are looked at."""

import os
import tempfile
from pathlib import Path


class Output:
    """A file that is written anew whenever there is more to write.

    Args:
        path: Where it shall be.
    """

    def __init__(self, path: Path) -> None:
        # The file that a symbolic link leads to is replaced, not the link.
        self.path = path.resolve()

    @property
    def is_replaced(self) -> bool:
        """Whether it is a plain file, or will be one: a pipe or a device is written to once."""
        return self.path.is_file() or not self.path.exists()

    def problem(self) -> str:
        """Return why it cannot be written, in a phrase; an empty string where it can."""
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
        """Put data in the place of what was there before.

        Whoever reads the file, or ends this process, meets the old data or the new.

        Raises:
            OSError: If there is no room, or the folder is gone.
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
