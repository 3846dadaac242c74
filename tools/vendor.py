"""Make ``docs/vendor.zip`` again: the scripts that the book carries. Needs npm, and only for this.

The book loads nothing from other hosts, so it brings all that a browser needs.
"""

import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

WANTED = {
    "@jupyter-widgets/html-manager@1.0.15": [
        "dist/embed.js",
        "dist/embed.js.LICENSE.txt",
        "dist/1551f4f60c37af51121f.woff2",
        "dist/7a3337626410ca2f4071.woff2",
        "dist/d878b0a6a1144760244f.woff2",
    ],
    "reveal.js@6.0.2": ["dist/reveal.js", "dist/reveal.css", "LICENSE"],
}


def main() -> None:
    """Fetch the packages and keep the few files that are used."""
    target = Path(__file__).parents[1] / "docs" / "vendor.zip"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(target, "w") as archive:
        for package, names in WANTED.items():
            done = subprocess.run(
                ["npm", "pack", "--silent", package],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            place = package.strip("@").rpartition("@")[0].replace("/", "-")
            with tarfile.open(Path(folder, done.stdout.strip())) as tar:
                for name in names:
                    info = zipfile.ZipInfo(
                        f"{place}/{Path(name).name}"
                    )  # no date, so that the bytes are the same each time
                    info.compress_type = zipfile.ZIP_DEFLATED
                    # pyrefly: ignore[missing-attribute]
                    archive.writestr(info, tar.extractfile(f"package/{name}").read())


if __name__ == "__main__":
    main()
