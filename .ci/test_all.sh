#!/usr/bin/env bash
# Runs the suite once per supported Python that is found on this machine, then once per older line of aiosqlite and
# once on asyncio's own event loop. Each environment is kept in .venvs and made again when pyproject.toml changes.
# Arguments are passed on to pytest. Fails if a run failed, or if no Python was found.
set -euo pipefail
cd "$(dirname "$0")/.."

pythons=(3.11 3.12 3.13)
older_aiosqlite=(0.20.0 0.21.0) # the oldest allowed, and the last whose Connection is itself a thread

summary=()
failed=0

# Prints an interpreter of version $1. Candidates are run, since a pyenv shim may be on PATH with nothing behind it.
find_python() {
    local candidate
    while read -r candidate; do
        if "$candidate" -c "import ensurepip, sys; sys.exit(sys.version_info[:2] != (${1/./, }))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done < <(type -ap "python$1"; compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1*/bin/python")
}

# prepare NAME PYTHON [REQUIREMENT...]: an environment .venvs/NAME with the project, its test tools and the requirements
prepare() {
    local venv=".venvs/$1" python=$2
    shift 2
    [[ $venv/.ready -nt pyproject.toml ]] && return
    "$python" -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[demo,test]' "$@" &&
        touch "$venv/.ready"
}

# report WHAT STATUS
report() {
    summary+=("$(printf '%-10s %s' "$2" "$1")")
    [[ $2 != FAIL ]] || failed=1
}

# suite WHAT VENV [ARGUMENT...]: the tests, in that environment
suite() {
    local what=$1 python=".venvs/$2/bin/python"
    shift 2
    printf '\n=== %s\n' "$what"
    if "$python" -m pytest "$@"; then report "$what" pass; else report "$what" FAIL; fi
}

oldest=
for version in "${pythons[@]}"; do
    python=$(find_python "$version")
    if [[ -z $python ]]; then
        report "Python $version" "not found"
    elif prepare "$version" "$python"; then
        suite "Python $version" "$version" "$@"
        [[ -n $oldest ]] || oldest=$version
    else
        report "Python $version" "FAIL"
    fi
done

if [[ -n $oldest ]]; then
    for aiosqlite in "${older_aiosqlite[@]}"; do
        venv="$oldest-aiosqlite-$aiosqlite"
        if prepare "$venv" ".venvs/$oldest/bin/python" "aiosqlite==$aiosqlite"; then
            suite "Python $oldest, aiosqlite $aiosqlite" "$venv" "$@"
        else
            report "Python $oldest, aiosqlite $aiosqlite" "FAIL"
        fi
    done
    export AIOMEMDB_TEST_LOOP=asyncio
    suite "Python $oldest, asyncio's own loop" "$oldest" "$@"
else
    report "any of Python ${pythons[*]}" "FAIL"
fi

printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
