# Sourced by the other scripts, from the repository's root: makes .venv when there is none, or when
# what it should hold has changed, and puts it first on PATH.
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; $python is $("$python" --version). Set PYTHON." >&2
    exit 1
}
wanted=$(cat pyproject.toml scripts/constraints.txt | cksum)
if [ "$(cat .venv/holds 2>/dev/null)" != "$wanted" ]; then
    echo "Setting up .venv (once) ..."
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint scripts/constraints.txt setuptools
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint scripts/constraints.txt --no-build-isolation --editable '.[dev]'
    echo "$wanted" >.venv/holds
fi
PATH="$PWD/.venv/bin:$PATH"
