"""Images: those of the Dockerfile, on a base from Debian's packages, and stand-ins for those of others.

Here: making them, also ahead of the tests (`python -m churn_platform_tests.containers.images`). Not here: running them
(`stack`). A registry of images need not be reachable: the base has the official image's programs, and PostgreSQL and
Prometheus are Debian's, behind what the official images promise.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from churn_platform_tests.compose import ROOT
from churn_platform_tests.containers.engine import buildah, podman

DEBIAN = "bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "localhost/churn-test-base"
OURS = {target: f"localhost/churn-test-{target}" for target in ("serving", "platform")}
OTHERS = {"postgres": "localhost/churn-test-postgres", "prometheus": "localhost/churn-test-prometheus"}

_PYTHON = "python3,python3-pip,python3-venv,ca-certificates"
_POSTGRES = """
FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends postgresql
COPY entrypoint.sh /entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres /var/lib/postgresql/data
ENTRYPOINT ["sh", "/entrypoint.sh"]
CMD ["postgres"]
"""
# As the official image: a user, a database and the scripts once, then the server for everyone who has a password.
_ENTRYPOINT = """set -e
[ "$1" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  chown postgres "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups sh "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust \\
    --auth-host=scram-sha-256 > /dev/null
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses='' -c unix_socket_directories=/tmp" start > /dev/null
  psql="psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host=/tmp --username=$POSTGRES_USER"
  $psql --dbname=postgres --command="CREATE DATABASE $POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sql; do $psql --dbname="$POSTGRES_DB" --file="$script"; done
  pg_ctl --wait stop > /dev/null
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp
"""
_PROMETHEUS = """
FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends prometheus wget
RUN install -d -o 65534 -g 65534 /prometheus && rm -rf /etc/prometheus && mkdir /etc/prometheus
USER 65534:65534
ENTRYPOINT ["prometheus"]
"""


def make_base() -> None:
    """Make the base where it is missing: Debian's Python, called as the official image calls it."""
    if podman("images", "--quiet", BASE).strip():
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        _debootstrap(root)
        for name in ("python", "pip"):
            (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}3")
        for mark in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            mark.unlink()
        shutil.copy(CERTIFICATES, root / str(CERTIFICATES)[1:])  # it trusts whom this machine trusts
        archive = Path(folder, "base.tar")
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".")
        path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        said = (path, f"SSL_CERT_FILE={CERTIFICATES}", f"PIP_CERT={CERTIFICATES}")
        changes = [word for variable in said for word in ("--change", f"ENV {variable}")]
        podman("import", *changes, str(archive), BASE, seconds=600)


def _debootstrap(root: Path) -> None:
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={_PYTHON}", DEBIAN, str(root)],
        capture_output=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout.decode()[-2000:]


def make_ours(source: Path, tag: str) -> None:
    """Build the Dockerfile's images from a checkout, in the place of those of an earlier run."""
    for target, name in OURS.items():
        before = _id_of(f"{name}:{tag}")
        where = ["--build-arg", f"BASE={BASE}", "--target", target, "--file", str(source / "deploy/Dockerfile")]
        buildah(
            "bud", "--isolation", "chroot", "--pull-never", "--layers", *where, "--tag", f"{name}:{tag}", str(source)
        )
        if before and before != _id_of(f"{name}:{tag}"):
            podman("image", "rm", "--force", before)


def _id_of(image: str) -> str:
    return podman("images", "--quiet", "--no-trunc", image).strip()


def make_others() -> None:
    """Build the stand-ins."""
    for name, text in (("postgres", _POSTGRES), ("prometheus", _PROMETHEUS)):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "entrypoint.sh").write_text(_ENTRYPOINT)
            Path(folder, "Dockerfile").write_text(text.format(base=BASE))
            buildah("bud", "--isolation", "chroot", "--pull-never", "--layers", "--tag", OTHERS[name], folder)


def make_all() -> None:
    """Everything that the tests run."""
    make_base()
    with ThreadPoolExecutor() as both:  # each waits for packages most of the time
        made = [both.submit(make_others), both.submit(make_ours, ROOT, "local")]
    for one in made:
        one.result()


if __name__ == "__main__":
    make_all()
